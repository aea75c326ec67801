"""Activation ranges over windows of stored records, picked by the hash of their id."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_mi.checkpoint import CheckpointInfo, Ranges
from edge_mi.errors import StoreError
from edge_mi.float_model import MAX_WINDOWS, MIN_WINDOWS, Weights, calibration_order, measure_ranges
from edge_mi.netspec import NetSpec
from edge_mi.range_search import DEFAULT, RangeMethod
from edge_mi.store import WindowStore


def calibration_ranges(
    store: WindowStore,
    rows: NDArray[np.int64],
    spec: NetSpec,
    weights: Weights,
    method: RangeMethod = DEFAULT,
) -> Ranges:
    """Ranges over the first windows of at most 256 of the records `rows`.

    Raises StoreError for fewer records than ranges can be trusted on, records shorter than a window, or a signal
    that does not move.
    """
    if len(rows) < MIN_WINDOWS:
        raise StoreError(f"{len(rows)} records; activation ranges need at least {MIN_WINDOWS}")
    ids = store.ids_of(rows)
    chosen = calibration_order(ids)[:MAX_WINDOWS]
    windows_mv = store.signals_mv(rows[chosen], missing_mv=0.0)[:, : spec.window_samples]
    if windows_mv.shape[1] < spec.window_samples:
        raise StoreError(f"records of {windows_mv.shape[1]} samples; a window has {spec.window_samples}")
    try:
        return measure_ranges(spec, weights, windows_mv, [ids[i] for i in chosen], method)
    except ValueError as exc:
        raise StoreError(f"no activation ranges from {len(chosen)} records: {exc}") from exc


def trained_on(info: CheckpointInfo, store: WindowStore, rows: NDArray[np.int64]) -> list[str]:
    """Records among `rows` that a checkpoint's ranges were measured on, which are records that it was trained on."""
    if store.manifest.source.name not in {data.name for data in info.provenance.data}:
        return []  # the same number in another data set is another record
    known = set(info.ranges.window_ids)
    return [record_id for record_id in store.ids_of(rows) if record_id in known]
