"""What a command says on stderr: whole lines that steer no terminal, whatever names and errors are in them."""

from __future__ import annotations

import re
import sys
from typing import Final

from edge_mi.samples import Gap

_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|[@-_])?")


def one_line(text: str) -> str:
    """`text` on one line, without escape sequences and other characters that cannot be seen: names come from the air."""
    seen = "".join(each if each.isprintable() else " " for each in _ESCAPE.sub("", text))
    return " ".join(seen.split())


def gap_line(gap: Gap) -> str:
    """What is missing, since when and why."""
    missing = "an unknown number of" if gap.n_samples is None else str(gap.n_samples)
    return f"gap at {gap.t_s:.2f} s: {missing} samples missing ({gap.cause})"


def tell(message: str) -> None:
    """Say one line to the person at the terminal."""
    print(f"edge-mi: {one_line(message)}", file=sys.stderr, flush=True)
