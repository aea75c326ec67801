"""Heartbeats in one window: how many a minute, and how alike.

All of it is computed in integers on the 2^-14 mV grid, so that every processor, and the C firmware, says the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CLIP = 1 << 18  # 16 mV: sums of squares stay far below 2^63
ENERGY_S = 0.10
BLOCK_S = 1.25  # holds a beat at 48 bpm and above; the median over blocks forgives an empty one
_THRESHOLD = (3, 10)  # of the median block maximum
REFRACTORY_S = 0.24
BEAT_BEFORE_S, BEAT_AFTER_S = 0.20, 0.40
_MIN_BEATS = 3
_LIKENESS_BITS = 12  # of a sample when beats are compared: products of sums of squares then fit 64 bits


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """heart_rate_bpm and likeness (0..1, median correlation of each beat with the others); None if too few.

    beat: sum of the beats sample by sample, `beat_samples` of them in units of 2^-14 mV; None if too few.
    """

    count: int
    heart_rate_bpm: float | None
    likeness: float | None
    beat: tuple[int, ...] | None


def beat_samples(rate_hz: int) -> int:
    """Samples of a beat, from BEAT_BEFORE_S before its R peak to BEAT_AFTER_S after."""
    return round(BEAT_BEFORE_S * rate_hz) + round(BEAT_AFTER_S * rate_hz)


def find_heartbeats(window: NDArray[np.int64], rate_hz: int) -> Heartbeats:
    """Heartbeats in a filtered window, int64 (n,), units of 2^-14 mV."""
    x = np.clip(window, -_CLIP, _CLIP)
    peaks = r_peaks(x, rate_hz)
    if len(peaks) < _MIN_BEATS:
        return Heartbeats(len(peaks), None, None, None)
    twice = _twice_median(np.diff(peaks).tolist())
    heart_rate_bpm = (2400 * rate_hz + twice) // (2 * twice) / 10
    stack = _beats(x, peaks, rate_hz)
    if len(stack) < _MIN_BEATS:
        return Heartbeats(len(peaks), heart_rate_bpm, None, None)
    return Heartbeats(len(peaks), heart_rate_bpm, _likeness(stack), tuple(stack.sum(axis=0).tolist()))


def _twice_median(values: list[int]) -> int:
    """Twice the median, which stays an integer where the mean of two middle values would not."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]


def r_peaks(x: NDArray[np.int64], rate_hz: int) -> list[int]:
    """Sample numbers of the R peaks in a filtered window `x`, int64 (n,), units of 2^-14 mV, ascending."""
    slope = np.zeros_like(x)
    slope[1:-1] = x[2:] - x[:-2]
    width = max(1, round(ENERGY_S * rate_hz))
    total = np.concatenate([[0], np.cumsum(slope * slope)])
    energy = np.zeros_like(x)
    energy[width // 2 : width // 2 + len(x) - width + 1] = total[width:] - total[:-width]
    block = round(BLOCK_S * rate_hz)
    blocks = energy[: len(energy) // block * block].reshape(-1, block)
    if len(blocks) == 0:
        return []
    twice_median = _twice_median(blocks.max(axis=1).tolist())
    above = np.flatnonzero(energy * (2 * _THRESHOLD[1]) > twice_median * _THRESHOLD[0])
    if len(above) == 0 or twice_median == 0:
        return []
    peaks: list[int] = []
    refractory = round(REFRACTORY_S * rate_hz)
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


def _beats(x: NDArray[np.int64], peaks: list[int], rate_hz: int) -> NDArray[np.int64]:
    """The beats that lie whole in the window, int64 (beats, samples), each around its own mean."""
    before, length = round(BEAT_BEFORE_S * rate_hz), beat_samples(rate_hz)
    starts = [p - before for p in peaks if p >= before and p - before + length <= len(x)]
    stack = np.array([x[start : start + length] for start in starts], dtype=np.int64).reshape(-1, length)
    stack -= stack.sum(axis=1, keepdims=True) // length
    return stack


def _likeness(stack: NDArray[np.int64]) -> float:
    template = stack.sum(axis=0)
    thousandths = []
    for beat in stack:
        own, others = shortened(beat), shortened(template - beat)
        cross = int(own @ others)
        norm = math.isqrt(int(own @ own) * int(others @ others))
        thousandths.append(min(1000, (2000 * cross + norm) // (2 * norm)) if cross > 0 else 0)
    return (_twice_median(thousandths) + 1) // 2 / 1000


def shortened(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """`x`, int64 (n,), without the low bits of its magnitudes that the largest of them does not leave room for."""
    magnitudes = np.abs(x)
    shift = max(0, int(magnitudes.max()).bit_length() - _LIKENESS_BITS)
    return np.asarray(np.sign(x) * (magnitudes >> shift))
