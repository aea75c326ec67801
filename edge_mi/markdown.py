"""Tables and intervals in Markdown, as documents and reports show them."""

from __future__ import annotations


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def interval(ends: tuple[float, float] | list[float] | None, *, signed: bool = False) -> str:
    """An interval, `-` for none; signed: of a difference, with one digit more."""
    if ends is None:
        return "-"
    form = "+.4f" if signed else ".3f"
    return f"{ends[0]:{form}} to {ends[1]:{form}}"
