"""The windows: those that every route is calibrated on, and those that every file is judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from edge_mi.export.check_windows import GOLDEN_S, check_records, check_windows
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_mi.checkpoint import CheckpointInfo
from edge_mi.errors import StoreError
from edge_mi.float_model import MAX_WINDOWS, MIN_WINDOWS, calibration_order
from edge_mi.netspec import NetSpec
from edge_mi.samples import FloatArray
from edge_mi.store import WindowStore

CALIBRATION_FOLDS = tuple(range(1, 9))
TEST_FOLD = 9


@dataclass(frozen=True, slots=True)
class Material:
    """calibration (m, samples) named by ids; windows (n, samples), the measured ones first; millivolts.

    groups: whose a window is, (n,): the patient, or the synthetic record. records: number of the measured record
    that each measured window is cut from. labels, patients: of the measured records; empty without a store.
    """

    calibration: FloatArray
    calibration_ids: list[str]
    calibrated: str
    windows: FloatArray
    groups: NDArray[np.str_]
    records: NDArray[np.int64]
    labels: NDArray[np.int64]
    patients: NDArray[np.str_]
    measured: str

    @property
    def measured_windows(self) -> slice:
        """The windows of the test fold; all where there is none."""
        return slice(0, len(self.records)) if len(self.records) else slice(None)


def gather(info: CheckpointInfo, store: WindowStore | None, *, seconds: float | None = None) -> Material:
    """Records of `store` and synthetic ECG, `seconds` of each of its records, or synthetic ECG alone.

    Raises StoreError where the records were filtered with another design, or are too few.
    """
    spec = info.net
    synthetic = check_windows(info.signal, spec, seconds)
    names = [f"synthetic {name}" for name, _ in check_records(GOLDEN_S)]
    windows = [np.concatenate(synthetic)]
    groups = [np.repeat(names, [len(run) for run in synthetic])]
    empty = np.zeros(0, dtype=np.int64)
    if store is None:
        few = np.concatenate(check_windows(info.signal, spec, GOLDEN_S))[::2][:MAX_WINDOWS]
        return Material(
            few,
            [f"synthetic {i}" for i in range(len(few))],
            "synthetic ECG",
            *(windows[0], groups[0], empty, empty, empty.astype(str)),
            "synthetic ECG",
        )
    store.check_filter(info.signal)
    name = store.manifest.source.name
    rows = store.rows_of(CALIBRATION_FOLDS)
    ids = store.ids_of(rows)
    chosen = calibration_order(ids)[:MAX_WINDOWS]
    test = store.rows_of((TEST_FOLD,))
    if len(chosen) < MIN_WINDOWS or len(set(store.labels[test].tolist())) < 2:
        raise StoreError(
            f"{len(rows)} records in folds {CALIBRATION_FOLDS[0]} to {CALIBRATION_FOLDS[-1]} and {len(test)} in fold "
            f"{TEST_FOLD}; at least {MIN_WINDOWS} are needed to calibrate on, and both classes to measure"
        )
    cut = _windows(store, test, spec)
    each = cut.shape[1]
    return Material(
        store.signals_mv(rows[chosen], missing_mv=0.0)[:, : spec.window_samples].astype(np.float64),
        [ids[i] for i in chosen],
        f"{name}, folds {CALIBRATION_FOLDS[0]} to {CALIBRATION_FOLDS[-1]}",
        np.concatenate([cut.reshape(-1, spec.window_samples), *windows]),
        np.concatenate([np.repeat(store.patients[test], each), *groups]),
        np.repeat(np.arange(len(test)), each),
        store.labels[test],
        store.patients[test],
        f"{name} fold {TEST_FOLD}",
    )


def _windows(store: WindowStore, rows: NDArray[np.int64], spec: NetSpec) -> FloatArray:
    """Windows float64 (records, windows, samples), one a hop."""
    signals = store.signals_mv(rows, missing_mv=0.0).astype(np.float64)
    views = sliding_window_view(signals, spec.window_samples, axis=1)[:, :: spec.hop_samples]
    return np.asarray(views, dtype=np.float64)
