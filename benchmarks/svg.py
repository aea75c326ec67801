"""What the plots of the documents are drawn with: elements of an SVG, coordinates in its own units."""

from __future__ import annotations

from collections.abc import Callable
from html import escape


def opening(width: int, height: int, label: str, style: str) -> list[str]:
    """The first elements: a ground of `width` x `height`, described by `label` for those who cannot see it."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">',
        f"<style>{style}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
    ]


def text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    """Words at a place; kind: its class."""
    attributes = f' class="{kind}"' if kind else ""
    if anchor != "start":
        attributes += f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{escape(words)}</text>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight line of a class."""
    return f'<line class="{kind}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'


def value_grid(
    y: Callable[[float], float],
    low: float,
    high: float,
    step: float,
    *,
    left: float,
    width: float,
    named: bool,
) -> list[str]:
    """Lines across a panel from `low` to `high`, every `step`; with their values where `named`."""
    parts = []
    for k in range(round((high - low) / step) + 1):
        value = low + step * k
        parts.append(line("grid", left, y(value), left + width, y(value)))
        if named:
            parts.append(text(left - 10, y(value) + 4, f"{value:.2f}", "quiet", anchor="end"))
    return parts
