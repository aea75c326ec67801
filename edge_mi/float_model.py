"""The network in float with numpy: for activation ranges, and as an oracle that needs no framework."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_mi.checkpoint import Range, Ranges
from edge_mi.netspec import NetSpec
from edge_mi.range_search import DEFAULT, DESCRIPTIONS, RangeMethod, find_range, find_relu_range

Weights = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]

HEAD_MARGIN = 0.25
MIN_WINDOWS = 64
MAX_WINDOWS = 256


def run_layers(
    spec: NetSpec, weights: Weights, windows_mv: NDArray[np.floating], *, reproducible: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Outputs float64 (n, time, channels) of every layer for windows (n, samples), millivolts.

    reproducible: add in one stated order, slower, so that every processor gives the same bits.
    """
    x = np.asarray(windows_mv, dtype=np.float64)[:, :, None]
    strides = {conv.name: conv.stride for conv in spec.convs}
    results: dict[str, NDArray[np.float64]] = {}
    for name in spec.layer_names:
        weight, bias = weights[name]
        if name == "head":
            frames = x.shape[1]
            total = np.cumsum(x, axis=1)[:, -1:] if reproducible else x.sum(axis=1, keepdims=True)
            x = results["pool"] = total / frames
        views = sliding_window_view(x, weight.shape[2], axis=1)[:, :: strides.get(name, 1)]
        x = (_sums_in_order if reproducible else _sums)(views, weight.astype(np.float64)) + bias
        x = results[name] = x if name == "head" else np.maximum(x, 0.0)
    return results


def _sums(views: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.einsum("ntik,oik->nto", views, weight, optimize=True)
    return sums


def _sums_in_order(views: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `_sums`, one product and one addition after the other: no BLAS, vector width or fused step has a say."""
    sums = np.zeros((*views.shape[:2], len(weight)))
    for i in range(weight.shape[1]):
        for k in range(weight.shape[2]):
            sums += views[:, :, i, k, None] * weight[:, i, k]
    return sums


def measure_ranges(
    spec: NetSpec,
    weights: Weights,
    windows_mv: NDArray[np.floating],
    ids: list[str],
    method: RangeMethod = DEFAULT,
) -> Ranges:
    """Activation ranges on calibration windows (n, samples), millivolts, named by `ids`.

    The rare extremes may be clipped: a code spent on them is a code less for every ST segment. The logits keep
    theirs, with a margin, because what saturates there cannot be ranked. Raises ValueError for too few.
    """
    if len(windows_mv) < MIN_WINDOWS:
        raise ValueError(f"{len(windows_mv)} calibration windows, at least {MIN_WINDOWS} are needed")
    outputs = run_layers(spec, weights, windows_mv, reproducible=True)
    tensors = {"input": find_range(windows_mv, method)}
    for conv in spec.convs:
        tensors[conv.name] = find_relu_range(outputs[conv.name], method)
    logits = outputs["head"]
    tensors["head"] = head_range(float(logits.min()), float(logits.max()))
    described = f"{DESCRIPTIONS[method]}; head: extremes with a margin of {HEAD_MARGIN:.0%}"
    return Ranges(method=described, tensors=tensors, window_ids=tuple(ids))


def head_range(low: float, high: float) -> Range:
    """The range of logits of which `low` and `high` were seen."""
    margin = HEAD_MARGIN * max(high - low, 1e-3)
    return Range(low=low - margin, high=high + margin)


def calibration_order(ids: list[str]) -> list[int]:
    """Positions of `ids` in an order that has nothing to do with their content: by the hash of the id."""
    return sorted(range(len(ids)), key=lambda i: hashlib.sha256(ids[i].encode()).hexdigest())
