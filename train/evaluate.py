"""What a network's logits are worth: on all records, on the hard ones, and beside what age alone gives.

A lead-I network here mostly separates normal and young from abnormal. MI against the other abnormal records
and AUROC inside bands of age say more than the headline, so they are part of every evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.checkpoint import Calibration, Metric
from edge_mi.metrics import auprc, auroc, brier, expected_calibration_error, sensitivity_at_specificity
from edge_mi.store import LabelledRecords, WindowStore

from .bootstrap import RESAMPLES, Estimate, bootstrap
from .calibrate import probabilities

SPECIFICITY: Final = 0.90
ALL: Final = "mi_vs_all"
# its resamples are larger than itself: the gaps that chance opens in a bin have no sign
WITHOUT_INTERVAL: Final = frozenset({expected_calibration_error})

Arithmetic: TypeAlias = Literal["float", "int8"]
Statistic = Callable[[NDArray[np.int64], NDArray[np.float64]], float]


@dataclass(frozen=True, slots=True)
class Task:
    """MI against some others: `rows` of the store, int64 (n,)."""

    name: str
    rows: NDArray[np.int64]


def tasks(records: LabelledRecords, rows: NDArray[np.int64]) -> list[Task]:
    """The comparisons made among `rows`; one without both classes is left out."""
    mi, norm, ages = records.labels[rows], records.norms[rows], records.ages_years[rows]
    masks = {
        ALL: np.full(len(rows), True),
        "mi_vs_norm": (mi == 1) | (norm == 1),
        "mi_vs_other_abnormal": (mi == 1) | (norm == 0),
        "mi_vs_all_age_below_60": ages < 60,
        "mi_vs_all_age_60_to_74": (ages >= 60) & (ages < 75),
        "mi_vs_all_age_75_and_over": ages >= 75,
    }
    found = [Task(name, rows[mask]) for name, mask in masks.items()]
    return [task for task in found if ranked(records, task)]


def ranked(records: LabelledRecords, task: Task) -> bool:
    """Whether `task` has records of both classes, so that there is something to rank."""
    return bool(0 < records.labels[task.rows].sum() < len(task.rows))


def with_age(records: LabelledRecords, task: Task) -> Task:
    """The same comparison among records of known age."""
    return Task(task.name, task.rows[np.isfinite(records.ages_years[task.rows])])


def estimate(
    store: WindowStore,
    rows: NDArray[np.int64],
    scores: Sequence[NDArray[np.floating]],
    statistic: Statistic = auroc,
    *,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean of `statistic(labels, scores)` over networks, each with scores (records,), on `rows`."""
    if statistic in WITHOUT_INTERVAL:
        resamples = 0
    labels = store.labels[rows]
    each = [np.asarray(score, dtype=np.float64)[rows] for score in scores]

    def mean(chosen: NDArray[np.int64]) -> float:
        return float(np.mean([statistic(labels[chosen], score[chosen]) for score in each]))

    return bootstrap(mean, store.patients[rows], resamples=resamples)


def evaluate(
    store: WindowStore,
    rows: NDArray[np.int64],
    logits: NDArray[np.floating],
    calibration: Calibration | None,
    *,
    source: str,
    command: str,
    arithmetic: Arithmetic = "float",
    resamples: int = RESAMPLES,
) -> tuple[Metric, ...]:
    """Figures of one network's `logits` (records,) in some arithmetic on `rows`, with those of age alone.

    Figures of probabilities are left out where `calibration` is None: a map is not judged on the records that
    it was fitted on.
    """
    metrics = []

    def add(name: str, task: Task, scores: NDArray[np.floating], statistic: Statistic = auroc) -> None:
        result = estimate(store, task.rows, [scores], statistic, resamples=resamples)
        metrics.append(
            Metric(
                name=name,
                task=task.name,
                arithmetic="none" if name == "auroc_age_alone" else arithmetic,
                value=result.value,
                interval=result.interval,
                n=len(task.rows),
                n_positive=int(store.labels[task.rows].sum()),
                source=source,
                command=command,
            )
        )

    for task in tasks(store, rows):
        add("auroc", task, logits)
        if ranked(store, aged := with_age(store, task)):
            add("auroc_age_alone", aged, store.ages_years)
        if task.name == ALL:
            add("auprc", task, logits, auprc)
            add("sensitivity_at_specificity_90", task, logits, at_specificity)
            if calibration is not None:
                p = np.full(len(logits), np.nan)
                p[task.rows] = probabilities(calibration, logits[task.rows])
                add("brier", task, p, brier)
                add("expected_calibration_error", task, p, expected_calibration_error)
    return tuple(metrics)


def at_specificity(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Sensitivity at specificity .90."""
    return sensitivity_at_specificity(labels, scores, SPECIFICITY)
