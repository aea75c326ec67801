"""A network as ONNX: the quantised one in QDQ form, the float one beside it, from the same two functions.

QDQ says what is computed in integers by wrapping every float operator between a DequantizeLinear and a
QuantizeLinear; a runtime fuses each such group into one integer operator, which `int8_check` verifies.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import QuantParams
from edge_mi.checkpoint import Checkpoint
from edge_mi.netspec import NetSpec
from edge_mi.optional import require

from .quantise import QuantisedLayer, QuantisedNet

Tensor: TypeAlias = tuple[str, tuple[int, ...]]

_OPSET = 17
_IR_VERSION = 8


class _Graph:
    """Nodes and constants of one ONNX graph in the order they are made."""

    def __init__(self) -> None:
        self._helper: Any = require("onnx.helper", extra="export")
        self._numpy: Any = require("onnx.numpy_helper", extra="export")
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(self._helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self._constants.append(self._numpy.from_array(value, name))
        return name

    def conv(self, source: str, weight: str, bias: str, output: str, kernel: int, stride: int) -> str:
        return self.node("Conv", [source, weight, bias], output, kernel_shape=[kernel], strides=[stride])

    def build(self, spec: NetSpec, element: str, source: Tensor, result: Tensor) -> bytes:
        """The file of the graph from the tensor `source` to the tensor `result`, each a name and a shape."""
        onnx: Any = require("onnx", extra="export")
        kind = getattr(onnx.TensorProto, element)
        value = self._helper.make_tensor_value_info
        graph = self._helper.make_graph(
            self._nodes,
            spec.name,
            [value(source[0], kind, list(source[1]))],
            [value(result[0], kind, list(result[1]))],
            self._constants,
        )
        model = self._helper.make_model(
            graph,
            opset_imports=[self._helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="edge-mi",
        )
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def write_onnx_float(checkpoint: Checkpoint) -> bytes:
    """The whole-window graph in float32: `window` (1, 1, samples) in millivolts to `logits` (1, K)."""
    spec, graph, current = checkpoint.info.net, _Graph(), "window"
    strides = {conv.name: conv.stride for conv in spec.convs}
    for name in spec.layer_names:
        weight, bias = checkpoint.weights[name]
        if name == "head":
            current = graph.node("GlobalAveragePool", [current], "embedding")
        w, b = graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)
        raw = name if name == "head" else f"{name}.sum"
        current = graph.conv(current, w, b, raw, weight.shape[2], strides.get(name, 1))
        if name != "head":
            current = graph.node("Relu", [current], name)
    graph.node("Flatten", [current], "logits", axis=1)
    return graph.build(spec, "FLOAT", ("window", (1, 1, spec.window_samples)), _logits(spec))


def write_onnx_int8(net: QuantisedNet) -> bytes:
    """The whole-window graph in QDQ form: int8 `window` (1, 1, samples) to int8 `logits` (1, K).

    ReLU has no node: it is the clamp at zero point -128, and an explicit one only has to be removed again.
    """
    graph = _Graph()
    current = _dequantise(graph, "window", net.input)
    for layer in net.convs:
        current = _quantised_conv(graph, layer, current)
    _head(graph, net, current)
    return graph.build(net.spec, "INT8", ("window", (1, 1, net.spec.window_samples)), _logits(net.spec))


def write_onnx_front(net: QuantisedNet) -> bytes:
    """The frames of one hop: int8 `samples` (1, 1, front_samples) to int8 `frames` (1, features, hop_frames)."""
    graph, spec = _Graph(), net.spec
    current = _dequantise(graph, "samples", net.input)
    for layer in net.convs[:-1]:
        current = _quantised_conv(graph, layer, current)
    _quantised_conv(graph, net.convs[-1], current, result="frames")
    return graph.build(
        spec, "INT8", ("samples", (1, 1, spec.front_samples)), ("frames", (1, spec.features, spec.hop_frames))
    )


def write_onnx_head(net: QuantisedNet) -> bytes:
    """From the frames of a window: int8 `ring` (1, features, frames) to int8 `logits` (1, K)."""
    graph, spec = _Graph(), net.spec
    _head(graph, net, _dequantise(graph, "ring", net.frames))
    return graph.build(spec, "INT8", ("ring", (1, spec.features, spec.frames)), _logits(spec))


def _logits(spec: NetSpec) -> Tensor:
    return "logits", (1, len(spec.outputs))


def _head(graph: _Graph, net: QuantisedNet, frames: str) -> None:
    pooled = graph.node("GlobalAveragePool", [frames], "embedding.real")
    current = _requantise(graph, pooled, "embedding", net.frames)
    current = _quantised_conv(graph, net.head, current, result="head.int8")
    graph.node("Flatten", [current], "logits", axis=1)


def _quantised_conv(graph: _Graph, layer: QuantisedLayer, source: str, *, result: str | None = None) -> str:
    """The layer in QDQ form; with `result` it ends in that int8 tensor, else in its real form."""
    constants = []
    for part, values, scales in (
        ("weight", layer.weight, layer.weight_scale),
        ("bias", layer.bias, layer.bias_scale),
    ):
        name = f"{layer.name}.{part}"
        inputs = [
            graph.constant(name, values),
            graph.constant(f"{name}.scale", scales),
            graph.constant(f"{name}.zero_point", np.zeros(len(scales), dtype=values.dtype)),
        ]
        constants.append(graph.node("DequantizeLinear", inputs, f"{name}.real", axis=0))
    weight, bias = constants
    raw = graph.conv(source, weight, bias, f"{layer.name}.real", layer.weight.shape[2], layer.stride)
    return _requantise(graph, raw, layer.name, layer.result, result=result)


def _requantise(
    graph: _Graph, real: str, name: str, params: QuantParams, *, result: str | None = None
) -> str:
    scale, zero_point = _params(graph, name, params)
    codes = graph.node("QuantizeLinear", [real, scale, zero_point], result or f"{name}.int8")
    if result is not None:
        return codes
    return graph.node("DequantizeLinear", [codes, scale, zero_point], f"{name}.requantised")


def _dequantise(graph: _Graph, name: str, params: QuantParams) -> str:
    return graph.node("DequantizeLinear", [name, *_params(graph, name, params)], f"{name}.real")


def _params(graph: _Graph, name: str, params: QuantParams) -> tuple[str, str]:
    return (
        graph.constant(f"{name}.scale", np.array(params.scale, dtype=np.float32)),
        graph.constant(f"{name}.zero_point", np.array(params.zero_point, dtype=np.int8)),
    )
