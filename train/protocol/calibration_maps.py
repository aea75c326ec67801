"""Four maps from a logit to a probability, each fitted on the logits and labels of other records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from edge_mi.errors import ConfigError

from ..calibrate import fit_logistic, fit_platt, probabilities, sigmoid
from ..resamples import Floats

Map: TypeAlias = Callable[[Floats], Floats]
Fit: TypeAlias = Callable[[Floats, NDArray[np.int64]], Map]


def uncalibrated(logits: Floats, labels: NDArray[np.int64]) -> Map:
    """The probability that the network itself means."""
    del logits, labels
    return sigmoid


def platt(logits: Floats, labels: NDArray[np.int64]) -> Map:
    """Slope and offset of the logit; where the logits do not rise with the label, the prevalence."""
    try:
        found = fit_platt(logits, labels, "other records")
    except ConfigError:
        return constant(logits, labels)
    return lambda z: probabilities(found, z)


def temperature(logits: Floats, labels: NDArray[np.int64]) -> Map:
    """A slope alone. Source: Guo et al., "On calibration of modern neural networks" (2017), section 4.2."""
    slope = fit_logistic(logits[:, None], labels.astype(np.float64), np.ones(1))
    return lambda z: sigmoid(slope[0] * z)


def beta(logits: Floats, labels: NDArray[np.int64]) -> Map:
    """logit p = a ln s - b ln(1 - s) + c with s the sigmoid of the logit, a and b not negative.

    A coefficient that comes out negative is left out and the others are fitted again.
    Source: Kull, Silva Filho and Flach, "Beta calibration" (2017), section 4.
    """
    columns = [0, 1, 2]
    while True:
        design = _beta_design(logits)[:, columns]
        found = fit_logistic(design, labels.astype(np.float64), np.zeros(len(columns)))
        negative = [column for column, value in zip(columns, found, strict=True) if column < 2 and value < 0]
        if not negative:
            return lambda z: sigmoid(_beta_design(z)[:, columns] @ found)
        columns.remove(min(negative, key=lambda column: found[columns.index(column)]))


def isotonic(logits: Floats, labels: NDArray[np.int64]) -> Map:
    """The best rising steps, joined by straight lines.

    No probability is nearer to 0 or 1 than half a record of those fitted on, or one error would cost an
    infinite log loss. Source: Zadrozny and Elkan, "Transforming classifier scores" (2002).
    """
    order = np.argsort(logits, kind="stable")
    # equal logits are one step: they can have one probability only
    distinct, start, count = np.unique(logits[order], return_index=True, return_counts=True)
    means = np.add.reduceat(labels[order], start) / count
    steps = np.asarray(isotonic_regression(means, weights=count.astype(np.float64)).x)
    margin = 0.5 / len(logits)
    return lambda z: np.clip(np.interp(z, distinct, steps), margin, 1 - margin)


def constant(logits: Floats, labels: NDArray[np.int64]) -> Map:
    """The prevalence for everybody: what a probability is worth that knows nothing of the record."""
    del logits
    prevalence = float(labels.mean())
    return lambda z: np.full(len(z), prevalence)


MAPS: Final[dict[str, Fit]] = {
    "none": uncalibrated,
    "platt": platt,
    "temperature": temperature,
    "beta": beta,
    "isotonic": isotonic,
    "prevalence": constant,
}
FITTED: Final = ("platt", "temperature", "beta", "isotonic")


def _beta_design(logits: Floats) -> Floats:
    return np.stack([-np.logaddexp(0.0, -logits), np.logaddexp(0.0, logits), np.ones(len(logits))], axis=1)
