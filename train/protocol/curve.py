"""Learning curve: what more patients buy, method by method, in any MI after fine-tuning.

Its draws of patients are those of the table: `Resamples` of the same patients is the same draws, so the last point and
its differences are the table's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_mi.metrics import RESAMPLES, auroc_of_resamples

from ..resamples import Drawn, Ends, Resamples
from .bench import Bench
from .entrants import SCRATCH, SCRATCH_LONG
from .outputs import Subset


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """AUROC of any MI against all others of networks trained on a part of the patients, or a method `minus` another.

    records, patients: means over the groups and seeds. value: mean of `each`, one a seed; interval: 95 % over patients,
    the networks fixed; interval_with_seeds: seeds, and with them the patients learned from, drawn too.
    """

    method: str
    minus: str | None
    fraction: float
    records: float
    patients: float
    value: float
    each: tuple[float, ...]
    interval: Ends | None
    interval_with_seeds: Ends | None
    n: int
    n_positive: int


def learning_curve(bench: Bench, *, resamples: int = RESAMPLES) -> tuple[CurvePoint, ...]:
    """Train each method of the configuration's curve at each of its fractions, smallest first; then the differences.

    The number of steps is that of all records at every point. Each method is compared with `scratch` and `scratch-long`,
    where they take part.
    """
    section, store = bench.config.curve, bench.run.store
    held_out = store.rows_of(tuple(fold for _, test in bench.splits for fold in test))
    fractions = sorted(section.fractions)
    logits = bench.scaled(section.methods, section.seeds, fractions)
    labels = store.labels[held_out]
    draws = Resamples(store.patients, len(section.seeds), resamples=resamples)
    points = []
    for fraction in fractions:
        rows = [
            Subset(folds=train, fraction=fraction, seed=seed).rows(store)
            for train, _ in bench.splits
            for seed in section.seeds
        ]
        drawn = {}
        for method in section.methods:
            scores = np.stack([each[held_out, 0] for each in logits[method, fraction]]).astype(np.float64)
            drawn[method] = draws.draw(auroc_of_resamples, labels, scores, held_out)
        asked: list[tuple[str, str | None, Drawn]] = [(name, None, drawn[name]) for name in section.methods]
        asked += [(name, base, drawn[name] - drawn[base]) for name, base in _pairs(section.methods)]
        for method, minus, figure in asked:
            found = draws.estimate(figure)
            points.append(
                CurvePoint(
                    method=method,
                    minus=minus,
                    fraction=fraction,
                    records=float(np.mean([len(each) for each in rows])),
                    patients=float(np.mean([len(set(store.patients[each])) for each in rows])),
                    value=found.value,
                    each=found.each,
                    interval=found.interval,
                    interval_with_seeds=found.with_seeds,
                    n=len(held_out),
                    n_positive=int(labels.sum()),
                )
            )
    return tuple(sorted(points, key=lambda point: point.minus is not None))


def _pairs(methods: Sequence[str]) -> list[tuple[str, str]]:
    bases = [name for name in (SCRATCH, SCRATCH_LONG) if name in methods]
    return [(name, base) for base in bases for name in methods if name not in (SCRATCH, base)]
