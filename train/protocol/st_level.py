"""The ST level in every lead of a record: J + 60 ms against the PQ level, on the median beat.

The beat is found once for all leads: R peaks in the lead with the largest median beat, the ends of the QRS from
the speed of all leads together, so that a lead whose own QRS is flat is measured at the right place. The
linear-phase filter of a store keeps the ST level (docs/architecture.md, 3).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from edge_mi.heartbeats import r_peaks
from edge_mi.signal_design import MV_BITS
from edge_mi.store import WindowStore

from ..resamples import Floats

AFTER_J_S: Final = 0.060
PQ_BEFORE_S: Final = (0.030, 0.010)  # before the onset of the QRS
FEWEST_BEATS: Final = 3
BEFORE_S, AFTER_S = 0.25, 0.30
STEP_S: Final = 0.002  # the median beat is interpolated: J is found between samples of 10 ms
# of the largest speed in the QRS: the median QRS of PTB-XL is then 88 ms, as it should be (folds 1 to 9)
QUIET: Final = 0.08
QUIET_S: Final = 0.016  # for how long, before the QRS is over
LONGEST_S: Final = (0.12, 0.16)  # of a QRS before and after the R peak


def st_levels(signals_mv: NDArray[np.floating], rate_hz: int) -> Floats:
    """ST levels in mV, float64 (leads,), of filtered signals (leads, samples).

    NaN in every lead where there are fewer than three whole beats or no end of the QRS.
    """
    signals = np.asarray(signals_mv, dtype=np.float64)
    unknown = np.full(len(signals), np.nan)
    peaks = _peaks(signals, rate_hz)
    if len(peaks) < FEWEST_BEATS:
        return unknown
    before, after = round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz)
    beat = np.median([signals[:, peak - before : peak + after + 1] for peak in peaks], axis=0)
    spline = CubicSpline((np.arange(before + after + 1) - before) / rate_hz, beat, axis=1)
    t_s = np.arange(-BEFORE_S, AFTER_S, STEP_S)
    speed = np.sqrt((spline(t_s, 1) ** 2).sum(axis=0))
    bounds = _qrs(t_s, speed)
    if bounds is None:
        return unknown
    onset_s, j_s = bounds
    pq = spline(np.arange(onset_s - PQ_BEFORE_S[0], onset_s - PQ_BEFORE_S[1] + STEP_S / 2, STEP_S)).mean(
        axis=1
    )
    return np.asarray(spline(j_s + AFTER_J_S) - pq, dtype=np.float64)


def measure_st(store: WindowStore, rows: NDArray[np.int64]) -> Floats:
    """ST levels of all leads of `rows`, float64 (len(rows), leads), millivolts; NaN where there is none to measure."""
    scale = store.manifest.codes_per_mv
    return np.stack([st_levels(store.codes[row] / scale, store.manifest.rate_hz) for row in rows])


def _peaks(signals: Floats, rate_hz: int) -> list[int]:
    """R peaks with a whole beat around them, in the lead whose beats are largest."""
    before, after = round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz)
    best: list[int] = []
    largest = 0.0
    for signal in signals:
        found = r_peaks(np.rint(signal * (1 << MV_BITS)).astype(np.int64), rate_hz)
        whole = [peak for peak in found if peak >= before and peak + after < len(signal)]
        size = float(np.median(np.abs(signal[whole]))) if len(whole) >= FEWEST_BEATS else 0.0
        if size > largest:
            best, largest = whole, size
    return best


def _qrs(t_s: Floats, speed: Floats) -> tuple[float, float] | None:
    """Onset of the QRS and its end, the J point, in s from the R peak; None where it does not end in time."""
    inside = (t_s > -LONGEST_S[0]) & (t_s < LONGEST_S[1])
    top = int(np.argmax(np.where(np.abs(t_s) < 0.06, speed, 0.0)))
    quiet = speed < QUIET * speed[top]
    length = round(QUIET_S / STEP_S)
    starts = np.flatnonzero(np.convolve(quiet, np.ones(length), "valid") == length)
    after = starts[starts > top]
    ends = starts[starts + length - 1 < top] + length - 1
    if len(after) == 0 or len(ends) == 0 or not (inside[after[0]] and inside[ends[-1]]):
        return None
    return float(t_s[ends[-1]]), float(t_s[after[0]])
