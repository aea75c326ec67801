"""The same patients drawn for every figure, so that the difference of two figures has an exact, paired interval.

Two intervals of 95 % are made of one set of draws. The first draws patients with replacement, with all their
records, and keeps the networks: it holds for these networks. The second also draws the seeds with replacement:
it holds for the method. Means of n drawn seeds vary by (n - 1) / n of what the mean of n new seeds would, so their
distance from the mean over all seeds is multiplied by sqrt(n / (n - 1)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError
from edge_mi.metrics import RESAMPLES, patient_weights

SEED: Final = 0
PERCENTILES: Final = (2.5, 97.5)
BLOCK: Final = 250  # resamples weighed at a time: memory stays small for 20,000 records

Ends: TypeAlias = tuple[float, float]
Floats: TypeAlias = NDArray[np.float64]
# labels (n,), scores (n,), weights (m, n) -> a value for each row of weights, NaN where there is none
Weighted: TypeAlias = Callable[[NDArray[np.int64], Floats, Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """value: mean of `each` seed; sd over seeds, None for one. interval: patients drawn; with_seeds: seeds as well.

    An interval is None where no draw gave a value, `with_seeds` also where there is one seed.
    """

    value: float
    sd: float | None
    each: tuple[float, ...]
    interval: Ends | None
    with_seeds: Ends | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure of each seed: `each` float64 (seeds,) on all records, `drawn` float64 (seeds, resamples)."""

    each: Floats
    drawn: Floats

    def __sub__(self, other: Drawn) -> Drawn:
        """Seed by seed; where one side has a single seed, it is taken from every seed of the other.

        Raises ConfigError where the two have other numbers of seeds.
        """
        if len(self.each) != len(other.each) and 1 not in (len(self.each), len(other.each)):
            raise ConfigError(f"{len(self.each)} and {len(other.each)} seeds cannot be compared seed by seed")
        return Drawn(self.each - other.each, self.drawn - other.drawn)


def mean_of(figures: Sequence[Drawn], weights: Sequence[float]) -> Drawn:
    """The weighted mean of several figures; in a draw, of those that have a value there."""
    each = np.stack([figure.each for figure in figures])
    drawn = np.stack([figure.drawn for figure in figures])
    shares = np.asarray(weights, dtype=np.float64)
    known = np.where(np.isfinite(drawn), shares[:, None, None], 0.0)
    total = known.sum(axis=0)
    summed = (known * np.nan_to_num(drawn)).sum(axis=0)
    means = np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)
    return Drawn((shares[:, None] * each).sum(axis=0) / shares.sum(), means)


class Resamples:
    """Draws of patients, and of seeds, that every figure of a table shares."""

    def __init__(
        self, patients: NDArray[np.str_], seeds: int, *, resamples: int = RESAMPLES, seed: int = SEED
    ) -> None:
        # how often a record is drawn is a small number: a byte each, not eight
        self.weights = patient_weights(patients, len(patients), resamples, seed).astype(np.uint8)
        rng = np.random.default_rng(seed + 1)
        self.seed_shares: Floats = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds

    def draw(
        self, statistic: Weighted, labels: NDArray[np.int64], scores: Floats, rows: NDArray[np.int64]
    ) -> Drawn:
        """`statistic` of each row of `scores` (seeds, n) against `labels` (n,), the records `rows` (n,)."""
        ones = np.ones((1, len(rows)))
        each = np.array([statistic(labels, score, ones)[0] for score in scores])
        blocks = []
        for start in range(0, len(self.weights), BLOCK):
            weights = self.weights[start : start + BLOCK, rows].astype(np.float64)
            blocks.append([statistic(labels, score, weights) for score in scores])
        return Drawn(each, np.concatenate(blocks, axis=1) if blocks else np.empty((len(scores), 0)))

    def with_seeds(self, figure: Drawn) -> Floats | None:
        """The figure in every draw of patients and seeds, (resamples,); None for one seed or another number of them."""
        count = len(figure.each)
        if count == 1 or count != self.seed_shares.shape[1]:
            return None
        middle = figure.drawn.mean(axis=0)
        chosen: Floats = (figure.drawn.T * self.seed_shares).sum(axis=1)
        return np.asarray(middle + np.sqrt(count / (count - 1)) * (chosen - middle))

    def estimate(self, figure: Drawn) -> Estimate:
        """Mean over seeds with both intervals."""
        count = len(figure.each)
        drawn = self.with_seeds(figure)
        return Estimate(
            value=float(figure.each.mean()),
            sd=float(figure.each.std(ddof=1)) if count > 1 else None,
            each=tuple(map(float, figure.each)),
            interval=ends(figure.drawn.mean(axis=0)),
            with_seeds=None if drawn is None else ends(drawn),
        )


def ends(drawn: Floats) -> Ends | None:
    """The 95 % interval of draws (resamples,); None where none of them is a number."""
    kept = drawn[np.isfinite(drawn)]
    if len(kept) == 0:
        return None
    low, high = np.percentile(kept, PERCENTILES)
    return float(low), float(high)


def weighted_mean(labels: NDArray[np.int64], scores: Floats, weights: Floats) -> Floats:
    """The mean of `scores`, whatever the labels."""
    del labels
    total = weights.sum(axis=1)
    means: Floats = np.divide(weights @ scores, total, out=np.full(len(total), np.nan), where=total > 0)
    return means
