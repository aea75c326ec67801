"""Which records, under which labels, a figure is of."""

from __future__ import annotations

from typing import Any, Final

SAMPLE: Final = "The records are the first record numbers of PTB-XL, from its oldest devices, and not a random sample of it."
_PART: Final = 19_000  # folds 1 to 9 of the whole collection hold more


def alignment_of(command: str) -> str:
    """Whether the network that `edge-mi train quick` made with this command was aligned, for a result's document."""
    return "without alignment" if "--no-align" in command else "with alignment"


def labels_of(document: dict[str, Any]) -> str:
    """The label rule of a result as a sentence with a space before it; nothing for a result that has none."""
    rule = document.get("label_rule")
    return f" Labels: {rule}." if rule else ""


def sample_of(records: int) -> str:
    """What kind of sample so many records are, with a space before it; nothing for the whole collection."""
    return f" {SAMPLE}" if records < _PART else ""
