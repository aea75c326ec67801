"""What the written files must compute, in plain integers: the oracle of both golden families (contract C4).

`reference` requantises as gemmlowp does (SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT; Jacob et
al. 2018, arXiv 1712.05877, section 2.2, and TensorFlow Lite's reference kernels); `fast` multiplies by a
float32 scale and rounds half to even, as XNNPACK and ONNX Runtime do.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_mi.runners.base import Family

from .quantise import QuantisedLayer, QuantisedNet

Int8Batch = NDArray[np.int8]
_BATCH = 256


def run_integer_model(net: QuantisedNet, windows: Int8Batch, family: Family) -> Int8Batch:
    """Logits int8 (n, K) of windows int8 (n, samples)."""
    # in batches, for the memory that the layers between take
    batches = [windows[i : i + _BATCH] for i in range(0, len(windows), _BATCH)]
    return np.concatenate([run_layers(net, batch, family)["head"][:, 0] for batch in batches])


def run_layers(net: QuantisedNet, windows: Int8Batch, family: Family) -> dict[str, Int8Batch]:
    """int8 (n, time, channels) after every layer and after the mean (`pool`)."""
    x = windows[:, :, None]
    results: dict[str, Int8Batch] = {}
    for layer in net.convs:
        x = results[layer.name] = _conv(layer, x, family)
    x = results["pool"] = _mean_over_frames(x, net.convs[-1].result.zero_point, family)
    results["head"] = _conv(net.head, x, family)
    return results


def _conv(layer: QuantisedLayer, x: Int8Batch, family: Family) -> Int8Batch:
    kernel = layer.weight.shape[2]
    views = sliding_window_view(x.astype(np.float64) - layer.source.zero_point, kernel, axis=1)[
        :, :: layer.stride
    ]
    # exact in float64: |sum| <= 127 * 255 * depth
    sums = np.einsum("ntik,oik->nto", views, layer.weight.astype(np.float64), optimize=True) + layer.bias
    if family == "fast":
        scaled = np.rint(sums.astype(np.float32) * fast_scales(layer)).astype(np.int64)
    else:
        scaled = _double_rounding(sums.astype(np.int64), *reference_multipliers(layer))
    low = layer.result.zero_point if layer.relu else -128
    result: Int8Batch = np.clip(scaled + layer.result.zero_point, low, 127).astype(np.int8)
    return result


def fast_scales(layer: QuantisedLayer) -> NDArray[np.float32]:
    """float32 (out,): from sums of products to the int8 result, family `fast`."""
    return np.asarray(
        np.float32(layer.source.scale) * layer.weight_scale / np.float32(layer.result.scale), dtype=np.float32
    )


def reference_multipliers(layer: QuantisedLayer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64 (out,) twice: the same for family `reference`, a 31-bit mantissa and a power of two.

    As TensorFlow Lite's QuantizeMultiplier.
    """
    ratios = [layer.source.scale * float(w) / layer.result.scale for w in layer.weight_scale]
    mantissas, shifts = [], []
    for ratio in ratios:
        fraction, shift = math.frexp(ratio)
        mantissa = math.floor(fraction * (1 << 31) + 0.5)
        if mantissa == 1 << 31:
            mantissa, shift = mantissa // 2, shift + 1
        if shift < -31:
            mantissa, shift = 0, 0
        mantissas.append(mantissa)
        shifts.append(shift)
    return np.array(mantissas, dtype=np.int64), np.array(shifts, dtype=np.int64)


def _double_rounding(
    x: NDArray[np.int64], mantissa: NDArray[np.int64], shift: NDArray[np.int64]
) -> NDArray[np.int64]:
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    product = (x << left) * mantissa
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))  # C's division truncates
    mask = (np.int64(1) << right) - 1
    threshold = (mask >> 1) + (high < 0)
    return np.asarray((high >> right) + ((high & mask) > threshold), dtype=np.int64)


def _mean_over_frames(x: Int8Batch, zero_point: int, family: Family) -> Int8Batch:
    frames = x.shape[1]
    sums = x.astype(np.int64).sum(axis=1, keepdims=True)
    if family == "fast":
        mean = (
            np.rint((sums - frames * zero_point).astype(np.float32) / np.float32(frames)).astype(np.int64)
            + zero_point
        )
    else:
        half = frames // 2
        mean = np.where(sums > 0, (sums + half) // frames, -((-sums + half) // frames))
    result: Int8Batch = np.clip(mean, -128, 127).astype(np.int8)
    return result
