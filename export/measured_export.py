"""Export against a window store: ranges from its records, figures on one of its folds, in float and in int8."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edge_mi.bundle import Bundle
from edge_mi.checkpoint import Checkpoint, Metric
from edge_mi.errors import ConfigError, ExportDisagreement, StoreError
from edge_mi.metrics import Interval, bootstrap_auroc, bootstrap_auroc_difference
from edge_mi.progress import Progress
from edge_mi.range_search import DEFAULT, RangeMethod
from edge_mi.ranges import calibration_ranges, trained_on
from edge_mi.runners.choose import open_runner
from edge_mi.runners.ort import OrtFloatRunner
from edge_mi.samples import FloatArray
from edge_mi.signature import SigningKey
from edge_mi.store import WindowStore

from .agreement import AgreementLimits
from .bundle_writer import NOTHING_MORE, ExportResult, Extras, export_bundle, write_unchecked
from .drafts import draft_folder
from .quantise import quantise
from .target_report import report_target
from .targets import Target

TASK = "mi_vs_all"


def export_measured(
    checkpoint: Checkpoint,
    out: Path,
    data: Path,
    *,
    test_fold: int | None = None,
    ranges: RangeMethod | None = None,
    force: bool = False,
    limits: AgreementLimits | None = None,
    extras: Extras = NOTHING_MORE,
    sign: SigningKey | None = None,
    target: Target | None = None,
    command: str | None = None,
) -> ExportResult:
    """Write the bundle of `checkpoint` with ranges and figures from the store `data`.

    test_fold: measured on, and kept out of the ranges; the store's last by default. ranges: how they are chosen;
    by percentiles by default, except that learned ranges stay. command: what the figures say that they are made by,
    less the fold. The calibration map and the operating points stay
    the checkpoint's. Raises StoreError for a store of another filter or too small, ConfigError for a fold that is
    not there or holds one class, or for `ranges` where they were learned, ExportDisagreement where int8 costs more
    AUROC than `limits` allow, and what `export_bundle` raises.
    """
    store = WindowStore.open(data)
    info = checkpoint.info
    if info.ranges.learned and ranges is not None:
        raise ConfigError(
            f"--ranges {ranges}; the ranges of this checkpoint were trained together with its weights "
            f"({info.ranges.method}): leave --ranges out"
        )
    store.check_filter(info.signal)
    folds = sorted(set(store.folds.tolist()))
    fold = folds[-1] if test_fold is None else test_fold
    if fold not in folds:
        raise ConfigError(f"--test-fold {fold}; the store has folds {', '.join(map(str, folds))}")
    rows = store.rows_of((fold,))
    others = store.rows_of(other for other in folds if other != fold)
    if len(set(store.labels[rows].tolist())) < 2:
        raise ConfigError(f"fold {fold} has {len(rows)} records of one class; choose another --test-fold")
    seen = trained_on(info, store, rows)
    if seen:
        raise ConfigError(
            f"fold {fold} holds {len(seen)} records that the checkpoint's ranges come from, such as {seen[0]}: it was "
            "trained on them, and a figure on them says nothing; choose a --test-fold that it never saw"
        )
    if not len(others):
        raise StoreError(f"the store has fold {fold} only; ranges need records of another")
    if info.ranges.learned:
        recalibrated = checkpoint
    else:
        found = calibration_ranges(store, others, info.net, checkpoint.weights, ranges or DEFAULT)
        recalibrated = Checkpoint(replace(info, ranges=found), checkpoint.weights)
    windows = _windows(store, rows, info.net.window_samples, info.net.hop_samples)
    if command is None:
        asked = f" --ranges {ranges}" if ranges is not None else ""
        command = f"edge-mi export --int8 --data {shlex.quote(data.name)}{asked}"
    command = f"{command} --test-fold {fold}"
    # the figures go into the bundle, so the files that they are measured on are written first, and once more with them
    with draft_folder() as folder:
        net = quantise(recalibrated)
        draft, content, _ = write_unchecked(recalibrated, net, folder)
        if target is not None and extras.firmware is None:  # what does not fit is not worth measuring
            report_target(net, content, target)
        metrics = _measure(draft, store, rows, windows, fold, command)
    limits = limits or AgreementLimits()
    lost = next(metric for metric in metrics if metric.name == "auroc_int8_minus_float")
    if abs(lost.value) > limits.auroc_difference:
        interval = "" if lost.interval is None else f" ({lost.interval[0]:+.4f} to {lost.interval[1]:+.4f})"
        raise ExportDisagreement(
            f"AUROC of int8 minus float is {lost.value:+.4f}{interval} on fold {fold}, at most "
            f"{limits.auroc_difference:g} may differ; no bundle was written"
        )
    return export_bundle(
        recalibrated,
        out,
        force=force,
        limits=limits,
        extra_runs=list(windows),
        metrics=metrics,
        extras=extras,
        sign=sign,
        target=target,
    )


def measure_fold(bundle: Bundle, store: WindowStore, fold: int, command: str) -> tuple[Metric, ...]:
    """AUROC on a fold of `store` in float and in int8, and their difference in pairs."""
    rows, net = store.rows_of((fold,)), bundle.info.net
    return _measure(
        bundle, store, rows, _windows(store, rows, net.window_samples, net.hop_samples), fold, command
    )


def _windows(store: WindowStore, rows: np.ndarray, samples: int, hop: int) -> FloatArray:
    """Windows float64 (records, windows, samples) of lead I, one a hop."""
    signals = store.signals_mv(rows, missing_mv=0.0).astype(np.float64)
    return np.asarray(sliding_window_view(signals, samples, axis=1)[:, ::hop], dtype=np.float64)


def _measure(
    bundle: Bundle, store: WindowStore, rows: np.ndarray, windows: FloatArray, fold: int, command: str
) -> tuple[Metric, ...]:
    info = bundle.info
    runner, reference = open_runner(bundle), OrtFloatRunner(bundle)
    int8, real = np.empty(windows.shape[:2]), np.empty(windows.shape[:2])
    with Progress(len(windows), f"measuring fold {fold}") as progress:
        for i, record in enumerate(windows):
            for j, window in enumerate(record):
                codes = info.input.quantise(window)
                int8[i, j] = bundle.logit(int(runner.run(codes)[0]))
                real[i, j] = reference.run(window.astype(np.float32))[0]
            progress.advance()
    labels, patients = store.labels[rows], store.patients[rows]
    means = {"float": real.mean(axis=1), "int8": int8.mean(axis=1)}

    def metric(name: str, arithmetic: Literal["float", "int8"], found: Interval) -> Metric:
        return Metric(
            name=name,
            task=TASK,
            arithmetic=arithmetic,
            value=found.value,
            interval=(found.low, found.high),
            n=found.n,
            n_positive=found.n_positive,
            source=f"{store.manifest.source.name} fold {fold}, windows of the store",
            command=command,
        )

    return (
        metric("auroc", "float", bootstrap_auroc(labels, means["float"], patients)),
        metric("auroc", "int8", bootstrap_auroc(labels, means["int8"], patients)),
        metric(
            "auroc_int8_minus_float",
            "int8",
            bootstrap_auroc_difference(labels, means["int8"], means["float"], patients),
        ),
    )
