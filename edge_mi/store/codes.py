"""Millivolts as the int16 codes of a store, and back."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import StoreError

CODES_PER_MV: Final = 4096
LARGEST_CODE: Final = 32767
MISSING_CODE: Final = -32768


def to_codes(signals_mv: NDArray[np.float64]) -> tuple[NDArray[np.int16], int]:
    """Millivolts of any shape as int16 codes of 2^-12 mV, half to even, and how many had to be clipped.

    NaN, a missing sample, becomes -32768. Raises StoreError for an infinite sample.
    """
    infinite = int(np.isinf(signals_mv).sum())
    if infinite:
        raise StoreError(
            f"{infinite} samples are infinite; expected millivolts, or NaN where they are missing"
        )
    scaled = np.rint(signals_mv * float(CODES_PER_MV))
    clipped = int((np.abs(scaled) > LARGEST_CODE).sum())
    held = np.clip(scaled, -LARGEST_CODE, LARGEST_CODE)
    return np.where(np.isnan(held), MISSING_CODE, held).astype(np.int16), clipped


def to_millivolts(codes: NDArray[np.int16], missing_mv: float) -> NDArray[np.float32]:
    """Codes of any shape as float32 millivolts, `missing_mv` where a sample is missing."""
    signals: NDArray[np.float32] = codes.astype(np.float32)
    signals /= np.float32(CODES_PER_MV)
    signals[codes == MISSING_CODE] = missing_mv
    return signals
