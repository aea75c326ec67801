"""ROC curves with a band: mean over seeds at each false positive rate, 95 % over patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_mi.metrics import weighted_counts

from ..resamples import BLOCK, PERCENTILES, Floats, Resamples
from .comparisons import Comparison
from .entrants import Entrant

GRID: Final = np.linspace(0.0, 1.0, 51)


@dataclass(frozen=True, slots=True, kw_only=True)
class RocCurve:
    """Sensitivity of one entrant at each `false_positive_rate`, with its band; empty bands without resamples."""

    method: str
    regime: str
    false_positive_rate: tuple[float, ...]
    sensitivity: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int
    n_positive: int


def roc_curve(entrant: Entrant, asked: Comparison, resamples: Resamples) -> RocCurve | None:
    """The curve of `entrant` in a comparison; None where there is nothing to rank."""
    common = asked.among(entrant.known[:, asked.output])
    if not common.ranks:
        return None
    weights = resamples.weights[:, common.rows].astype(np.float64)
    scores = entrant.scores[:, common.rows, common.output]
    value = np.mean([_curves(common, score, np.ones((1, len(score))))[0] for score in scores], axis=0)
    drawn = np.mean([_curves(common, score, weights) for score in scores], axis=0)
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    low, high = np.percentile(drawn, PERCENTILES, axis=0) if len(drawn) else (np.empty(0), np.empty(0))
    return RocCurve(
        method=entrant.name,
        regime=entrant.regime,
        false_positive_rate=_numbers(GRID),
        sensitivity=_numbers(value),
        low=_numbers(low),
        high=_numbers(high),
        n=len(common.rows),
        n_positive=common.n_positive,
    )


def _curves(asked: Comparison, score: Floats, weights: Floats) -> Floats:
    """Sensitivity on the grid for each row of weights, NaN for a row of one class."""
    curves = np.full((len(weights), len(GRID)), np.nan)
    for start in range(0, len(weights), BLOCK):
        counts = weighted_counts(asked.labels, score, weights[start : start + BLOCK])
        for i, (tp, fp) in enumerate(zip(*counts, strict=True), start):
            if tp[-1] > 0 and fp[-1] > 0:
                curves[i] = np.interp(GRID, np.append(0.0, fp / fp[-1]), np.append(0.0, tp / tp[-1]))
    return curves


def _numbers(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)
