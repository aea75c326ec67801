"""The median beat of all twelve leads as a target: what the heart looks like from where lead I is not."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.heartbeats import r_peaks
from edge_mi.signal_design import MV_BITS
from edge_mi.store import MISSING_CODE, WindowStore

BEFORE_S, AFTER_S = 0.25, 0.45
FEWEST_BEATS: Final = 3
COMPONENTS: Final = 32


def beat_targets(
    store: WindowStore, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Principal components of each record's median beat, float32 (records, COMPONENTS), and 1 where it has one.

    Components and their deviations are those of `rows`; a record without three whole beats is 0 and not known.
    """
    beats = [_median_beat(store, row) for row in range(len(store))]
    known = np.array([beat is not None for beat in beats])
    size = next(beat.size for beat in beats if beat is not None)
    flat = np.stack([np.zeros(size) if beat is None else beat.ravel() for beat in beats])
    learned = flat[rows[known[rows]]]
    centre = learned.mean(axis=0)
    axes = np.linalg.svd(learned - centre, full_matrices=False)[2][:COMPONENTS]
    scores = (flat - centre) @ axes.T
    scores /= scores[rows[known[rows]]].std(axis=0)
    return np.where(known[:, None], scores, 0).astype(np.float32), known.astype(np.float32)


def _median_beat(store: WindowStore, row: int) -> NDArray[np.float64] | None:
    """Median over the beats of lead I's R peaks, millivolts (leads, samples)."""
    rate_hz = store.manifest.rate_hz
    codes = store.codes[row]
    signals = np.where(codes == MISSING_CODE, 0, codes) / store.manifest.codes_per_mv
    lead_i = np.rint(signals[store.lead_index("I")] * (1 << MV_BITS)).astype(np.int64)
    before, after = round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz)
    peaks = [p for p in r_peaks(lead_i, rate_hz) if p >= before and p + after <= signals.shape[1]]
    if len(peaks) < FEWEST_BEATS:
        return None
    return np.asarray(np.median([signals[:, p - before : p + after] for p in peaks], axis=0))
