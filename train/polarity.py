"""The table that tells an upright lead I from one turned over, learned from records as they were taken.

A record turned over is a negative example of itself, so a logistic regression without intercept needs nothing but
records. Its weights, rounded to integers, are what the device correlates mean beats with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import ConfigError
from edge_mi.heartbeats import find_heartbeats
from edge_mi.netspec import NetSpec
from edge_mi.polarity import PolarityCheck, correlation_permille
from edge_mi.signal_design import MV_BITS
from edge_mi.store import CODES_PER_MV, MISSING_CODE, WindowStore

from .calibrate import fit_logistic
from .splits import Folds, check_folds, span

LEAST_RECORDS: Final = 100
MEMORY_S: Final = 30.0  # as long as the alarm looks back
UPRIGHT_PERMILLE: Final = 0
_LARGEST: Final = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarityConfig:
    """caught: share of records turned over that the limit is to refuse. ridge: weight of the squared norm.

    Both were chosen on folds 1 to 9 of PTB-XL, out of fold (benchmarks/results/polarity.json): a limit that catches
    more refuses infarctions that point down by themselves.
    """

    caught: float = 0.97
    ridge: float = 0.1


def beats_of(store: WindowStore, rows: NDArray[np.int64], net: NetSpec) -> list[tuple[int, ...] | None]:
    """The summed beats of the first window of each record's lead I, None where it has too few."""
    step = (1 << MV_BITS) // CODES_PER_MV
    lead = store.lead_index("I")
    found = []
    for row in rows:
        codes = store.codes[row, lead, : net.window_samples].astype(np.int64)
        codes[codes == MISSING_CODE] = 0  # where a filtered signal rests
        found.append(find_heartbeats(step * codes, net.rate_hz).beat)
    return found


def fit_polarity(
    store: WindowStore, folds: Folds, net: NetSpec, config: PolarityConfig = PolarityConfig()
) -> PolarityCheck | None:
    """The check learned on `folds`, its limit chosen out of fold; None with too few records with beats.

    Raises ConfigError for fewer than two folds, or one that no training may read.
    """
    check_folds(folds)
    if len(folds) < 2:
        raise ConfigError(f"{len(folds)} fold; a limit is chosen out of fold, which takes at least two")
    rows = store.rows_of(folds)
    found = beats_of(store, rows, net)
    kept = [i for i, beat in enumerate(found) if beat is not None]
    if len(kept) < LEAST_RECORDS:
        return None
    beats = np.array([found[i] for i in kept], dtype=np.int64)
    source = f"{store.manifest.source.name}, folds {span(folds)}, out of fold"
    return learn_check(beats, store.folds[rows[kept]], source, config)


def learn_check(
    beats: NDArray[np.int64], folds: NDArray[np.int64], source: str, config: PolarityConfig = PolarityConfig()
) -> PolarityCheck:
    """The check learned on summed beats, int64 (n, samples), of records in `folds`, (n,); `source` says of whom."""
    scores = out_of_fold(beats, folds, config)
    limit = inverted_limit(scores, config.caught)
    return PolarityCheck(
        weights=fit_weights(beats, config.ridge),
        inverted_permille=limit,
        upright_permille=UPRIGHT_PERMILLE,
        memory_s=MEMORY_S,
        caught=float(np.mean(-scores <= limit)),
        refused=float(np.mean(scores <= limit)),
        n=len(beats),
        chosen_on=source,
    )


def inverted_limit(scores: NDArray[np.int64], caught: float) -> int:
    """The limit, thousandths, that refuses a share `caught` of records turned over; `scores` (n,) as they are."""
    # a record turned over scores the opposite, to the last bit
    return min(UPRIGHT_PERMILLE - 1, -int(np.quantile(scores, 1 - caught, method="lower")))


def out_of_fold(
    beats: NDArray[np.int64], folds: NDArray[np.int64], config: PolarityConfig = PolarityConfig()
) -> NDArray[np.int64]:
    """Correlation, thousandths, int64 (n,), of summed beats, int64 (n, samples), with a table of the other folds."""
    scores = np.zeros(len(beats), dtype=np.int64)
    for fold in np.unique(folds):
        weights = fit_weights(beats[folds != fold], config.ridge)
        for i in np.flatnonzero(folds == fold):
            scores[i] = correlation_permille(beats[i].tolist(), weights)
    return scores


def fit_weights(beats: NDArray[np.int64], ridge: float) -> tuple[int, ...]:
    """Integer weights, the largest 127, of summed beats, int64 (n, samples), that stand upright.

    Minimises sum log(1 + exp(-x w)) + ridge / 2 |w|^2; x are the beats around their means, of length 1.
    """
    x = beats - beats.mean(axis=1, keepdims=True)
    x /= np.maximum(np.sqrt((x * x).sum(axis=1, keepdims=True)), 1.0)
    w = fit_logistic(x, np.ones(len(x)), np.zeros(x.shape[1]), ridge=ridge)
    w -= w.mean()
    return tuple(int(value) for value in np.rint(w * (_LARGEST / np.abs(w).max())))


def with_polarity(checkpoint: Checkpoint, check: PolarityCheck) -> Checkpoint:
    """The checkpoint with this check, whatever it had before."""
    return Checkpoint(replace(checkpoint.info, polarity=check), checkpoint.weights)
