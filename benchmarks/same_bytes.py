"""Where two runs of one command part: the first file, and in it the first line or byte, that is not the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import zip_longest

SHOWN_CHARS = 120


def first_difference(
    expected: Mapping[str, bytes], found: Mapping[str, bytes], names: tuple[str, str]
) -> str | None:
    """One sentence on the first of the named contents that differs; None where every byte is the same.

    names: who gave `expected` and who `found`. Text is compared by lines, anything else by bytes.
    """
    for name in sorted(expected.keys() | found.keys()):
        if name not in expected or name not in found:
            absent, present = names if name not in expected else reversed(names)
            return f"{name}: {present} writes it, {absent} does not"
        if expected[name] != found[name]:
            return f"{name}{_part(expected[name], found[name], names)}"
    return None


def _part(expected: bytes, found: bytes, names: tuple[str, str]) -> str:
    text, other = _text(expected), _text(found)
    if text is None or other is None:
        shared = zip(expected, found, strict=False)
        at = next((i for i, (a, b) in enumerate(shared) if a != b), min(len(expected), len(found)))
        return f", from byte {at:,}: " + ", ".join(
            f"{name} {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()[:16]}"
            for name, content in zip(names, (expected, found), strict=True)
        )
    lines = zip_longest(text.split("\n"), other.split("\n"))
    number, pair = next((i, (a, b)) for i, (a, b) in enumerate(lines, start=1) if a != b)
    return f", line {number}: " + ", ".join(
        f"{name} " + ("ends there" if line is None else f"says {_around(line, pair)!r}")
        for name, line in zip(names, pair, strict=True)
    )


def _around(line: str, pair: tuple[str | None, str | None]) -> str:
    """The line from its start, which names the record; of a long one also what is round the difference."""
    shared = zip(pair[0] or "", pair[1] or "", strict=False)
    at = next((i for i, (a, b) in enumerate(shared) if a != b), min(len(text or "") for text in pair))
    if len(line) <= SHOWN_CHARS:
        return line
    if at < SHOWN_CHARS - 20:
        return line[:SHOWN_CHARS] + "..."
    return f"{line[: SHOWN_CHARS // 2]} ... {line[at - 20 : at + SHOWN_CHARS // 2 - 20]}"


def _text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
