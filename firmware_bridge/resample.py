"""A record of any rate at the 130 Hz of the emulated sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_mi.errors import SignalError

from .polar_pmd import RATE_HZ

_ZERO_CROSSINGS = 16
_PASS_SHARE = 0.9  # of the lower Nyquist frequency
_KAISER_BETA = 8.0


def microvolts_at_130_hz(samples_mv: ArrayLike, rate_hz: float) -> NDArray[np.int64]:
    """Whole microvolts int64 (n,) at 130 Hz of float (m,) millivolts; a missing sample repeats the one before.

    By a sinc under a Kaiser window. Raises SignalError for a record without a finite sample.
    """
    samples = _filled(np.asarray(samples_mv, dtype=np.float64))
    if rate_hz != RATE_HZ:
        samples = _resampled(samples, rate_hz)
    return np.rint(samples * 1000).astype(np.int64)


def _filled(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.isfinite(samples)
    if not finite.any():
        raise SignalError("the record has no finite sample: there is nothing to emulate")
    last = np.maximum.accumulate(np.where(finite, np.arange(len(samples)), 0))
    last = np.where(finite[last], last, int(np.argmax(finite)))
    return np.asarray(samples[last], dtype=np.float64)


def _resampled(samples: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    cutoff = _PASS_SHARE * min(1.0, RATE_HZ / rate_hz)  # of the record's own Nyquist frequency
    half = int(np.ceil(_ZERO_CROSSINGS / cutoff))
    padded = np.pad(samples, half, mode="edge")
    at = np.arange(int(len(samples) * RATE_HZ / rate_hz)) * (rate_hz / RATE_HZ)
    nearest = np.floor(at).astype(np.int64)
    offsets = np.arange(-half + 1, half + 1)
    out = np.zeros(len(at))
    weight_sum = np.zeros(len(at))
    for offset in offsets:
        distance = at - (nearest + offset)
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (distance / half) ** 2)))
        weight = np.sinc(cutoff * distance) * window
        out += weight * padded[nearest + offset + half]
        weight_sum += weight
    return np.asarray(out / weight_sum, dtype=np.float64)
