"""Logit to probability, and the thresholds on it, from out-of-fold logits of the training records only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_mi.checkpoint import Calibration, OperatingPoint
from edge_mi.errors import ConfigError
from edge_mi.metrics import (
    balanced_threshold,
    sensitivity_specificity,
    threshold_for_sensitivity,
    threshold_for_specificity,
)

STEPS = 50
TOLERANCE = 1e-10
JITTER = 1e-9
HALVINGS = 60
DEFAULT_POINT = "specificity_90"  # one answer a second: a false one in ten is already many


def fit_platt(logits: NDArray[np.floating], labels: NDArray[np.int64], fitted_on: str) -> Calibration:
    """The Platt map of out-of-fold `logits` (n,) with `labels` (n,), 0 or 1; `fitted_on` says of whom.

    Maximum likelihood by Newton steps, targets smoothed as (n1 + 1) / (n1 + 2) and 1 / (n0 + 2).
    Raises ConfigError where a class is missing or the logits do not rise with the label.
    Source: Platt, "Probabilistic outputs for support vector machines" (1999); Lin, Lin and Weng (2007).
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        raise ConfigError(f"{positives} records with MI and {negatives} without; calibration needs both")
    aims = smoothed(labels)
    design = np.stack([np.asarray(logits, dtype=np.float64), np.ones(len(labels))], axis=1)
    beta = fit_logistic(design, aims, np.array([0.0, np.log(positives / negatives)]))
    if not beta[0] > 0:
        raise ConfigError(
            "the out-of-fold logits do not rise with the label: the network learned nothing to calibrate"
        )
    return Calibration(
        method="platt",
        slope=float(beta[0]),
        offset=float(beta[1]),
        prevalence=positives / len(labels),
        fitted_on=fitted_on,
    )


def smoothed(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Platt's targets float64 (n,): (n1 + 1) / (n1 + 2) for a positive, 1 / (n0 + 2) for a negative."""
    positives = int(labels.sum())
    return np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))


def fit_logistic(
    design: NDArray[np.float64],
    aims: NDArray[np.float64],
    start: NDArray[np.float64],
    *,
    ridge: float = 0.0,
) -> NDArray[np.float64]:
    """Coefficients float64 (k,) of largest likelihood for `aims` (n,), 0..1, given `design` (n, k), by Newton steps.

    ridge: half of it times the squared coefficients is added to the negative log likelihood.
    """
    beta, loss = start, _loss(design, start, aims, ridge)
    for _ in range(STEPS):
        p = sigmoid(design @ beta)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + (ridge + JITTER) * np.eye(len(start))
        direction = np.linalg.solve(hessian, design.T @ (aims - p) - ridge * beta)
        # a step from a flat place may be far too long: half it until the loss falls
        tries = (beta + direction * 0.5**halvings for halvings in range(HALVINGS))
        better = next(
            (found for found in tries if _loss(design, found, aims, ridge) < loss - TOLERANCE), None
        )
        if better is None:
            break
        beta, loss = better, _loss(design, better, aims, ridge)
    return beta


def probabilities(calibration: Calibration, logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Calibrated probabilities float64, same shape as `logits`."""
    return sigmoid(calibration.slope * np.asarray(logits, dtype=np.float64) + calibration.offset)


def operating_points(
    p: NDArray[np.float64], labels: NDArray[np.int64], chosen_on: str
) -> tuple[OperatingPoint, ...]:
    """Thresholds on out-of-fold probabilities `p` (n,): sensitivity .90, specificity .90, and both at best.

    `balanced` maximises sensitivity + specificity: Youden, "Index for rating diagnostic tests" (1950).
    """
    thresholds = {
        "sensitivity_90": threshold_for_sensitivity(labels, p, 0.90),
        "specificity_90": threshold_for_specificity(labels, p, 0.90),
        "balanced": balanced_threshold(labels, p),
    }
    points = []
    for name, threshold in thresholds.items():
        sensitivity, specificity = sensitivity_specificity(labels, p, threshold)
        points.append(
            OperatingPoint(
                name=name,
                threshold=threshold,
                sensitivity=sensitivity,
                specificity=specificity,
                chosen_on=chosen_on,
            )
        )
    return tuple(points)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) without overflow."""
    return np.exp(-np.logaddexp(0.0, -x))


def _loss(
    design: NDArray[np.float64], beta: NDArray[np.float64], aims: NDArray[np.float64], ridge: float
) -> float:
    z = design @ beta
    return float((np.logaddexp(0.0, z) - aims * z).sum() + ridge / 2 * (beta @ beta))
