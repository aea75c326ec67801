"""A record of any rate as the integers of an emulated sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_mi.errors import SignalError

_ZERO_CROSSINGS = 16
_PASS_SHARE = 0.9  # of the lower Nyquist frequency
_KAISER_BETA = 8.0


def codes_at(samples_mv: ArrayLike, rate_hz: float, to_hz: float, codes_per_mv: float) -> NDArray[np.int64]:
    """Codes int64 (n,) at `to_hz` of float (m,) millivolts at `rate_hz`; a missing sample repeats the one before.

    By a sinc under a Kaiser window. Raises SignalError for a record without a finite sample.
    """
    samples = _filled(np.asarray(samples_mv, dtype=np.float64))
    if rate_hz != to_hz:
        samples = _resampled(samples, rate_hz, to_hz)
    return np.rint(samples * codes_per_mv).astype(np.int64)


def _filled(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.isfinite(samples)
    if not finite.any():
        raise SignalError("the record has no finite sample: there is nothing to emulate")
    last = np.maximum.accumulate(np.where(finite, np.arange(len(samples)), 0))
    last = np.where(finite[last], last, int(np.argmax(finite)))
    return np.asarray(samples[last], dtype=np.float64)


def _resampled(samples: NDArray[np.float64], rate_hz: float, to_hz: float) -> NDArray[np.float64]:
    cutoff = _PASS_SHARE * min(1.0, to_hz / rate_hz)  # of the record's own Nyquist frequency
    half = int(np.ceil(_ZERO_CROSSINGS / cutoff))
    padded = np.pad(samples, half, mode="edge")
    at = np.arange(int(len(samples) * to_hz / rate_hz)) * (rate_hz / to_hz)
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
