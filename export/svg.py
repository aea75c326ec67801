"""Charts as inline SVG for a page that brings the style sheet: histogram, columns, bars, interval.

Colours come from the page's classes, so a chart follows its light and dark scheme. Texts are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from edge_mi.samples import FloatArray

from .page import Html

_WIDTH, _HEIGHT = 400, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 10, 42


def histogram(
    shares: FloatArray, edges: FloatArray, *, ticks: Sequence[float], label: str, title: str, kind: str
) -> Html:
    """Shares (n,) of all values between edges (n + 1,), drawn as one area; `title` for those who cannot see it."""
    top, y_ticks = _scale(float(shares.max(initial=0.0)) * 100)
    x = _Axis(float(edges[0]), float(edges[-1]), _LEFT, _WIDTH - _RIGHT)
    y = _Axis(0.0, top, _HEIGHT - _BOTTOM, _TOP)
    path = [f"M{x.at(float(edges[0]))} {y.at(0)}"]
    for share, right in zip(shares, edges[1:], strict=True):
        path.append(f"V{y.at(float(share) * 100)}H{x.at(float(right))}")
    body = f'<path class="{escape(kind)}" d="{"".join(path)}V{y.at(0)}Z"/>'
    return _frame(x, y, ticks, y_ticks, label, "% of values", title, body)


def columns(values: Sequence[float | None], *, label: str, unit: str, title: str, kind: str) -> Html:
    """One column for each value, None left empty."""
    known = [value for value in values if value is not None]
    top, y_ticks = _scale(max(known, default=0.0))
    x = _Axis(0.0, float(len(values)), _LEFT, _WIDTH - _RIGHT)
    y = _Axis(0.0, top, _HEIGHT - _BOTTOM, _TOP)
    gap = 0.12
    bars = "".join(
        f"M{x.at(i + gap)} {y.at(0)}V{y.at(max(value, 0.0))}H{x.at(i + 1 - gap)}V{y.at(0)}Z"
        for i, value in enumerate(values)
        if value is not None
    )
    step = max(1, round(len(values) / 4 / 8) * 8) if len(values) > 8 else 1
    marks = [i + 0.5 for i in range(0, len(values), step)]
    return _frame(
        x, y, marks, y_ticks, label, unit, title, f'<path class="{escape(kind)}" d="{bars}"/>', shift=-0.5
    )


def bars(rows: Sequence[tuple[str, float | None, str]], *, unit: str, title: str, kind: str) -> Html:
    """Horizontal bars: name, value, and the value as text at the end of its bar."""
    top, ticks = _scale(max((value for _, value, _ in rows if value is not None), default=0.0))
    pitch, left, right = 22, 14 + 7 * max(len(name) for name, _, _ in rows), 52
    height = len(rows) * pitch + 44
    x = _Axis(0.0, top, left, _WIDTH - right)
    parts = [
        f'<path class="grid" d="M{x.at(t)} 4V{height - 40}"/>'
        f'<text class="tick" x="{x.at(t)}" y="{height - 24}" text-anchor="middle">{_number(t)}</text>'
        for t in ticks
    ]
    for i, (name, value, text) in enumerate(rows):
        middle = 4 + pitch * i + pitch / 2
        parts.append(
            f'<text class="name" x="{left - 8}" y="{middle + 3.5:g}" text-anchor="end">{escape(name)}</text>'
        )
        end = x.at(max(value, 0.0)) if value is not None else x.at(0.0)
        if value is not None:
            parts.append(f'<path class="{escape(kind)}" d="M{x.at(0)} {middle - 5:g}H{end}v10H{x.at(0)}Z"/>')
        parts.append(f'<text class="value" x="{float(end) + 5:g}" y="{middle + 3.5:g}">{escape(text)}</text>')
    parts.append(
        f'<text class="axis" x="{(left + _WIDTH - right) / 2:g}" y="{height - 6}" text-anchor="middle">'
        f"{escape(unit)}</text>"
    )
    return _svg(_WIDTH, height, title, "".join(parts))


def interval(low: float, value: float, high: float, *, title: str) -> Html:
    """A value between 0 and 1 with its interval; the middle mark is 0.5."""
    x = _Axis(0.0, 1.0, 4, 116)
    body = (
        f'<path class="line" d="M{x.at(0)} 5v6M{x.at(0.5)} 5v6M{x.at(1)} 5v6"/>'
        f'<path class="grid" d="M{x.at(0)} 8H{x.at(1)}"/>'
        f'<path class="range" d="M{x.at(low)} 8H{x.at(high)}"/><circle class="dot" cx="{x.at(value)}" cy="8" r="3"/>'
    )
    return _svg(120, 16, title, body, kind="interval")


class _Axis:
    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def at(self, value: float) -> str:
        """Position of a value, held to the axis."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return f"{self.start + min(max(share, 0.0), 1.0) * (self.end - self.start):.1f}"


def _frame(
    x: _Axis,
    y: _Axis,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    label: str,
    unit: str,
    title: str,
    body: str,
    *,
    shift: float = 0.0,
) -> Html:
    bottom = _HEIGHT - _BOTTOM
    parts = []
    for tick in y_ticks:
        parts.append(f'<path class="grid" d="M{_LEFT} {y.at(tick)}H{_WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{float(y.at(tick)) + 3.5:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    parts.append(body)
    parts.append(f'<path class="line" d="M{_LEFT} {bottom}H{_WIDTH - _RIGHT}"/>')
    for tick in x_ticks:
        at = x.at(tick)
        parts.append(f'<path class="line" d="M{at} {bottom}v3"/>')
        parts.append(
            f'<text class="tick" x="{at}" y="{bottom + 16}" text-anchor="middle">{_number(tick + shift)}</text>'
        )
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text class="axis" x="{(_LEFT + _WIDTH - _RIGHT) / 2:g}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{escape(label)}</text>"
        f'<text class="axis" transform="translate(11 {middle:g}) rotate(-90)" text-anchor="middle">{escape(unit)}</text>'
    )
    return _svg(_WIDTH, _HEIGHT, title, "".join(parts))


def _svg(width: int, height: int, title: str, body: str, *, kind: str = "chart") -> Html:
    return Html(
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _scale(largest: float) -> tuple[float, list[float]]:
    """End of an axis from 0 that holds `largest`, and the round marks on it, the end among them."""
    if not largest > 0:
        return 1.0, [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(largest))
    step = next(f * power for f in (0.5, 1.0, 2.0, 5.0) if largest / (f * power) <= 4)
    ticks = [step * i for i in range(math.ceil(largest / step - 1e-9) + 1)]
    return ticks[-1], ticks


def _number(value: float) -> str:
    text = f"{np.round(value, 6):,g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return text.replace("-", "\N{MINUS SIGN}")
