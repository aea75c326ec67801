"""Intervals of any statistic over patients, for figures that `edge_mi.metrics` has no closed form for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval, None where there is no resample or none had both classes."""

    value: float
    interval: tuple[float, float] | None


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    patients: NDArray[np.str_],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """`statistic(rows)` on all records, and on patients drawn with replacement together with their records.

    patients: id of each record (n,). A resample on which the statistic raises ConfigError (one class only) is
    left out.
    """
    names, index = np.unique(patients, return_inverse=True)
    by_patient = [np.flatnonzero(index == i) for i in range(len(names))]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        chosen = rng.integers(0, len(names), len(names))
        try:
            drawn.append(statistic(np.concatenate([by_patient[i] for i in chosen])))
        except ConfigError:
            continue
    value = statistic(np.arange(len(patients)))
    if not drawn:
        return Estimate(value, None)
    low, high = np.percentile(drawn, PERCENTILES)
    return Estimate(value, (float(low), float(high)))
