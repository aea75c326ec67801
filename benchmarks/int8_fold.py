"""A quantised checkpoint on folds of a window store: logits of the device's arithmetic beside those of float."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from edge_mi.export.integer_model import run_layers as run_integer_layers
from edge_mi.export.quantise import quantise
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_mi.checkpoint import Checkpoint
from edge_mi.float_model import run_layers
from edge_mi.metrics import bootstrap_auroc, bootstrap_auroc_difference
from edge_mi.store import WindowStore


@dataclass(frozen=True, slots=True)
class Int8Fold:
    """Mean logit of each record, float64 (n,), in float and int8, and what int8 costs inside.

    frames_sqnr_db, logits_sqnr_db: power of the float values over that of the error. saturated: for `input` and
    every layer the share of values that float puts beyond the ends of int8.
    """

    float_logits: NDArray[np.float64]
    int8_logits: NDArray[np.float64]
    frames_sqnr_db: float
    logits_sqnr_db: float
    saturated: dict[str, float]


def run_fold(checkpoint: Checkpoint, store: WindowStore, rows: NDArray[np.int64]) -> Int8Fold:
    """Every window of the records `rows`, one a hop, in float and in the integers of the `fast` family."""
    spec, net = checkpoint.info.net, quantise(checkpoint)
    signals = store.signals_mv(rows, missing_mv=0.0).astype(np.float64)
    cut = sliding_window_view(signals, spec.window_samples, axis=1)[:, :: spec.hop_samples]
    windows = cut.reshape(-1, spec.window_samples)
    exact = run_layers(spec, checkpoint.weights, windows)
    codes = run_integer_layers(net, net.input.quantise(windows), "fast")
    real = {layer.name: layer.result.real_array(codes[layer.name]) for layer in (*net.convs, net.head)}
    frames = spec.convs[-1].name
    saturated = {"input": _beyond(windows, net.input.scale, net.input.zero_point, relu=False)}
    for layer in (*net.convs, net.head):
        saturated[layer.name] = _beyond(
            exact[layer.name], layer.result.scale, layer.result.zero_point, relu=layer.relu
        )

    def per_record(logits: NDArray[np.float64]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = logits[:, 0, 0].reshape(len(rows), -1).mean(axis=1)
        return means

    return Int8Fold(
        float_logits=per_record(exact["head"]),
        int8_logits=per_record(real["head"]),
        frames_sqnr_db=sqnr_db(exact[frames], real[frames]),
        logits_sqnr_db=sqnr_db(exact["head"], real["head"]),
        saturated=saturated,
    )


def sqnr_db(exact: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """Power of `exact` over that of its difference from `real`, in decibel."""
    return float(10 * np.log10((exact**2).mean() / ((exact - real) ** 2).mean()))


def auroc_document(
    store: WindowStore, rows: NDArray[np.int64], logits: NDArray[np.float64]
) -> dict[str, object]:
    """AUROC of `logits` (n,) on the records `rows`, with its interval over patients."""
    found = bootstrap_auroc(store.labels[rows], logits, store.patients[rows])
    return {"value": found.value, "interval": [found.low, found.high]}


def difference_document(
    store: WindowStore, rows: NDArray[np.int64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> dict[str, object]:
    """AUROC of `a` minus AUROC of `b`, each (n,), with the paired interval over patients."""
    found = bootstrap_auroc_difference(store.labels[rows], a, b, store.patients[rows])
    return {"value": found.value, "interval": [found.low, found.high]}


def _beyond(exact: NDArray[np.float64], scale: float, zero_point: int, *, relu: bool) -> float:
    above = exact > scale * (127.5 - zero_point)
    below = exact < scale * (-128.5 - zero_point)
    return float((above if relu else above | below).mean())
