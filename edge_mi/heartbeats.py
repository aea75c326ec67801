"""Heartbeats in one window: how many a minute, and how alike.

All sums are of integers on the 2^-14 mV grid, so that the result has the same bits on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.samples import FloatArray
from edge_mi.signal_design import MV_BITS

_CLIP = 1 << 18  # 16 mV: sums of squares stay far below 2^63
_ENERGY_S = 0.10
_BLOCK_S = 1.25  # holds a beat at 48 bpm and above; the median over blocks forgives an empty one
_THRESHOLD = (3, 10)  # of the median block maximum
_REFRACTORY_S = 0.24
_BEFORE_S, _AFTER_S = 0.20, 0.40
_MIN_BEATS = 3


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """heart_rate_bpm and likeness (0..1, median correlation of each beat with the others); None if too few."""

    count: int
    heart_rate_bpm: float | None
    likeness: float | None


def find_heartbeats(window_mv: FloatArray, rate_hz: int) -> Heartbeats:
    """Heartbeats in a filtered window, float64 (n,), millivolts on the grid."""
    x = np.clip(np.rint(window_mv * (1 << MV_BITS)), -_CLIP, _CLIP).astype(np.int64)
    peaks = _r_peaks(x, rate_hz)
    if len(peaks) < _MIN_BEATS:
        return Heartbeats(len(peaks), None, None)
    interval = float(np.median(np.diff(peaks)))
    return Heartbeats(len(peaks), round(60.0 * rate_hz / interval, 1), _likeness(x, peaks, rate_hz))


def _r_peaks(x: NDArray[np.int64], rate_hz: int) -> list[int]:
    slope = np.zeros_like(x)
    slope[1:-1] = x[2:] - x[:-2]
    width = max(1, round(_ENERGY_S * rate_hz))
    total = np.concatenate([[0], np.cumsum(slope * slope)])
    energy = np.zeros_like(x)
    energy[width // 2 : width // 2 + len(x) - width + 1] = total[width:] - total[:-width]
    block = round(_BLOCK_S * rate_hz)
    blocks = energy[: len(energy) // block * block].reshape(-1, block)
    if len(blocks) == 0:
        return []
    # twice the median, so that the mean of two middle values stays an integer
    maxima = np.sort(blocks.max(axis=1))
    twice_median = int(maxima[len(maxima) // 2] + maxima[(len(maxima) - 1) // 2])
    above = np.flatnonzero(energy * (2 * _THRESHOLD[1]) > twice_median * _THRESHOLD[0])
    if len(above) == 0 or twice_median == 0:
        return []
    peaks: list[int] = []
    refractory = round(_REFRACTORY_S * rate_hz)
    for run in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
        centre = int(run[np.argmax(energy[run])])
        low, high = max(0, centre - width), min(len(x), centre + width + 1)
        nearby = x[low:high]
        peak = low + int(np.argmax(np.abs(len(nearby) * nearby - nearby.sum())))
        if peaks and peak - peaks[-1] < refractory:
            if energy[peak] > energy[peaks[-1]]:
                peaks[-1] = peak
        else:
            peaks.append(peak)
    return peaks


def _likeness(x: NDArray[np.int64], peaks: list[int], rate_hz: int) -> float | None:
    before, after = round(_BEFORE_S * rate_hz), round(_AFTER_S * rate_hz)
    beats = [x[p - before : p + after] for p in peaks if p >= before and p + after <= len(x)]
    if len(beats) < _MIN_BEATS:
        return None
    stack = np.stack(beats)
    stack = stack - stack.sum(axis=1, keepdims=True) // stack.shape[1]
    template = stack.sum(axis=0)
    likenesses = []
    for beat in stack:
        others = template - beat
        cross, own, other = int(beat @ others), int(beat @ beat), int(others @ others)
        likenesses.append(cross / (float(own) * float(other)) ** 0.5 if own and other else 0.0)
    return round(min(1.0, max(0.0, float(np.median(likenesses)))), 3)
