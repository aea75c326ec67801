"""Learning curve: what more patients buy, method by method, in any MI after fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_mi.metrics import auroc

from ..bootstrap import RESAMPLES
from ..evaluate import estimate
from .bench import Bench
from .outputs import Subset


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """AUROC of any MI against all others of networks trained on a part of the patients.

    records, patients: means over the groups. value: mean of `each`, one a seed; interval: 95 %, patients resampled.
    """

    method: str
    fraction: float
    records: float
    patients: float
    value: float
    each: tuple[float, ...]
    interval: tuple[float, float] | None
    n: int
    n_positive: int


def learning_curve(bench: Bench, *, resamples: int = RESAMPLES) -> tuple[CurvePoint, ...]:
    """Train each method of the configuration's curve at each of its fractions, smallest first.

    The number of steps is that of all records at every point.
    """
    section, store = bench.config.curve, bench.run.store
    held_out = store.rows_of(tuple(fold for _, test in bench.splits for fold in test))
    fractions = sorted(section.fractions)
    logits = bench.scaled(section.methods, section.seeds, fractions)
    labels = store.labels[held_out]
    points = []
    for fraction in fractions:
        rows = [Subset(folds=train, fraction=fraction).rows(store) for train, _ in bench.splits]
        for method in section.methods:
            scores = [each[:, 0] for each in logits[method, fraction]]
            found = estimate(store, held_out, scores, resamples=resamples)
            points.append(
                CurvePoint(
                    method=method,
                    fraction=fraction,
                    records=float(np.mean([len(each) for each in rows])),
                    patients=float(np.mean([len(set(store.patients[each])) for each in rows])),
                    value=found.value,
                    each=tuple(auroc(labels, score[held_out]) for score in scores),
                    interval=found.interval,
                    n=len(held_out),
                    n_positive=int(labels.sum()),
                )
            )
    return tuple(points)
