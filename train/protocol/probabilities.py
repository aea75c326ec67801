"""Which calibration to ship, and what the probabilities are worth: every record by a map of the other groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError
from edge_mi.metrics import expected_calibration_error
from edge_mi.store import WindowStore

from ..calibrate import operating_points
from ..resamples import Ends, Floats, Resamples, ends, weighted_mean
from .calibration_maps import FITTED, MAPS, Fit, platt
from .entrants import Entrant

BINS: Final = 10
SMALLEST: Final = 1e-12  # of a probability under a logarithm
CHOICE_RULE: Final = (
    "Platt, unless another map has a lower log loss out of fold with a paired interval that excludes 0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFigure:
    """One calibration of one entrant, out of fold, mean over seeds; intervals over patients.

    log_loss in nats. ece_width, ece_count: expected calibration error over 10 bins of equal width, of equal
    count; without an interval, since resamples of it are larger than itself.
    """

    calibration: str
    log_loss: float
    log_loss_interval: Ends | None
    log_loss_minus_platt: float
    log_loss_minus_platt_interval: Ends | None
    brier: float
    brier_interval: Ends | None
    ece_width: float
    ece_count: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AchievedPoint:
    """A threshold chosen on the other groups, and what it gives on the held-out ones; mean over seeds and groups."""

    name: str
    threshold: float
    sensitivity: float
    sensitivity_interval: Ends | None
    specificity: float
    specificity_interval: Ends | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """One of ten bins of equal count: mean probability, share of MI with its interval, records in a seed's bin."""

    probability: float
    frequency: float
    interval: Ends | None
    n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probabilities:
    """Everything about the probabilities of one entrant; `chosen` is the map that its rule picks."""

    method: str
    regime: str
    n: int
    n_positive: int
    chosen: str
    maps: tuple[MapFigure, ...]
    points: tuple[AchievedPoint, ...]
    before: tuple[ReliabilityBin, ...]
    after: tuple[ReliabilityBin, ...]


def judge_probabilities(
    entrant: Entrant, store: WindowStore, groups: Sequence[Sequence[int]], resamples: Resamples
) -> Probabilities | None:
    """Probabilities of any MI; None where a split has no answers, or answers of one class only."""
    scores, labels = entrant.scores[:, :, 0], store.labels
    known = entrant.known[:, 0]
    held_out = [rows[known[rows]] for rows in (store.rows_of(group) for group in groups)]
    rows = np.concatenate(held_out)
    splits = [(np.setdiff1d(rows, group), group) for group in held_out]
    if any(len(set(labels[others])) < 2 for others, _ in splits):
        return None
    by_map = {
        name: np.stack([out_of_fold(fit, score, labels, splits) for score in scores])[:, rows]
        for name, fit in MAPS.items()
    }
    y, weights = labels[rows], resamples.weights[:, rows].astype(np.float64)
    losses = {name: np.mean([_log_loss(y, p) for p in by_seed], axis=0) for name, by_seed in by_map.items()}
    maps = tuple(_map_figure(name, y, by_map[name], losses, weights) for name in MAPS)
    return Probabilities(
        method=entrant.name,
        regime=entrant.regime,
        n=len(rows),
        n_positive=int(y.sum()),
        chosen=choose(maps),
        maps=maps,
        points=_achieved(scores, labels, splits, resamples),
        before=_bins(y, by_map["none"], weights),
        after=_bins(y, by_map["platt"], weights),
    )


def choose(maps: Iterable[MapFigure]) -> str:
    """The calibration to ship by CHOICE_RULE."""
    better = [
        found
        for found in maps
        if found.calibration in FITTED
        and found.log_loss_minus_platt_interval is not None
        and found.log_loss_minus_platt_interval[1] < 0
    ]
    return min(better, key=lambda found: found.log_loss).calibration if better else "platt"


def equal_count_error(labels: NDArray[np.int64], p: Floats, bins: int = BINS) -> float:
    """Expected calibration error over `bins` bins that hold the same number of records, ties broken by order."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) * abs(p[part].mean() - labels[part].mean()) for part in parts) / len(p))


def out_of_fold(
    fit: Fit,
    score: Floats,
    labels: NDArray[np.int64],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> Floats:
    """Probabilities float64 (records,) of each `(others, group)`: fitted on the others, NaN outside all groups."""
    p = np.full(len(score), np.nan)
    for others, group in splits:
        p[group] = fit(score[others], labels[others])(score[group])
    return p


def _log_loss(labels: NDArray[np.int64], p: Floats) -> Floats:
    right = np.where(labels == 1, p, 1 - p)
    return -np.log(np.maximum(right, SMALLEST))


def _map_figure(
    name: str, labels: NDArray[np.int64], by_seed: Floats, losses: dict[str, Floats], weights: Floats
) -> MapFigure:
    gain = losses[name] - losses["platt"]
    squared = np.mean([(p - labels) ** 2 for p in by_seed], axis=0)
    return MapFigure(
        calibration=name,
        log_loss=float(losses[name].mean()),
        log_loss_interval=_mean_ends(losses[name], weights),
        log_loss_minus_platt=float(gain.mean()),
        log_loss_minus_platt_interval=_mean_ends(gain, weights),
        brier=float(squared.mean()),
        brier_interval=_mean_ends(squared, weights),
        ece_width=float(np.mean([expected_calibration_error(labels, p, BINS) for p in by_seed])),
        ece_count=float(np.mean([equal_count_error(labels, p) for p in by_seed])),
    )


def _mean_ends(values: Floats, weights: Floats) -> Ends | None:
    return ends(weighted_mean(np.empty(0, dtype=np.int64), values, weights))


def _achieved(
    scores: Floats,
    labels: NDArray[np.int64],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    resamples: Resamples,
) -> tuple[AchievedPoint, ...]:
    """Platt's map and its thresholds from the other groups, applied to the held-out one."""
    thresholds: dict[str, list[float]] = {}
    called: dict[str, list[Floats]] = {}
    for score in scores:
        answers: dict[str, Floats] = {}
        for others, group in splits:
            to_probability = platt(score[others], labels[others])
            for point in operating_points(to_probability(score[others]), labels[others], "the other groups"):
                thresholds.setdefault(point.name, []).append(point.threshold)
                answer = answers.setdefault(point.name, np.full(len(labels), np.nan))
                answer[group] = to_probability(score[group]) >= point.threshold
        for name, answer in answers.items():
            called.setdefault(name, []).append(answer)
    rows = np.concatenate([group for _, group in splits])
    y, weights = labels[rows], resamples.weights[:, rows].astype(np.float64)
    positive = {name: np.mean(by_seed, axis=0)[rows] for name, by_seed in called.items()}
    return tuple(
        AchievedPoint(
            name=name,
            threshold=float(np.mean(thresholds[name])),
            sensitivity=float(share[y == 1].mean()),
            sensitivity_interval=_mean_ends(share[y == 1], weights[:, y == 1]),
            specificity=float(1 - share[y == 0].mean()),
            specificity_interval=_mean_ends(1 - share[y == 0], weights[:, y == 0]),
        )
        for name, share in positive.items()
    )


def _bins(labels: NDArray[np.int64], by_seed: Floats, weights: Floats) -> tuple[ReliabilityBin, ...]:
    """Bins of equal count over the answers of all seeds together; patients are drawn with all their answers."""
    if by_seed.shape[1] < BINS:
        raise ConfigError(f"{by_seed.shape[1]} records for {BINS} bins; more are needed")
    p = by_seed.ravel()
    row = np.tile(np.arange(len(labels)), len(by_seed))
    return tuple(
        ReliabilityBin(
            probability=float(p[part].mean()),
            frequency=float(labels[row[part]].mean()),
            interval=_mean_ends(labels[row[part]].astype(np.float64), weights[:, row[part]]),
            n=len(part) / len(by_seed),
        )
        for part in np.array_split(np.argsort(p, kind="stable"), BINS)
    )
