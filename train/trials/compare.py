"""Trials measured in pairs: mean AUROC over seeds, and the difference to what it changes, with two intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.metrics import auroc
from edge_mi.store import WindowStore

from ..bootstrap import RESAMPLES
from ..config import Recipe
from ..crossfit import (
    INNER,
    Split,
    all_folds,
    check_groups,
    merge_folds,
    outer_splits,
    soft_labels,
    train_students,
    with_inner,
)
from ..evaluate import Task, tasks
from ..finetune import StudentRequest
from ..fold_figures import COMPARED_IN_PAIRS, paired_auroc
from ..parts import RunFolder
from ..splits import CROSS_VALIDATION_GROUPS, Folds
from .catalogue import SCRATCH, TRIALS, Trial
from .change import UNCHANGED
from .part import TrialRequest, trial_part

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean AUROC minus that of the other; intervals over patients, and over patients and seeds (`resamples.py`)."""

    value: float
    patients: tuple[float, float] | None
    patients_and_seeds: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A trial in one comparison: AUROC of `each` seed; `minus` is None for what the others are compared with."""

    task: str
    n: int
    n_positive: int
    each: tuple[float, ...]
    minus: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a trial."""

    name: str
    words: str
    against: str
    outcomes: tuple[Outcome, ...]


def run_trials(
    run: RunFolder,
    recipe: Recipe,
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    groups: tuple[Folds, ...] = CROSS_VALIDATION_GROUPS,
    resamples: int = RESAMPLES,
) -> tuple[Tried, ...]:
    """Scratch and the trials `names`, in this order; goes on from the finished parts of the run.

    recipe: without alignment. The splits are those of `cross_validate`, whose run folder has the teachers already.
    """
    store = run.store
    splits = outer_splits(groups)
    check_groups(store, groups, inner=INNER)
    # what `cross_validate` asks of them, so that its parts serve again
    soft = soft_labels(run, recipe, with_inner(splits), "inner 12-lead teachers")[: len(splits)]
    catalogue = {SCRATCH: Trial(words="the recipe without alignment", against=""), **TRIALS}
    asked = dict.fromkeys([SCRATCH, *(catalogue[name].against for name in names), *names])
    logits = {
        name: _logits(run, recipe, name, catalogue[name], splits, soft, seeds) for name in asked if name
    }
    compared = [
        task for task in tasks(store, store.rows_of(all_folds(groups))) if task.name in COMPARED_IN_PAIRS
    ]
    found = []
    for name in logits:
        trial = catalogue[name]
        outcomes = [
            _outcome(store, task, logits[name], logits.get(trial.against), resamples) for task in compared
        ]
        found.append(Tried(name=name, words=trial.words, against=trial.against, outcomes=tuple(outcomes)))
    return tuple(found)


def _logits(
    run: RunFolder,
    recipe: Recipe,
    name: str,
    trial: Trial,
    splits: Sequence[Split],
    soft: Sequence[Logits],
    seeds: Sequence[int],
) -> list[Logits]:
    """For each seed the logits (records,), pooled over the splits."""
    tried = trial.of(recipe)
    frames = tried.student.net.frames
    if trial.change == UNCHANGED:
        results = train_students(run, tried, splits, soft, seeds, (frames,), name)
        pooled, key = [part for seed in results for part in seed], f"logits_{frames}"
    else:
        requests = [
            StudentRequest(
                config=tried.student, train_folds=train, predict_folds=test, frames=(frames,), seed=seed
            )
            for seed in seeds
            for train, test in splits
        ]
        parts = [
            trial_part(TrialRequest(student=request, change=trial.change), soft[i % len(splits)])
            for i, request in enumerate(requests)
        ]
        pooled, key = run.compute(parts, name), "logits"
    held_out = [test for _, test in splits]
    return [
        merge_folds(
            run.store,
            [(test, part[key]) for test, part in zip(held_out, pooled[i : i + len(splits)], strict=True)],
        )
        for i in range(0, len(pooled), len(splits))
    ]


def _outcome(
    store: WindowStore, task: Task, own: list[Logits], other: list[Logits] | None, resamples: int
) -> Outcome:
    labels = store.labels[task.rows]
    minus = None
    if other is not None:
        found = paired_auroc(store, task, own, other, resamples=resamples)
        minus = Difference(value=found.value, patients=found.interval, patients_and_seeds=found.with_seeds)
    return Outcome(
        task=task.name,
        n=len(task.rows),
        n_positive=int(labels.sum()),
        each=tuple(auroc(labels, each[task.rows].astype(np.float64)) for each in own),
        minus=minus,
    )
