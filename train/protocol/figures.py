"""From scores to figures: every method in every comparison, and methods against each other, on the same draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.metrics import auprc_of_resamples, auroc_of_resamples, sensitivity_of_resamples
from edge_mi.store import WindowStore

from ..evaluate import ALL, SPECIFICITY
from ..resamples import Drawn, Ends, Floats, Resamples, Weighted, mean_of
from ..splits import Folds
from .comparisons import Comparison, comparisons, type_task
from .entrants import AGE_SEX, PAIRS, SCRATCH, SCRATCH_LONG, SELFMIS, Entrant
from .result import TYPES

AUROC: Final = "auroc"
WITHIN_GROUPS: Final = "auroc_within_groups"
PLAIN_MEAN: Final = "types_plain_mean"
WEIGHTED_MEAN: Final = "types_weighted_mean"
MEANS: Final = (PLAIN_MEAN, WEIGHTED_MEAN)
# what methods are compared in; the rest can be read off the figures
COMPARED: Final = (ALL, "mi_vs_norm", "mi_vs_other_abnormal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a method in a regime, or of a method `minus` another one.

    value: mean of `each` seed, None where there is nothing to rank. interval: 95 % over patients, the networks
    fixed; interval_with_seeds: seeds drawn too. greyed: fewer than 20 positives, never ranked. types: what a
    mean over types is made of, empty otherwise.
    """

    method: str
    minus: str | None
    regime: str
    name: str
    task: str
    value: float | None
    sd: float | None
    each: tuple[float, ...]
    interval: Ends | None
    interval_with_seeds: Ends | None
    n: int
    n_positive: int
    greyed: bool
    types: tuple[str, ...]


def at_specificity(labels: NDArray[np.int64], scores: Floats, weights: Floats) -> Floats:
    """Sensitivity at specificity .90, for each row of weights."""
    return sensitivity_of_resamples(labels, scores, weights, SPECIFICITY)


_STATISTICS: Final[dict[str, Weighted]] = {
    AUROC: auroc_of_resamples,
    "auprc": auprc_of_resamples,
    "sensitivity_at_specificity_90": at_specificity,
}


@dataclass(slots=True)
class Judge:
    """Figures of entrants on `rows` of a store, all on the same `resamples`; `groups` are the folds held out in turn."""

    store: WindowStore
    rows: NDArray[np.int64]
    resamples: Resamples
    groups: tuple[Folds, ...]
    asked: tuple[Comparison, ...] = field(init=False)
    _cache: dict[tuple[str, str, str, str, bytes], Drawn] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.asked = comparisons(self.store, self.rows)

    def figures(self, entrant: Entrant) -> list[Figure]:
        """AUROC in every comparison and over the types; for any MI average precision and sensitivity too."""
        found = [self._figure(AUROC, asked, entrant, None) for asked in self.asked]
        everyone = next(asked for asked in self.asked if asked.task == ALL)
        found += [self._figure(name, everyone, entrant, None) for name in _STATISTICS if name != AUROC]
        return [*found, self._within_groups(entrant, None), *self._means(entrant, None)]

    def differences(self, first: Entrant, second: Entrant) -> list[Figure]:
        """AUROC of `first` minus that of `second`, seed by seed, on the records that both answer for."""
        asked = [comparison for comparison in self.asked if comparison.task in COMPARED]
        found = [self._figure(AUROC, comparison, first, second) for comparison in asked]
        return [*found, self._within_groups(first, second), *self._means(first, second)]

    def _figure(self, name: str, asked: Comparison, entrant: Entrant, minus: Entrant | None) -> Figure:
        common = _common(asked, entrant, minus)
        drawn = self._difference(name, common, entrant, minus) if common.ranks else None
        return self._document(entrant, minus, name, common, drawn)

    def _within_groups(self, entrant: Entrant, minus: Entrant | None) -> Figure:
        """AUROC of any MI in each group by itself, plain mean over the groups: no score meets another network's."""
        everyone = next(asked for asked in self.asked if asked.task == ALL)
        common = _common(everyone, entrant, minus)
        known = np.zeros(len(self.store), dtype=bool)
        drawn = []
        for group in self.groups:
            known[:] = False
            known[self.store.rows_of(group)] = True
            inside = common.among(known)
            if inside.ranks:
                drawn.append(self._difference(AUROC, inside, entrant, minus))
        mean = mean_of(drawn, [1.0] * len(drawn)) if drawn else None
        return self._document(entrant, minus, WITHIN_GROUPS, common, mean)

    def _means(self, entrant: Entrant, minus: Entrant | None) -> Iterator[Figure]:
        types = {asked.task: asked for asked in self.asked}
        common = {name: _common(types[type_task(name)], entrant, minus) for name in TYPES}
        there = [name for name in TYPES if common[name].ranks]
        for task in MEANS:
            members = tuple(name for name in there if task == WEIGHTED_MEAN or not common[name].greyed)
            weights = [float(common[name].n_positive) if task == WEIGHTED_MEAN else 1.0 for name in members]
            drawn = [self._difference(AUROC, common[name], entrant, minus) for name in members]
            rows = [common[name].rows for name in members]
            together = np.unique(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64)
            positive = np.zeros(len(together), dtype=np.int64)
            for name in members:
                hit = common[name].rows[common[name].labels == 1]
                positive[np.searchsorted(together, hit)] = 1
            yield self._document(
                entrant,
                minus,
                AUROC,
                Comparison(task, 0, together, positive),
                mean_of(drawn, weights) if drawn else None,
                types=members,
            )

    def _difference(self, name: str, asked: Comparison, entrant: Entrant, minus: Entrant | None) -> Drawn:
        drawn = self._drawn(name, asked, entrant)
        return drawn if minus is None else drawn - self._drawn(name, asked, minus)

    def _drawn(self, name: str, asked: Comparison, entrant: Entrant) -> Drawn:
        key = (name, asked.task, entrant.name, entrant.regime, asked.rows.tobytes())
        if key not in self._cache:
            scores = entrant.scores[:, asked.rows, asked.output]
            self._cache[key] = self.resamples.draw(_STATISTICS[name], asked.labels, scores, asked.rows)
        return self._cache[key]

    def _document(
        self,
        entrant: Entrant,
        minus: Entrant | None,
        name: str,
        asked: Comparison,
        drawn: Drawn | None,
        *,
        types: tuple[str, ...] = (),
    ) -> Figure:
        result = None if drawn is None else self.resamples.estimate(drawn)
        return Figure(
            method=entrant.name,
            minus=None if minus is None else minus.name,
            regime=entrant.regime,
            name=name,
            task=asked.task,
            value=None if result is None else result.value,
            sd=None if result is None else result.sd,
            each=() if result is None else result.each,
            interval=None if result is None else result.interval,
            interval_with_seeds=None if result is None else result.with_seeds,
            n=len(asked.rows),
            n_positive=asked.n_positive,
            greyed=asked.greyed,
            types=types,
        )


def pairs(everybody: Sequence[Entrant]) -> Iterator[tuple[Entrant, Entrant]]:
    """Who is compared with whom inside one regime, each pair once.

    Each one minus `scratch`, minus `scratch-long` and minus age and sex alone, `selfmis` minus each other one, and PAIRS.
    """
    by_place = {(entrant.name, entrant.regime): entrant for entrant in everybody}
    for entrant in everybody:
        floors = (SCRATCH, SCRATCH_LONG, AGE_SEX)
        for name in floors:
            base = by_place.get((name, entrant.regime))
            # of two floors the first is the base, but for age and sex
            if base is None or entrant is base or entrant.name == AGE_SEX:
                continue
            if (entrant.name, name) != (SCRATCH, SCRATCH_LONG):
                yield entrant, base
        first = by_place.get((SELFMIS, entrant.regime))
        if first is not None and entrant.name not in (SELFMIS, *floors):
            yield first, entrant
        for name in PAIRS.get(entrant.name, ()):
            other = by_place.get((name, entrant.regime))
            if other is not None:
                yield entrant, other


def _common(asked: Comparison, entrant: Entrant, minus: Entrant | None) -> Comparison:
    known = entrant.known[:, asked.output]
    return asked.among(known if minus is None else known & minus.known[:, asked.output])
