"""Values of a signal between its samples."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SINC_HALF: Final = 16  # input samples to either side, more where the rate falls


def interpolate(
    samples: NDArray[np.float64], positions: NDArray[np.float64], band: float
) -> NDArray[np.float64]:
    """Values at fractional sample numbers, float64 of `positions`, by a Hann-windowed sinc; ends are repeated.

    band: what is kept of the band, as a share; below 1 where the new rate is the lower one.
    """
    half = int(np.ceil(SINC_HALF / band))
    whole = np.floor(positions).astype(np.int64)
    offsets = np.arange(1 - half, half + 1)
    distance = (positions - whole)[:, None] - offsets
    weights = np.sinc(distance * band) * np.cos(np.pi * distance / (2 * half)) ** 2
    index = np.clip(whole[:, None] + offsets, 0, len(samples) - 1)
    return np.asarray((samples[index] * weights).sum(axis=1) / weights.sum(axis=1), dtype=np.float64)
