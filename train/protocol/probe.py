"""Linear probe: a logistic regression on frozen features, and the labels of a part of the patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from edge_mi.store import WindowStore

from ..align import standardise
from ..parts import Arrays, Part
from ..splits import Folds
from .outputs import Subset, output_labels
from .result import OUTPUTS, Regime

FRACTIONS: Final[dict[Regime, float]] = {"probe_1": 0.01, "probe_10": 0.1, "probe_100": 1.0}
STEPS: Final = 500
TOLERANCE: Final = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """Probe features for each of `regimes`; labels come from `train_folds`, subsets from `seed`."""

    regimes: tuple[Regime, ...]
    ridge: float
    train_folds: Folds
    predict_folds: Folds
    seed: int


def probe_part(name: str, request: ProbeRequest, features: NDArray[np.float32]) -> Part:
    """The part of a run that probes the `features` float32 (records, dim) of method `name`."""
    folds = "".join(map(str, request.predict_folds))
    return Part(f"probe-{name}-for-{folds}-seed{request.seed}", probe, request, {"features": features})


def probe(
    store: WindowStore, request: ProbeRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Logits of each regime, float32 (records, OUTPUTS), NaN outside predict_folds and where nothing was learned."""
    del snapshot
    labels, held_out = output_labels(store), store.rows_of(request.predict_folds)
    # on all training records: what a feature is like needs no label
    features = standardise(inputs["features"], store.rows_of(request.train_folds))
    results: Arrays = {}
    for regime in request.regimes:
        subset = Subset(folds=request.train_folds, fraction=FRACTIONS[regime], seed=request.seed)
        rows = subset.rows(store)
        logits = np.full((len(store), len(OUTPUTS)), np.nan, dtype=np.float32)
        logits[held_out] = logistic_logits(
            features[rows], labels[rows], features[held_out], ridge=request.ridge
        )
        results[regime] = logits
    return results


def logistic_logits(
    features: NDArray[np.float32], labels: NDArray[np.int64], asked: NDArray[np.float32], *, ridge: float
) -> NDArray[np.float32]:
    """Logits float32 (m, outputs) of `asked` (m, dim) by regressions of `labels` (n, outputs) on `features` (n, dim).

    Each output minimises summed cross-entropy + ridge / 2 * squared weights, the intercept free, by L-BFGS in
    float64. An output without a positive or without a negative is NaN.
    """
    x, y = torch.from_numpy(features).double(), torch.from_numpy(labels).double()
    known = torch.from_numpy((labels.min(axis=0) == 0) & (labels.max(axis=0) == 1))
    y = y[:, known]
    weight = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64, requires_grad=True)
    offset = torch.logit(y.mean(0)).requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weight, offset], max_iter=STEPS, tolerance_grad=TOLERANCE, tolerance_change=1e-12,
        history_size=20, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        z = x @ weight + offset
        value = (torch.nn.functional.softplus(z) - y * z).sum() + ridge / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    logits = np.full((len(asked), labels.shape[1]), np.nan, dtype=np.float32)
    if y.shape[1]:
        optimiser.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            found = torch.from_numpy(asked).double() @ weight + offset
        logits[:, known.numpy()] = found.float().numpy()
    return logits
