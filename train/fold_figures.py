"""Figures of pooled out-of-fold answers: the mean over networks, with an interval over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.metrics import auprc, auroc, auroc_of_resamples, brier, expected_calibration_error
from edge_mi.store import WindowStore

from .as_shipped import AsShipped, sensitivity, specificity
from .evaluate import ALL, Statistic, Task, at_specificity, estimate, ranked, tasks, with_age
from .resamples import Estimate, Resamples
from .splits import Folds, span

LAST_FOLD: Final = 9
COMPARED_IN_PAIRS: Final = (ALL, "mi_vs_other_abnormal")

Logits: TypeAlias = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: `value` is the mean of `each` network, `sd` their standard deviation, None for fewer than two.

    interval: over patients, the networks fixed; interval_with_seeds: of a difference, networks drawn too, None where it
    is not one of several networks.
    """

    subject: str
    name: str
    task: str
    value: float
    sd: float | None
    each: tuple[float, ...]
    interval: tuple[float, float] | None
    n: int
    n_positive: int
    interval_with_seeds: tuple[float, float] | None = None


def paired_auroc(
    store: WindowStore, task: Task, a: Sequence[Logits], b: Sequence[Logits], *, resamples: int
) -> Estimate:
    """AUROC of networks a minus that of networks b, logits (records,) each, seed by seed on the same records."""
    draws = Resamples(store.patients[task.rows], len(a), resamples=resamples)
    labels, rows = store.labels[task.rows], np.arange(len(task.rows))
    first, second = (
        draws.draw(auroc_of_resamples, labels, np.stack(each).astype(np.float64)[:, task.rows], rows)
        for each in (a, b)
    )
    return draws.estimate(first - second)


@dataclass(frozen=True, slots=True)
class Measure:
    """Figures of pooled out-of-fold logits on `rows`."""

    store: WindowStore
    rows: NDArray[np.int64]
    groups: tuple[Folds, ...]
    resamples: int

    def subject(self, name: str, logits: Sequence[Logits]) -> list[Figure]:
        """How one kind of network ranks."""
        everyone = Task(ALL, self.rows)
        return [
            *self.rankings(name, logits),
            self._figure(name, "auprc", everyone, logits, auprc),
            self._figure(name, "sensitivity_at_specificity_90", everyone, logits, at_specificity),
        ]

    def shipped(self, name: str, answers: Sequence[AsShipped]) -> list[Figure]:
        """Probabilities and operating points as they ship: on all groups, and on each."""
        figures = []
        groups = [Task(f"{ALL}_folds_{span(group)}", self.store.rows_of(group)) for group in self.groups]
        p = [each.probabilities for each in answers]
        for task in [Task(ALL, self.rows), *groups]:
            figures.append(self._figure(name, "brier", task, p, brier))
            figures.append(
                self._figure(name, "expected_calibration_error", task, p, expected_calibration_error)
            )
            for point in answers[0].decisions:
                decided = [each.decisions[point] for each in answers]
                for what, share in (("sensitivity", sensitivity), ("specificity", specificity)):
                    figures.append(self._figure(name, f"{what}_of_{point}", task, decided, share))
        return figures

    def rankings(self, name: str, scores: Sequence[Logits], *, known_age: bool = False) -> list[Figure]:
        """AUROC in every comparison and on the last fold alone; among records of known age if asked for."""
        last = Task(f"{ALL}_fold_{LAST_FOLD}", self.store.rows_of((LAST_FOLD,)))
        compared = [*tasks(self.store, self.rows), last]
        if known_age:
            compared = [with_age(self.store, task) for task in compared]
        return [
            self._figure(name, "auroc", task, scores, auroc) for task in compared if ranked(self.store, task)
        ]

    def difference(self, name: str, a: Sequence[Logits], b: Sequence[Logits]) -> list[Figure]:
        """Difference of the mean AUROC of a and of b, network by network on the same records."""
        return [
            self._difference(name, task, a, b)
            for task in tasks(self.store, self.rows)
            if task.name in COMPARED_IN_PAIRS
        ]

    def rival(
        self, name: str, networks: Sequence[Logits], scores: Logits, *, known_age: bool = False
    ) -> list[Figure]:
        """Difference in every comparison of each network and a rival without an ECG, the same for all."""
        compared = tasks(self.store, self.rows)
        if known_age:
            compared = [with_age(self.store, task) for task in compared]
        return [
            self._difference(name, task, networks, [scores] * len(networks))
            for task in compared
            if ranked(self.store, task)
        ]

    def _difference(self, name: str, task: Task, a: Sequence[Logits], b: Sequence[Logits]) -> Figure:
        found = paired_auroc(self.store, task, a, b, resamples=self.resamples)
        return replace(
            self._document(name, "auroc_difference", task, list(found.each), found.interval),
            interval_with_seeds=found.with_seeds,
        )

    def _figure(
        self, subject: str, name: str, task: Task, scores: Sequence[Logits], statistic: Statistic
    ) -> Figure:
        labels = self.store.labels[task.rows]
        values = [statistic(labels, np.asarray(score, dtype=np.float64)[task.rows]) for score in scores]
        result = estimate(self.store, task.rows, scores, statistic, resamples=self.resamples)
        return self._document(subject, name, task, values, result.interval)

    def _document(
        self, subject: str, name: str, task: Task, values: list[float], interval: tuple[float, float] | None
    ) -> Figure:
        return Figure(
            subject=subject,
            name=name,
            task=task.name,
            value=float(np.mean(values)),
            sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            each=tuple(values),
            interval=interval,
            n=len(task.rows),
            n_positive=int(self.store.labels[task.rows].sum()),
        )
