"""Whether lead I stands upright: swapped arm electrodes turn it over, and a network answers as if nothing were wrong.

P wave, QRS and T wave of most hearts point up in lead I. How far the mean beat of a window looks like that is its
correlation with a learned table, computed in integers and exactly odd: a window turned over gives the opposite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from edge_mi.heartbeats import beat_samples, shortened

PolarityMode: TypeAlias = Literal["check", "trust"]
POLARITY_MODES: Final[tuple[PolarityMode, ...]] = ("check", "trust")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarityCheck:
    """The table and the limits of the check, with what they gave; they travel in the bundle.

    weights: one for each sample of a beat at the model's rate, -127..127. inverted_permille: a stream whose mean
    correlation, in thousandths, lies here or below is upside down; upright_permille: until it is here or above
    again. memory_s: how far back the mean reaches. caught: share of records turned over that one window refuses;
    refused: that of records as they are; both on chosen_on, out of fold, n of them.
    Raises ValueError for limits that are none.
    """

    weights: tuple[int, ...]
    inverted_permille: int
    upright_permille: int
    memory_s: float
    caught: float
    refused: float
    n: int
    chosen_on: str

    def __post_init__(self) -> None:
        if not any(self.weights) or max(map(abs, self.weights)) > 127:
            raise ValueError("polarity weights lie within -127..127, and not all of them are 0")
        if not -1000 <= self.inverted_permille < self.upright_permille <= 1000:
            raise ValueError(
                f"polarity is inverted at {self.inverted_permille} and upright at {self.upright_permille}; expected "
                "-1000 <= inverted < upright <= 1000"
            )
        if not 0 < self.memory_s <= 3600:
            raise ValueError(f"polarity memory of {self.memory_s} s; expected more than 0 and up to 3600")

    def check_rate(self, rate_hz: int) -> None:
        """Raises ValueError where the table is not of beats at `rate_hz`."""
        expected = beat_samples(rate_hz)
        if len(self.weights) != expected:
            raise ValueError(
                f"{len(self.weights)} polarity weights, a beat at {rate_hz} Hz has {expected} samples"
            )

    def memory_windows(self, hop_s: float) -> int:
        """How many windows, a hop apart, the mean reaches back; at least 1."""
        return max(1, int(self.memory_s / hop_s))


class PolarityWatch:
    """The polarity of one stream: electrodes do not change places from one second to the next.

    The mean is plain until `memory_s` is full, and forgets exponentially from then on, so that electrodes that
    were put right are believed again.
    """

    def __init__(self, check: PolarityCheck, hop_s: float) -> None:
        self._check = check
        self._most = check.memory_windows(hop_s)
        self._sum = self._count = 0
        self.inverted = False

    def step(self, beat: Sequence[int] | None) -> bool:
        """Take the beats of a window that can be judged, None where it has too few; True while upside down."""
        check = self._check
        if beat is not None:
            if self._count < self._most:
                self._count += 1
            else:
                self._sum -= _towards_zero(self._sum, self._most)
            self._sum += correlation_permille(beat, check.weights)
            if self.inverted:
                self.inverted = self._sum < check.upright_permille * self._count
            else:
                self.inverted = self._sum <= check.inverted_permille * self._count
        return self.inverted

    def forget(self) -> None:
        """Know nothing of the electrodes: at the start, and after a restart of the sensor."""
        self._sum = self._count = 0
        self.inverted = False


def correlation_permille(beat: Sequence[int], weights: Sequence[int]) -> int:
    """Correlation of summed beats, (n,) in units of 2^-14 mV, with `weights` (n,), thousandths, -1000..1000.

    Exactly odd in `beat`, and the same for every constant that is added to it; 0 for a flat one.
    """
    x = np.asarray(beat, dtype=np.int64)
    w = np.asarray(weights, dtype=np.int64)
    x = shortened(len(x) * x - x.sum())
    cross = int(x @ w)
    norm = math.isqrt(int(x @ x) * int(w @ w))
    if norm == 0:
        return 0
    size = min(1000, (2000 * abs(cross) + norm) // (2 * norm))
    return size if cross > 0 else -size


def _towards_zero(a: int, b: int) -> int:
    return a // b if a >= 0 else -(-a // b)
