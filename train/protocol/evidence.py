"""Does the single lead know of the other eleven? Retrieval of the 12-lead embedding, and ST levels of unseen leads.

Features of the frozen lead-I encoders are judged alike, whether they were aligned or not: an encoder that was
never aligned has no space in common with the teacher, so all of them go through the same ridge regression, fitted
on the records that the encoder was trained on, judged on the held-out ones. The floor is the random encoder of `scratch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import WindowStore

from ..resamples import Drawn, Ends, Floats, Resamples, Weighted, weighted_mean
from .entrants import PAIRS, SELFMIS
from .result import ProtocolResult
from .st_level import measure_st

RIDGE: Final = 0.1  # times the number of records, on features and aims of mean 0 and deviation 1; never tuned
RETRIEVAL: Final = "retrieval"
# lead I is one of the teacher's own inputs: here it is hidden from the embedding that is looked for
RETRIEVAL_WITHOUT_I: Final = "retrieval_without_lead_i"
RETRIEVALS: Final = (RETRIEVAL, RETRIEVAL_WITHOUT_I)
ST_LEAD_I: Final = "st_of_lead_i"
ST_LEADS: Final = ("II", "V1", "V2", "V3", "V4", "V5", "V6")
ALL_LEADS: Final = "mean"
FEWEST_RECORDS: Final = 20  # with a level, to fit a regression on
_SMALLEST_DEVIATION: Final = 1e-9
_NO_LABELS: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFigure:
    """One figure of a frozen encoder, or of one `minus` another, as in `Figure`.

    name: top_1, top_5, r2, correlation. about: one of RETRIEVALS, or the lead whose ST level is predicted. n: records.
    candidates: how many embeddings each record is ranked among, one number a group, empty for ST levels.
    chance: what guessing gives, None for a difference.
    """

    method: str
    minus: str | None
    name: str
    about: str
    value: float
    each: tuple[float, ...]
    interval: Ends | None
    interval_with_seeds: Ends | None
    n: int
    candidates: tuple[int, ...]
    chance: float | None


def gather_evidence(
    result: ProtocolResult, store: WindowStore, resamples: Resamples, *, st_mv: Floats | None = None
) -> list[EvidenceFigure]:
    """Everything about the methods that left features; st_mv: as `measure_st` gives for all records, if at hand."""
    splits = [(store.rows_of(_others(result.groups, group)), store.rows_of(group)) for group in result.groups]
    features = {method.name: method.features for method in result.methods if method.features}
    if not features:
        return []
    found = _retrieval(RETRIEVAL, result.teacher, features, splits, resamples)
    found += _retrieval(RETRIEVAL_WITHOUT_I, result.teacher_without_i, features, splits, resamples)
    leads = [lead for lead in ST_LEADS if lead in store.manifest.leads]
    if leads:
        levels = measure_st(store, np.arange(len(store))) if st_mv is None else st_mv
        found += _st_levels(levels, leads, store, features, splits, resamples)
    return found


def ridge(features: Floats, aims: Floats, rows: NDArray[np.int64], wanted: NDArray[np.int64]) -> Floats:
    """Aims (records, k) of `wanted` rows as a ridge regression on features (records, d) of `rows` predicts them."""
    x, x_mean, x_deviation = _standardised(features[rows])
    y, y_mean, y_deviation = _standardised(aims[rows])
    weights = np.linalg.solve(x.T @ x + RIDGE * len(rows) * np.eye(x.shape[1]), x.T @ y)
    predicted: Floats = ((features[wanted] - x_mean) / x_deviation) @ weights * y_deviation + y_mean
    return predicted


def hits(predicted: Floats, embedding: Floats, k: int) -> Floats:
    """Whether the own row of `embedding` (n, d) is among the k most similar (cosine) to `predicted` (n, d), (n,).

    Among rows of equal similarity the own one has an equal chance, so that a constant prediction scores k / n.
    """
    similarity = _unit(predicted) @ _unit(embedding).T
    own = np.diagonal(similarity)[:, None]
    better = (similarity > own).sum(axis=1)
    tied = (similarity == own).sum(axis=1)
    return np.asarray(np.clip((k - better) / tied, 0.0, 1.0), dtype=np.float64)


def r_squared(labels: NDArray[np.int64], pairs: Floats, weights: Floats) -> Floats:
    """Share of the variance explained, for each row of weights; `pairs` (n, 2): measured and predicted.

    NaN where what was measured does not vary.
    """
    del labels
    y, p = pairs[:, 0], pairs[:, 1]
    total = weights.sum(axis=1)
    mean = weights @ y / total
    around: Floats = weights @ y**2 - total * mean**2
    left = np.divide(weights @ (y - p) ** 2, around, out=np.full_like(around, np.nan), where=around > 0)
    return np.asarray(1 - left, dtype=np.float64)


def correlation(labels: NDArray[np.int64], pairs: Floats, weights: Floats) -> Floats:
    """Pearson's correlation of measured and predicted, for each row of weights; 0 for a constant prediction."""
    del labels
    y, p = (column - column.mean() for column in pairs.T)
    total = weights.sum(axis=1)
    my, mp = weights @ y / total, weights @ p / total
    covariance = weights @ (y * p) / total - my * mp
    spread = np.sqrt((weights @ y**2 / total - my**2) * np.maximum(weights @ p**2 / total - mp**2, 0.0))
    found: Floats = np.divide(covariance, spread, out=np.zeros_like(covariance), where=spread > 0)
    return found


def _retrieval(
    about: str,
    teacher: NDArray[np.float32],
    features: dict[str, tuple[NDArray[np.float32], ...]],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    resamples: Resamples,
) -> list[EvidenceFigure]:
    rows = np.concatenate([group for _, group in splits])
    sizes = tuple(len(group) for _, group in splits)
    aims = teacher.astype(np.float64)
    predicted = {
        name: [
            [ridge(each[g].astype(np.float64), aims[g], *split) for g, split in enumerate(splits)]
            for each in seeds
        ]
        for name, seeds in features.items()
    }
    found = []
    for k in (1, 5):
        scores = {
            name: np.stack(
                [
                    np.concatenate(
                        [
                            hits(p, aims[g][group], k)
                            for g, (p, (_, group)) in enumerate(zip(each, splits, strict=True))
                        ]
                    )
                    for each in seeds
                ]
            )
            for name, seeds in predicted.items()
        }
        chance = sum(min(k, size) for size in sizes) / len(rows)
        draw = _drawer(weighted_mean, rows, resamples)
        drawn = {name: draw(score) for name, score in scores.items()}
        found += _with_differences(f"top_{k}", about, drawn, len(rows), sizes, chance, resamples)
    return found


def _st_levels(
    levels: Floats,
    leads: Sequence[str],
    store: WindowStore,
    features: dict[str, tuple[NDArray[np.float32], ...]],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    resamples: Resamples,
) -> list[EvidenceFigure]:
    known = np.asarray(np.isfinite(levels).all(axis=1))
    splits = [(train[known[train]], group[known[group]]) for train, group in splits]
    if any(len(train) < FEWEST_RECORDS or len(group) == 0 for train, group in splits):
        return []
    rows = np.concatenate([group for _, group in splits])
    columns = [store.lead_index(lead) for lead in leads]
    aims = levels[:, columns]
    lead_i = levels[:, [store.lead_index("I")]]
    sources: dict[str, list[list[Floats]]] = {ST_LEAD_I: [[lead_i] * len(splits)]}
    for name, seeds in features.items():
        sources[name] = [[each[g].astype(np.float64) for g in range(len(splits))] for each in seeds]
    predicted = {
        name: np.stack([_predicted(groups, aims, splits) for groups in seeds])
        for name, seeds in sources.items()
    }
    found = []
    for label, statistic, chance in (("r2", r_squared, 0.0), ("correlation", correlation, 0.0)):
        draw = _drawer(statistic, rows, resamples)
        by_lead = [
            {
                name: draw(np.stack([np.stack([aims[rows, i], one[:, i]], axis=1) for one in values]))
                for name, values in predicted.items()
            }
            for i in range(len(leads))
        ]
        for lead, drawn in zip(leads, by_lead, strict=True):
            found += _with_differences(label, lead, drawn, len(rows), (), chance, resamples)
        means = {
            name: Drawn(
                np.mean([drawn[name].each for drawn in by_lead], axis=0),
                np.mean([drawn[name].drawn for drawn in by_lead], axis=0),
            )
            for name in predicted
        }
        found += _with_differences(label, ALL_LEADS, means, len(rows), (), chance, resamples)
    return found


def _predicted(
    features: Sequence[Floats], aims: Floats, splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> Floats:
    """Predictions of one seed in the order of the held-out groups, (rows, leads)."""
    return np.concatenate([ridge(features[g], aims, train, group) for g, (train, group) in enumerate(splits)])


def _drawer(statistic: Weighted, rows: NDArray[np.int64], resamples: Resamples) -> Callable[[Floats], Drawn]:
    return lambda scores: resamples.draw(statistic, _NO_LABELS, scores, rows)


def _with_differences(
    name: str,
    about: str,
    drawn: dict[str, Drawn],
    n: int,
    candidates: tuple[int, ...],
    chance: float,
    resamples: Resamples,
) -> list[EvidenceFigure]:
    """A figure for each method; `selfmis` minus each other one, and PAIRS."""

    def figure(method: str, minus: str | None, values: Drawn) -> EvidenceFigure:
        result = resamples.estimate(values)
        return EvidenceFigure(
            method=method,
            minus=minus,
            name=name,
            about=about,
            value=result.value,
            each=result.each,
            interval=result.interval,
            interval_with_seeds=result.with_seeds,
            n=n,
            candidates=candidates,
            chance=chance if minus is None else None,
        )

    found = [figure(method, None, values) for method, values in drawn.items()]
    if SELFMIS in drawn:
        others = [method for method in drawn if method != SELFMIS]
        found += [figure(SELFMIS, other, drawn[SELFMIS] - drawn[other]) for other in others]
    asked = [(first, second) for first, others in PAIRS.items() for second in others]
    found += [figure(a, b, drawn[a] - drawn[b]) for a, b in asked if a in drawn and b in drawn]
    return found


def _others(groups: Sequence[Sequence[int]], group: Sequence[int]) -> list[int]:
    return [fold for other in groups for fold in other if fold not in group]


def _standardised(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Columns with mean 0 and deviation 1, with both; one that never moves becomes 0."""
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    scale = np.where(deviation > _SMALLEST_DEVIATION, deviation, 1.0)
    return (values - mean) / scale, mean, scale


def _unit(values: Floats) -> Floats:
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Floats = np.divide(values, norm, out=np.zeros_like(values), where=norm > 0)
    return unit
