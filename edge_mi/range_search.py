"""Which values of a tensor its 256 codes should cover: four ways to choose an activation range.

What is covered more is resolved less. `minmax` covers everything; `percentile` drops a fixed share of the
extremes; `mse` and `entropy` search for the range that loses least, by two notions of loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from edge_mi.checkpoint import Range
from edge_mi.int8_grid import HIGH, LOW, quant_params

RangeMethod: TypeAlias = Literal["minmax", "percentile", "mse", "entropy"]
Values: TypeAlias = NDArray[np.floating]
Ends: TypeAlias = tuple[float, float]

METHODS: Final[tuple[RangeMethod, ...]] = get_args(RangeMethod)
DEFAULT: Final[RangeMethod] = "percentile"
CLIP_PERCENT: Final = 0.01
DESCRIPTIONS: Final[dict[RangeMethod, str]] = {
    "minmax": "minimum and maximum",
    "percentile": f"percentiles {CLIP_PERCENT:g} and {100 - CLIP_PERCENT:g}",
    "mse": "least squared error of the int8 values",
    "entropy": "least Kullback-Leibler divergence of the histogram",
}
# 97 shares of the extremes from 1/64 up, 4.4 % apart
SHARES: Final = np.geomspace(1 / 64, 1.0, 97)
BINS: Final = 4096
BIN_STEP: Final = 16
_SMALLEST: Final = 1e-6


def find_range(values: Values, method: RangeMethod) -> Range:
    """The range of a tensor that takes `values`, of any shape. Raises ValueError where they are all equal."""
    low, high = _METHODS[method](values)
    return Range(low=low, high=high)


def find_relu_range(values: Values, method: RangeMethod) -> Range:
    """The range 0 to high of the output of a ReLU that takes `values`, of any shape; not empty for a dead layer."""
    high = _METHODS[method](values)[1] if values.max() > _SMALLEST else 0.0
    return Range(low=0.0, high=max(high, _SMALLEST))


def squared_error(values: Values, span: Range) -> float:
    """Mean squared difference of `values` and their int8 form in `span`."""
    x = np.asarray(values, dtype=np.float64).ravel()
    return _SortedValues(x).squared_error(span) / len(x)


def _minmax(values: Values) -> Ends:
    return float(values.min()), float(values.max())


def _percentile(values: Values) -> Ends:
    low, high = np.percentile(values, [CLIP_PERCENT, 100 - CLIP_PERCENT])
    return float(low), float(high)


def _mse(values: Values) -> Ends:
    """The pair of ends, each one of `SHARES` of its extreme, of least squared error (rounding and clipping)."""
    ordered = _SortedValues(np.asarray(values, dtype=np.float64).ravel())
    lows = [0.0] if ordered.low >= 0 else list(ordered.low * SHARES)
    highs = [0.0] if ordered.high <= 0 else list(ordered.high * SHARES)
    spans = [Range(low=float(low), high=float(high)) for low in lows for high in highs]
    best = min(spans, key=ordered.squared_error)
    return best.low, best.high


class _SortedValues:
    """Values whose squared error in any range costs 255 binary searches: prefix sums stand for the rest."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._x = np.sort(values)
        self._sums = np.concatenate([[0.0], np.cumsum(self._x)])
        self._squares = float((self._x**2).sum())

    @property
    def low(self) -> float:
        return float(self._x[0])

    @property
    def high(self) -> float:
        return float(self._x[-1])

    def squared_error(self, span: Range) -> float:
        """Sum of squared differences of the values and their int8 form in `span`."""
        params = quant_params(span)
        levels = params.scale * (np.arange(LOW, HIGH + 1) - params.zero_point)
        cuts = np.concatenate([[0], np.searchsorted(self._x, (levels[1:] + levels[:-1]) / 2), [len(self._x)]])
        counts, sums = np.diff(cuts), np.diff(self._sums[cuts])
        return self._squares + float((levels * (levels * counts - 2 * sums)).sum())


def _entropy(values: Values) -> Ends:
    """Both signs share one threshold: that of least divergence of the histogram of magnitudes from its coarse form.

    Source: Migacz, "8-bit inference with TensorRT", GPU Technology Conference 2017; levels are 255 without
    negative values and 127 with them, BINS and BIN_STEP are finer and coarser than the 2048 and 1 there.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    limit = max(-low, high)
    levels = HIGH if low < 0 else HIGH - LOW
    counts = np.histogram(np.abs(x), bins=BINS, range=(0.0, limit))[0].astype(np.float64)
    counts[0] = counts[1]  # the zeros of a ReLU, which any range represents exactly, would outweigh the rest
    ends = range(BINS, levels, -BIN_STEP)
    end = min(ends, key=lambda end: _divergence(counts, end, levels))
    threshold = limit * end / BINS
    return max(low, -threshold), min(high, threshold)


def _divergence(counts: NDArray[np.float64], end: int, levels: int) -> float:
    """KL divergence of the first `end` bins, the rest clipped into the last, from their form in `levels` levels."""
    kept = counts[:end]
    level = np.arange(end) * levels // end
    filled = kept > 0
    shares = np.bincount(level, kept, levels) / np.maximum(np.bincount(level, filled, levels), 1)
    coarse = np.where(filled, shares[level], 0.0)
    clipped = kept.copy()
    clipped[-1] += counts[end:].sum()
    if not filled.any() or (clipped[-1] > 0 and coarse[-1] == 0):
        return float("inf")
    p, q = clipped[clipped > 0] / clipped.sum(), coarse[clipped > 0] / coarse.sum()
    return float((p * np.log(p / q)).sum())


_METHODS: Final[dict[RangeMethod, Callable[[Values], Ends]]] = {
    "minmax": _minmax,
    "percentile": _percentile,
    "mse": _mse,
    "entropy": _entropy,
}
