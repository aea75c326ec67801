"""The one quantisation: weights, scales and zero points decided once, before any file is written.

Per-channel symmetric int8 weights, per-tensor int8 activations, int32 bias on the grid s_in * s_w: the scheme
that LiteRT, ONNX Runtime, TFLM and plain C all execute (TensorFlow Lite 8-bit quantization specification).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import QuantParams
from edge_mi.checkpoint import Checkpoint, Range
from edge_mi.errors import CheckpointError
from edge_mi.int8_grid import quant_params, weight_scales
from edge_mi.netspec import NetSpec

# XNNPACK opens no convolution that multiplies its sums by more
_RATIO_LIMIT = 256.0


@dataclass(frozen=True, slots=True)
class QuantisedLayer:
    """One convolution in integers; the head is a convolution of kernel 1 without ReLU.

    weight int8 (out, in, kernel); weight_scale and bias_scale float32 (out,), bias_scale = s_in * weight_scale
    in float32 as the specification has it; bias int32 (out,).
    """

    name: str
    stride: int
    relu: bool
    weight: NDArray[np.int8]
    weight_scale: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scale: NDArray[np.float32]
    source: QuantParams
    result: QuantParams


@dataclass(frozen=True, slots=True)
class QuantisedNet:
    """A network in integers: convolutions, then the mean over frames at unchanged scale, then the head."""

    spec: NetSpec
    input: QuantParams
    convs: tuple[QuantisedLayer, ...]
    head: QuantisedLayer

    @property
    def frames(self) -> QuantParams:
        """Scale and zero point of the int8 frames, and of their mean."""
        return self.convs[-1].result

    @property
    def output(self) -> QuantParams:
        """Scale and zero point of the int8 logits."""
        return self.head.result


def quantise(checkpoint: Checkpoint) -> QuantisedNet:
    """Quantise a checkpoint with the ranges that it carries.

    A dead channel (weights all zero) keeps its bias. Raises CheckpointError, naming the layer, where weights or ranges
    do not fit into the integers.
    """
    spec, ranges = checkpoint.info.net, checkpoint.info.ranges.tensors
    source = first = _params("input", ranges["input"])
    layers = []
    for name in spec.layer_names:
        relu = name != "head"
        # ReLU is the clamp at zero point -128: nothing below zero is spent a code on
        if relu and ranges[name].high <= 0:
            raise CheckpointError(
                f"layer {name}: range {ranges[name].low:g} to {ranges[name].high:g}, and ReLU leaves nothing below zero"
            )
        result = _params(name, Range(low=0.0, high=ranges[name].high) if relu else ranges[name])
        stride = next((conv.stride for conv in spec.convs if conv.name == name), 1)
        layers.append(_layer(name, stride, relu, *checkpoint.weights[name], source, result))
        source = result
    return QuantisedNet(spec=spec, input=first, convs=tuple(layers[:-1]), head=layers[-1])


def _params(layer: str, span: Range) -> QuantParams:
    try:
        return quant_params(span)
    except ValueError as exc:
        raise CheckpointError(f"layer {layer}: {exc}") from exc


def _layer(
    name: str,
    stride: int,
    relu: bool,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    source: QuantParams,
    result: QuantParams,
) -> QuantisedLayer:
    try:
        weight_scale = weight_scales(weight, bias, source.scale)
    except ValueError as exc:
        raise CheckpointError(f"layer {name}: {exc}; the training run diverged") from exc
    bias_scale = np.float32(source.scale) * weight_scale
    ratio = float(bias_scale.max()) / result.scale
    if ratio >= _RATIO_LIMIT:
        raise CheckpointError(
            f"layer {name}: its largest activation, {255 * result.scale:.2g}, is far below what its weights give "
            f"(scale {ratio:.1e}, less than {_RATIO_LIMIT:g} can be computed): the layer is dead, or its ranges are of "
            "another network"
        )
    return QuantisedLayer(
        name=name,
        stride=stride,
        relu=relu,
        weight=np.clip(np.rint(weight / weight_scale[:, None, None].astype(np.float64)), -127, 127).astype(
            np.int8
        ),
        weight_scale=weight_scale,
        bias=np.rint(bias.astype(np.float64) / bias_scale.astype(np.float64)).astype(np.int32),
        bias_scale=bias_scale,
        source=source,
        result=result,
    )
