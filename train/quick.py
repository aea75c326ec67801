"""One pass from a window store to a checkpoint: teachers, students, calibration, ranges, figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_mi import checkpoint as ck
from edge_mi.errors import ConfigError, StoreError
from edge_mi.ranges import calibration_ranges
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

from .bootstrap import RESAMPLES
from .calibrate import DEFAULT_POINT, fit_platt, operating_points, probabilities
from .config import Recipe
from .crossfit import StudentJob, inner_splits, soft_labels, train_students, train_teachers
from .evaluate import evaluate
from .finetune import folded_weights
from .parts import WORKERS, Arrays, RunFolder
from .provenance import commit, versions
from .splits import Folds, check_folds


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickRun:
    """Folds to train on, one fold to print figures for, and the seed; `command` goes into the checkpoint."""

    folds: Folds
    test_fold: int
    seed: int
    command: str
    resamples: int = RESAMPLES

    def __post_init__(self) -> None:
        check_folds((*self.folds, self.test_fold))
        if self.test_fold in self.folds:
            raise ConfigError(f"fold {self.test_fold} is trained on; a test fold must be another")


def train_quick(
    store_path: Path,
    run_path: Path,
    quick: QuickRun,
    recipe: Recipe,
    design: SignalDesign,
    *,
    workers: int = WORKERS,
) -> ck.Checkpoint:
    """Train, calibrate and measure one network; goes on from the finished parts in `run_path`.

    The test fold is only measured. Probabilities and thresholds come from students cross-fitted inside the
    training folds; the soft labels that these learn from were made by teachers of which some saw the held-out
    labels, an influence on two parameters that is accepted to spare a second level of teachers.
    Raises StoreError where the store is of another design or has no record in a fold.
    """
    run = RunFolder(run_path, store_path, workers=workers)
    store = run.store
    store.check_filter(design)
    for fold in (*quick.folds, quick.test_fold):
        if len(store.rows_of((fold,))) == 0:
            raise StoreError(f"the store has no record of fold {fold}")
    *inner, final = _students(run, recipe, quick)
    frames = recipe.student.net.frames
    rows, test = store.rows_of(quick.folds), store.rows_of((quick.test_fold,))
    out_of_fold = np.full(len(store), np.nan, dtype=np.float32)
    for part in inner:
        logits = part[f"logits_{frames}"]
        out_of_fold = np.where(np.isfinite(logits), logits, out_of_fold)
    weights = folded_weights(final, recipe.student.net.layer_names)
    trained = f"{store.manifest.source.name}, folds {_span(quick.folds)}"
    crossfitted = f"{trained}, {len(rows)} records, out-of-fold logits of cross-fitted networks"
    labels = store.labels[rows]
    calibration = fit_platt(out_of_fold[rows], labels, crossfitted)
    p = probabilities(calibration, out_of_fold[rows])
    measured = f"{store.manifest.source.name} fold {quick.test_fold}, whole records from the window store"
    metrics = (
        *evaluate(
            store, test, final[f"logits_{frames}"], calibration,
            source=measured, command=quick.command, resamples=quick.resamples,
        ),
        *evaluate(
            store, rows, out_of_fold, None, source=crossfitted, command=quick.command, resamples=quick.resamples
        ),
    )  # fmt: skip
    info = ck.CheckpointInfo(
        schema=ck.SCHEMA,
        net=recipe.student.net,
        signal=design,
        ranges=calibration_ranges(store, rows, recipe.student.net, weights, recipe.ranges),
        calibration=calibration,
        operating_points=operating_points(p, labels, crossfitted),
        default_operating_point=DEFAULT_POINT,
        metrics=metrics,
        provenance=_provenance(store, rows, quick),
    )
    return ck.Checkpoint(info, weights)


def _students(run: RunFolder, recipe: Recipe, quick: QuickRun) -> list[Arrays]:
    """Results of one student for each inner split, and of the final one last."""
    inner = inner_splits(quick.folds)
    final = (quick.folds, (quick.test_fold,))
    aligned = recipe.align is not None
    # only alignment needs a teacher that saw all training folds
    teachers = train_teachers(run, recipe, [*inner, final] if aligned else inner, "12-lead teachers")
    soft = soft_labels(teachers[: len(inner)])
    jobs = [
        StudentJob(
            split=split,
            seed=quick.seed,
            soft_logits=soft,
            embedding=teachers[i][0]["embedding"] if aligned else None,
        )
        for i, split in enumerate([*inner, final])
    ]
    return train_students(run, recipe, jobs, (recipe.student.net.frames,), "lead-I networks")


def _provenance(store: WindowStore, rows: NDArray[np.int64], quick: QuickRun) -> ck.Provenance:
    source = store.manifest.source
    data = ck.DataSource(
        name=source.name,
        version=source.version,
        licence=source.licence,
        records=len(rows),
        patients=len(set(store.patients[rows])),
        selection=f"folds {_span(quick.folds)} of: {source.selection}",
    )
    return ck.Provenance(
        data=(data,),
        labels=source.label_rule,
        command=quick.command,
        commit=commit(),
        seed=quick.seed,
        versions=versions(),
    )


def _span(folds: Folds) -> str:
    if len(folds) > 1 and folds == tuple(range(folds[0], folds[-1] + 1)):
        return f"{folds[0]}-{folds[-1]}"
    return ",".join(map(str, folds))
