"""Discrimination and calibration, with bootstrap intervals over patients (contract C8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_mi.errors import ConfigError

RESAMPLES: Final = 1000
_PERCENTILES: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % bootstrap interval; `dropped` resamples held one class only."""

    value: float
    low: float
    high: float
    n: int
    n_positive: int
    dropped: int


def auroc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Probability that a positive scores above a negative, ties counted half.

    labels: 0 or 1 (n,); scores: float (n,); weights: float (n,). Raises ConfigError for one class or NaN.
    """
    y, s, w = _checked(labels, scores, weights)
    return float(_auroc_of_resamples(y, s, w[None])[0])


def auprc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: the mean over positives of the precision at their score."""
    y, s, _ = _checked(labels, scores, None)
    tp, fp, _ = _counts(y, s)
    precision = tp / (tp + fp)
    recall = np.concatenate([[0.0], tp / tp[-1]])
    return float((np.diff(recall) * precision).sum())


def threshold_for_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float) -> float:
    """The lowest score that, taken as positive from there on, keeps at least `specificity`."""
    y, s, _ = _checked(labels, scores, None)
    _, fp, thresholds = _counts(y, s)
    kept = np.flatnonzero(fp <= (1 - specificity) * (y == 0).sum() + 1e-9)
    return float(thresholds[kept[-1]]) if len(kept) else float(np.nextafter(thresholds[0], np.inf))


def threshold_for_sensitivity(labels: ArrayLike, scores: ArrayLike, sensitivity: float) -> float:
    """The highest score that, taken as positive from there on, reaches at least `sensitivity`."""
    y, s, _ = _checked(labels, scores, None)
    tp, _, thresholds = _counts(y, s)
    return float(thresholds[np.flatnonzero(tp >= sensitivity * (y == 1).sum() - 1e-9)[0]])


def balanced_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """The lowest score that, taken as positive from there on, has the largest sensitivity + specificity.

    Source: Youden, "Index for rating diagnostic tests" (1950).
    """
    y, s, _ = _checked(labels, scores, None)
    tp, fp, thresholds = _counts(y, s)
    sums = tp / tp[-1] + (fp[-1] - fp) / fp[-1]
    return float(thresholds[::-1][int(np.argmax(sums[::-1]))])


def sensitivity_specificity(labels: ArrayLike, scores: ArrayLike, threshold: float) -> tuple[float, float]:
    """(sensitivity, specificity) where scores at or above `threshold` are positive."""
    y, s, _ = _checked(labels, scores, None)
    positive = s >= threshold
    return float(positive[y == 1].mean()), float((~positive[y == 0]).mean())


def sensitivity_at_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float) -> float:
    """Sensitivity at the lowest threshold that keeps at least `specificity`."""
    return sensitivity_specificity(labels, scores, threshold_for_specificity(labels, scores, specificity))[0]


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance of the probability from the label."""
    y, p, _ = _checked(labels, probabilities, None)
    return float(((p - y) ** 2).mean())


def expected_calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Mean distance of probability and frequency over `bins` bins of equal width, weighted by their size."""
    y, p, _ = _checked(labels, probabilities, None)
    index = np.clip((p * bins).astype(np.int64), 0, bins - 1)
    return float(
        sum((index == b).mean() * abs(p[index == b].mean() - y[index == b].mean()) for b in np.unique(index))
    )


def bootstrap_auroc(
    labels: ArrayLike, scores: ArrayLike, patients: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """AUROC with its interval; patients are drawn with replacement, with all their records."""
    y, s, _ = _checked(labels, scores, None)
    weights = patient_weights(patients, len(y), resamples, seed)
    drawn = _auroc_of_resamples(y, s, weights)
    return _interval(auroc(y, s), drawn, y)


def bootstrap_auroc_difference(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    patients: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """AUROC of a minus AUROC of b on the same records, with a paired interval over patients."""
    y, a, _ = _checked(labels, scores_a, None)
    _, b, _ = _checked(labels, scores_b, None)
    weights = patient_weights(patients, len(y), resamples, seed)
    drawn = _auroc_of_resamples(y, a, weights) - _auroc_of_resamples(y, b, weights)
    return _interval(auroc(y, a) - auroc(y, b), drawn, y)


def patient_weights(
    patients: ArrayLike, n: int, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """How often each of `n` records is drawn, float64 (resamples, n): patients with replacement, with all they have.

    Raises ConfigError where `patients` are not `n`.
    """
    ids = np.asarray(patients)
    if ids.shape != (n,):
        raise ConfigError(f"{ids.shape} patients for {n} records")
    names, index = np.unique(ids, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return drawn[:, index].astype(np.float64)


def auroc_of_resamples(
    labels: ArrayLike, scores: ArrayLike, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """AUROC for each row of `weights` (m, n), float64 (m,); NaN where a row has one class only."""
    y, s, _ = _checked(labels, scores, None)
    return _auroc_of_resamples(y, s, weights)


def auprc_of_resamples(
    labels: ArrayLike, scores: ArrayLike, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average precision for each row of `weights` (m, n), float64 (m,); NaN where a row has one class only."""
    y, s, _ = _checked(labels, scores, None)
    tp, fp = weighted_counts(y, s, weights)
    precision = np.divide(tp, tp + fp, out=np.zeros_like(tp), where=tp + fp > 0)
    gained = np.diff(tp, axis=1, prepend=0.0)
    return _shares((gained * precision).sum(axis=1), np.where(fp[:, -1] > 0, tp[:, -1], 0.0))


def sensitivity_of_resamples(
    labels: ArrayLike, scores: ArrayLike, weights: NDArray[np.float64], specificity: float
) -> NDArray[np.float64]:
    """Sensitivity at `specificity`, each row of `weights` (m, n) with its own threshold, float64 (m,).

    NaN where a row has one class only.
    """
    y, s, _ = _checked(labels, scores, None)
    tp, fp = weighted_counts(y, s, weights)
    kept = (fp <= (1 - specificity) * fp[:, -1:] + 1e-9).sum(axis=1)
    found = np.where(kept > 0, np.take_along_axis(tp, np.maximum(kept - 1, 0)[:, None], axis=1)[:, 0], 0.0)
    return _shares(found, np.where(fp[:, -1] > 0, tp[:, -1], 0.0))


def weighted_counts(
    y: NDArray[np.int64], s: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True and false positives at each distinct score, from the highest down, float64 (m, distinct scores)."""
    order = np.argsort(-s, kind="stable")
    last = np.flatnonzero(np.append(np.diff(s[order]) != 0, True))
    drawn = weights[:, order]
    tp = np.cumsum(drawn * y[order], axis=1)[:, last]
    return tp, np.cumsum(drawn * (1 - y[order]), axis=1)[:, last]


def _checked(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    y, s = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    w = np.ones(len(s)) if weights is None else np.asarray(weights, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape or w.shape != s.shape:
        raise ConfigError(
            f"labels {y.shape}, scores {s.shape} and weights {w.shape} must be rows of one length"
        )
    if not np.isin(y, [0, 1]).all():
        raise ConfigError("labels must be 0 or 1")
    if not np.isfinite(s).all():
        raise ConfigError(f"{int((~np.isfinite(s)).sum())} scores are not finite")
    if y.min(initial=1) == y.max(initial=0):
        raise ConfigError(f"all {len(y)} labels are of one class; nothing can be ranked")
    return y.astype(np.int64), s, w


def _counts(y: NDArray[np.int64], s: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """True and false positives at each distinct score, from the highest down, and those scores."""
    order = np.argsort(-s, kind="stable")
    last = np.flatnonzero(np.append(np.diff(s[order]) != 0, True))
    tp = np.cumsum(y[order])[last].astype(np.float64)
    return tp, last + 1 - tp, s[order][last]


def _auroc_of_resamples(
    y: NDArray[np.int64], s: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    negative = np.flatnonzero(y == 0)
    negative = negative[np.argsort(s[negative], kind="stable")]
    below = np.zeros((len(weights), len(negative) + 1))
    np.cumsum(weights[:, negative], axis=1, out=below[:, 1:])
    positive, scores = weights[:, y == 1], s[y == 1]
    # a tie counts half: the mean of the negatives strictly below and of those not above
    strictly, or_equal = (np.searchsorted(s[negative], scores, side) for side in ("left", "right"))
    wins = np.einsum("ij,ij->i", positive, below[:, strictly] + below[:, or_equal]) / 2
    return _shares(wins, positive.sum(axis=1) * below[:, -1])


def _shares(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part` of `whole`, NaN where there is no whole."""
    shares: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return shares


def _interval(value: float, drawn: NDArray[np.float64], y: NDArray[np.int64]) -> Interval:
    kept = drawn[np.isfinite(drawn)]
    if len(kept) == 0:
        raise ConfigError("every resample held one class only; there are too few patients for an interval")
    low, high = np.percentile(kept, _PERCENTILES)
    return Interval(value, float(low), float(high), len(y), int(y.sum()), len(drawn) - len(kept))
