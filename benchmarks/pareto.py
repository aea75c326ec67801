"""AUROC of every size against what it costs, as an SVG of three panels that reads in light and in dark."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, Final

from .svg import line, opening, text, value_grid

Json = dict[str, Any]

_WIDTH, _HEIGHT = 960, 380
_TOP, _BOTTOM, _LEFT = 70, 90, 74
_PANEL, _GAP = 262, 32
_TICKS: Final = 4
_STYLE: Final = """
  .ground { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .axis { stroke: #59636e; stroke-width: 1 }
  .quiet { fill: #59636e } .label { stroke: #ffffff; stroke-width: 5px; paint-order: stroke }
  .title { font-weight: 600; font-size: 15px }
  .bar, .front { stroke: #0969da; stroke-width: 2; fill: none } .front { stroke-dasharray: 4 4 }
  .dot { stroke: #0969da; stroke-width: 2; fill: #0969da } .beaten { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #f0f6fc } .quiet { fill: #9198a1 }
    .grid { stroke: #3d444d } .axis { stroke: #9198a1 }
    .bar, .front, .dot { stroke: #4493f8 } .dot { fill: #4493f8 } .beaten { fill: #0d1117 }
    .label { stroke: #0d1117 }
  }
"""


@dataclass(frozen=True, slots=True)
class _Point:
    label: str
    cost: float
    value: float
    low: float
    high: float


def pareto_svg(document: Json) -> str:
    """The plot of the document that `benchmarks/sizes.py` writes."""
    rows = document["sizes"]
    auroc = [row["auroc"] for row in rows]
    # room for the labels at both ends of the bars
    low = floor(50 * min(each["interval"][0] for each in auroc) - 0.3) / 50
    high = ceil(50 * max(each["interval"][1] for each in auroc) + 0.3) / 50
    panels = (
        ("model.int8.tflite, kB", [row["tflite_bytes"] / 1e3 for row in rows]),
        ("TFLM arena of the whole window, kB", [row["arena_bytes"]["whole"] / 1e3 for row in rows]),
        ("million MACs for a hop of 1 s", [row["macs_hop"] / 1e6 for row in rows]),
    )
    n = auroc[0]
    parts = [
        *opening(_WIDTH, _HEIGHT, "AUROC of each size of PatchNet against bytes, arena and multiply-accumulates", _STYLE),
        text(_LEFT, 26, "PatchNet in its sizes: cross-validated AUROC, MI against all others", "title"),
        text(
            _LEFT, 47,
            f"float, PTB-XL folds 1 to 9, mean of {n['networks']} networks, 95 % over patients, "
            f"n = {n['n']:,} ({n['n_positive']} with MI)",
            "quiet",
        ),
    ]  # fmt: skip
    for i, (title, costs) in enumerate(panels):
        points = [
            _Point(row["size"], cost, each["value"], *each["interval"])
            for row, cost, each in zip(rows, costs, auroc, strict=True)
        ]
        parts += _panel(_LEFT + i * (_PANEL + _GAP), title, points, low, high, first=i == 0)
    parts.append(
        text(_LEFT, _HEIGHT - 16, "Filled: no size costs less and reaches as much.", "quiet") + "\n</svg>"
    )
    return "\n".join(parts) + "\n"


def _panel(
    left: float, title: str, points: list[_Point], low: float, high: float, *, first: bool
) -> list[str]:
    bottom = _HEIGHT - _BOTTOM
    step = _nice_step(max(point.cost for point in points) / _TICKS)
    widest = step * ceil(max(point.cost for point in points) * 1.02 / step)

    def x(cost: float) -> float:
        return round(left + _PANEL * cost / widest, 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * (value - low) / (high - low), 1)

    parts = value_grid(y, low, high, 0.02, left=left, width=_PANEL, named=first)
    parts.append(line("axis", left, bottom, left + _PANEL, bottom))
    for k in range(round(widest / step) + 1):
        parts.append(line("axis", x(step * k), bottom, x(step * k), bottom + 5))
        parts.append(text(x(step * k), bottom + 21, f"{step * k:g}", "quiet", anchor="middle"))
    parts.append(text(left + _PANEL / 2, bottom + 43, title, anchor="middle"))
    if first:
        middle = (_TOP + bottom) / 2
        parts.append(
            f'<text transform="translate({left - 54} {middle}) rotate(-90)" text-anchor="middle">AUROC</text>'
        )
    best = [point for point in points if not _beaten(point, points)]
    route = " ".join(f"{x(point.cost)},{y(point.value)}" for point in best)
    parts.append(f'<polyline class="front" points="{route}"/>')
    for i, point in enumerate(points):
        at, top, foot = x(point.cost), y(point.high), y(point.low)
        parts.append(line("bar", at, top, at, foot))
        parts += [line("bar", at - 5, end, at + 5, end) for end in (top, foot)]
        kind = "dot" if point in best else "dot beaten"
        parts.append(f'<circle class="{kind}" cx="{at}" cy="{y(point.value)}" r="5"/>')
        # in turn above and below, since neighbours can be close
        parts.append(text(at, foot + 18 if i % 2 else top - 8, point.label, "label", anchor="middle"))
    return parts


def _beaten(point: _Point, points: list[_Point]) -> bool:
    return any(other.cost < point.cost and other.value >= point.value for other in points)


def _nice_step(at_least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `at_least`."""
    power = 10.0 ** floor(log10(at_least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= at_least)
