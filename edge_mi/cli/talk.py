"""What a command says on stderr: whole lines that steer no terminal, whatever names and errors are in them."""

from __future__ import annotations

import re
import sys
from typing import Final

_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|[@-_])?")


def one_line(text: str) -> str:
    """`text` on one line, without escape sequences and other characters that cannot be seen: names come from the air."""
    seen = "".join(each if each.isprintable() else " " for each in _ESCAPE.sub("", text))
    return " ".join(seen.split())


def tell(message: str) -> None:
    """Say one line to the person at the terminal."""
    print(f"edge-mi: {one_line(message)}", file=sys.stderr, flush=True)
