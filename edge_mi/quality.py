"""Whether a window can be judged at all: by rule before any index, because indices do not carry over."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.chain.polyphase import to_grid
from edge_mi.decision import Reason
from edge_mi.heartbeats import find_heartbeats
from edge_mi.samples import FloatArray
from edge_mi.signal_design import MV_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """Limits of what is judged; they travel in the bundle.

    flat_run_s: identical raw samples in a row. flat_span_mv: smallest swing of a filtered window.
    saturated_s: time spent at the extreme raw value in runs, if that lies saturated_mv from the mean.
    noise_span_mv, wrong_gain_span_mv: largest swing of a filtered window. min_quality: likeness of the beats.
    """

    flat_run_s: float
    flat_span_mv: float
    saturated_s: float
    saturated_mv: float
    noise_span_mv: float
    wrong_gain_span_mv: float
    min_quality: float

    def __post_init__(self) -> None:
        spans = (self.flat_run_s, self.saturated_s, self.noise_span_mv, self.wrong_gain_span_mv)
        if not (min(spans) > 0 and self.flat_span_mv >= 0 and self.saturated_mv >= 0):
            raise ValueError(f"quality limits are times and voltages above 0, found {self}")
        if not 0 <= self.min_quality <= 1:
            raise ValueError(f"min_quality lies between 0 and 1, found {self.min_quality}")


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of one window: why it cannot be judged (or None), and what its beats look like.

    beat: their sum, as `Heartbeats` has it.
    """

    reason: Reason | None
    quality: float | None
    heart_rate_bpm: float | None
    beat: tuple[int, ...] | None = None


def assess(
    raw_mv: FloatArray, raw_rate_hz: int, window_mv: FloatArray, rate_hz: int, limits: QualityLimits
) -> Quality:
    """Quality of one window: `raw_mv` float64 (n,) as the sensor gave it, `window_mv` float64 (m,) filtered.

    All of it is computed in integers of 2^-14 mV, as the C firmware does, so that both say the same.
    """
    raw, window = (np.rint(x * (1 << MV_BITS)).astype(np.int64) for x in (to_grid(raw_mv), window_mv))
    reason = _rule(raw, raw_rate_hz, window, limits)
    if reason is not None:
        return Quality(reason, None, None)
    beats = find_heartbeats(window, rate_hz)
    if beats.heart_rate_bpm is None:
        reason = "lead_off"
    elif beats.likeness is not None and beats.likeness < limits.min_quality:
        reason = "noise"
    return Quality(reason, beats.likeness, beats.heart_rate_bpm, beats.beat)


def _rule(
    raw: NDArray[np.int64], raw_rate_hz: int, window: NDArray[np.int64], limits: QualityLimits
) -> Reason | None:
    span = int(window.max() - window.min()) / (1 << MV_BITS)
    if span > limits.wrong_gain_span_mv:
        return "wrong_gain"
    if _longest_constant_run(raw) >= limits.flat_run_s * raw_rate_hz or span < limits.flat_span_mv:
        return "flat"
    if _samples_at_extremes(raw, limits.saturated_mv) >= limits.saturated_s * raw_rate_hz:
        return "saturated"
    return "noise" if span > limits.noise_span_mv else None


def _longest_constant_run(x: NDArray[np.int64]) -> int:
    changes = np.flatnonzero(np.diff(x) != 0)
    edges = np.concatenate([[-1], changes, [len(x) - 1]])
    return int(np.diff(edges).max())


def _samples_at_extremes(x: NDArray[np.int64], min_distance_mv: float) -> int:
    """Samples in runs of at least three at the largest or smallest value, if that is far from the mean."""
    n, total = len(x), int(x.sum())
    distance = math.ceil(min_distance_mv * (1 << MV_BITS))
    count = 0
    for extreme in {int(x.max()), int(x.min())}:
        if abs(n * extreme - total) < n * distance:
            continue
        at = np.flatnonzero(x == extreme)
        runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
        count += sum(len(run) for run in runs if len(run) >= 3)
    return count
