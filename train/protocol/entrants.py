"""Who is in the table: every method in each regime, and two yardsticks that need no lead-I network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import WindowStore

from ..calibrate import fit_logistic, smoothed
from .comparisons import comparisons
from .resamples import Floats
from .result import OUTPUTS, REGIMES, ProtocolResult

AGE_AND_SEX: Final = "age_and_sex"
TEACHER: Final = "teacher_12_leads"
LOGISTIC: Final = "logistic"
SUPERVISED: Final = "supervised"
SCRATCH: Final = "scratch"
SELFMIS: Final = "selfmis"
_DECADE_YEARS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A method in one regime: scores float64 (seeds, records, len(OUTPUTS)), NaN where it says nothing.

    parameters: None where a count would mean nothing.
    """

    name: str
    regime: str
    parameters: int | None
    scores: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where every seed has an answer, (records, len(OUTPUTS))."""
        return np.asarray(np.isfinite(self.scores).all(axis=0))


def entrants(result: ProtocolResult, store: WindowStore) -> tuple[Entrant, ...]:
    """The methods regime by regime in their order, then the yardsticks."""
    found = [
        Entrant(
            name=method.name,
            regime=regime,
            parameters=method.parameters,
            scores=np.stack([np.asarray(each, dtype=np.float64) for each in method.logits[regime]]),
        )
        for regime in REGIMES
        for method in result.methods
        if method.logits.get(regime)
    ]
    if result.teacher_logits:
        seeds = np.stack([_all_outputs(each) for each in result.teacher_logits])
        found.append(Entrant(name=TEACHER, regime=SUPERVISED, parameters=None, scores=seeds))
    if all(method.name != AGE_AND_SEX for method in result.methods):
        found.append(age_and_sex(result.groups, store))
    return tuple(found)


def age_and_sex(groups: Sequence[Sequence[int]], store: WindowStore) -> Entrant:
    """A logistic regression of age and sex for every output, each group predicted from the others.

    Unknown is a category of its own. An output without positives or negatives among the others stays NaN.
    """
    rows = store.rows_of(fold for group in groups for fold in group)
    ages = store.ages_years
    known = np.isfinite(ages)
    sex = np.array([0.0 if record.female is None else 2.0 * record.female - 1.0 for record in store.records])
    decades = np.where(known, (ages - 60.0) / _DECADE_YEARS, 0.0)
    design = np.stack([np.ones(len(store)), decades, ~known, sex, sex == 0], axis=1)
    scores = np.full((1, len(store), len(OUTPUTS)), np.nan)
    asked = {comparison.output: comparison for comparison in reversed(comparisons(store, rows))}
    for output, comparison in asked.items():
        labels = np.zeros(len(store), dtype=np.int64)
        labels[comparison.rows] = comparison.labels
        for group in groups:
            held_out = store.rows_of(group)
            others = np.setdiff1d(rows, held_out)
            positives = int(labels[others].sum())
            if 0 < positives < len(others):
                beta = fit_logistic(design[others], smoothed(labels[others]), np.zeros(design.shape[1]))
                scores[0, held_out, output] = design[held_out] @ beta
    return Entrant(name=AGE_AND_SEX, regime=LOGISTIC, parameters=design.shape[1], scores=scores)


def _all_outputs(logits: NDArray[np.float32]) -> Floats:
    """Logits of any MI alone (records,), or of all outputs, as float64 (records, len(OUTPUTS))."""
    given = np.asarray(logits, dtype=np.float64)
    if given.ndim == 2:
        return given
    scores = np.full((len(given), len(OUTPUTS)), np.nan)
    scores[:, 0] = given
    return scores
