"""What a record on disk turns into: one lead, or all of its signals, in millivolts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One lead of a record.

    samples_mv: float32, shape (n,), millivolts; NaN where the record marks a sample invalid or missing.
    rate_hz: the listed nominal rate. warnings: what was assumed, one sentence each.
    """

    name: str
    lead: str
    samples_mv: NDArray[np.float32]
    rate_hz: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signals:
    """All voltage signals of a record, at the rate that the record states.

    samples_mv: float64, shape (n_leads, n), millivolts; NaN where the record marks a sample invalid or missing.
    codes: int32, shape (n_leads, n), the converter's codes, or None where the record has none.
    comments: the header's comment lines without their sign. warnings: what was assumed, one sentence each.
    Raises RecordError where the shapes disagree or no sample is left.
    """

    name: str
    leads: tuple[str, ...]
    samples_mv: NDArray[np.float64]
    rate_hz: float
    comments: tuple[str, ...] = ()
    codes: NDArray[np.int32] | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.samples_mv.shape
        if len(shape) != 2 or shape[0] != len(self.leads):
            raise RecordError(f"{self.name}: {len(self.leads)} leads, found samples of shape {shape}")
        if shape[0] == 0 or shape[1] == 0:
            raise RecordError(f"{self.name} holds no samples; expected one at least")
        if self.codes is not None and self.codes.shape != shape:
            raise RecordError(f"{self.name}: codes of shape {self.codes.shape}, samples of shape {shape}")
