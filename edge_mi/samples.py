"""What a source of ECG yields: chunks of samples and gaps between them (contract C2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import SignalError

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive samples of lead I.

    t_s: time of the first sample in seconds on the sensor's clock, zero at the stream's first sample.
    samples_mv: float, shape (n,), millivolts; a missing sample is NaN.
    rate_hz: the nominal rate, fixed for the whole stream (an estimated rate moves only t_s).
    index: the sensor's own number of the first sample; samples lost in a gap are counted.
    contact: whether the electrodes touched skin, as the patch says; None where it does not say.
    Raises SignalError for another shape, no samples, or a rate that is not positive, or a time that is none.
    """

    t_s: float
    samples_mv: FloatArray
    rate_hz: float
    index: int
    contact: bool | None = None

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples_mv, dtype=np.float64)
        if samples.ndim != 1 or samples.size == 0:
            raise SignalError(f"a chunk holds one row of samples, found shape {samples.shape}")
        if not (math.isfinite(self.t_s) and self.index >= 0):
            raise SignalError(
                f"a chunk starts at t_s {self.t_s} and index {self.index}; expected numbers, index from 0"
            )
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise SignalError(f"a chunk needs a positive rate, found {self.rate_hz} Hz")
        object.__setattr__(self, "samples_mv", samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Samples that the sensor made and nobody received.

    t_s: time of the first missing sample in seconds on the sensor's clock.
    n_samples: how many are missing; None where that cannot be known (the sensor restarted).
    cause: one word for the user, such as `lost`, `link_lost`, `not_finite`, `restart`.
    """

    t_s: float
    n_samples: int | None
    cause: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.t_s):
            raise SignalError(f"a gap starts at t_s {self.t_s}; expected a number")
        if self.n_samples is not None and self.n_samples < 1:
            raise SignalError(f"a gap has at least one sample, found {self.n_samples}")


Item: TypeAlias = Chunk | Gap


def end_s(item: Item) -> float:
    """Time after a chunk's last sample, or at which a gap begins, in seconds of the stream."""
    return item.t_s + (len(item.samples_mv) / item.rate_hz if isinstance(item, Chunk) else 0.0)
