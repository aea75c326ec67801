"""Probabilities and decisions of networks as they ship: map and thresholds from inside the training folds alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.metrics import sensitivity_specificity
from edge_mi.store import WindowStore

from .calibrate import fit_platt, operating_points, probabilities
from .splits import Folds

DECIDED = 0.5


@dataclass(frozen=True, slots=True)
class AsShipped:
    """Answers of networks (records,), NaN where none: probabilities, and for each operating point 1 or 0."""

    probabilities: NDArray[np.float64]
    decisions: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class OuterSplit:
    """One network: what it predicts, logits (records,), and out-of-fold logits of the folds that it trained on."""

    train: Folds
    held_out: Folds
    logits: NDArray[np.floating]
    out_of_fold: NDArray[np.floating]


def as_shipped(store: WindowStore, splits: Iterable[OuterSplit]) -> AsShipped:
    """What each network answers for its held-out folds, with the map and the thresholds of its own training folds.

    Raises ConfigError where out-of-fold logits give no map.
    """
    p = np.full(len(store), np.nan)
    decisions: dict[str, NDArray[np.float64]] = {}
    for split in splits:
        rows, asked = store.rows_of(split.train), store.rows_of(split.held_out)
        logits, labels = split.out_of_fold[rows], store.labels[rows]
        calibration = fit_platt(logits, labels, "the training folds")
        p[asked] = probabilities(calibration, split.logits[asked])
        for point in operating_points(probabilities(calibration, logits), labels, "the training folds"):
            decided = decisions.setdefault(point.name, np.full(len(store), np.nan))
            decided[asked] = p[asked] >= point.threshold
    return AsShipped(p, decisions)


def sensitivity(labels: NDArray[np.int64], decisions: NDArray[np.float64]) -> float:
    """Share of positives among `decisions`, 1 or 0 (n,), that are 1."""
    return sensitivity_specificity(labels, decisions, DECIDED)[0]


def specificity(labels: NDArray[np.int64], decisions: NDArray[np.float64]) -> float:
    """Share of negatives among `decisions`, 1 or 0 (n,), that are 0."""
    return sensitivity_specificity(labels, decisions, DECIDED)[1]
