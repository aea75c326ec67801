"""A quantised network as a TensorFlow Lite flatbuffer: CONV_2D with height 1, AVERAGE_POOL_2D, RESHAPE.

The schema classes come with ai-edge-litert. The same network gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import QuantParams
from edge_mi.optional import require

from .quantise import QuantisedLayer, QuantisedNet

_INITIAL_BYTES = 1 << 17
_VERSIONS = {"CONV_2D": 3, "AVERAGE_POOL_2D": 2, "RESHAPE": 1}


def write_tflite(net: QuantisedNet) -> bytes:
    """The whole-window graph: int8 `window` (1, 1, samples, 1) to int8 `logits` (1, K)."""
    writer = _Writer(net)
    window = writer.activation("window", (1, 1, net.spec.window_samples, 1), net.input)
    frames = writer.convs(window, net.spec.window_samples)
    return writer.build(window, writer.head(frames))


def write_tflite_front(net: QuantisedNet) -> bytes:
    """The frames of one hop: int8 `samples` (1, 1, front_samples, 1) to int8 `frames` (1, 1, hop_frames, features)."""
    writer = _Writer(net)
    samples = writer.activation("samples", (1, 1, net.spec.front_samples, 1), net.input)
    return writer.build(samples, writer.convs(samples, net.spec.front_samples, last="frames"))


def write_tflite_head(net: QuantisedNet) -> bytes:
    """From the frames of a window: int8 `ring` (1, 1, frames, features) to int8 `logits` (1, K)."""
    writer, spec = _Writer(net), net.spec
    ring = writer.activation("ring", (1, 1, spec.frames, spec.features), net.frames)
    return writer.build(ring, writer.head(ring))


class _Writer:
    def __init__(self, net: QuantisedNet) -> None:
        self._schema: Any = require("ai_edge_litert.schema_py_generated", extra="export")
        self._net = net
        self._buffers: list[Any] = [self._schema.BufferT()]  # buffer 0 means "no data"
        self._tensors: list[Any] = []
        self._codes: list[str] = []
        self._operators: list[Any] = []

    def convs(self, source: int, samples: int, last: str | None = None) -> int:
        """All convolutions over an input of `samples`; `last` renames the result."""
        net = self._net
        for layer, length in zip(net.convs, net.spec.lengths_for(samples), strict=True):
            name = last if last is not None and layer is net.convs[-1] else layer.name
            source = self._conv(layer, source, length, name)
        return source

    def head(self, frames: int) -> int:
        """Mean over the frames, and the linear layer."""
        net, spec = self._net, self._net.spec
        pooled = self.activation("embedding", (1, 1, 1, spec.features), net.frames)
        self._pool(frames, pooled)
        # no FULLY_CONNECTED: TFLM's kernel does not give the bits of LiteRT's reference kernel
        head = self._conv(net.head, pooled, 1, net.head.name)
        logits = self.activation("logits", (1, len(spec.outputs)), net.output)
        self._reshape(head, logits, (1, len(spec.outputs)))
        return logits

    def build(self, first: int, last: int) -> bytes:
        """The file of the graph from tensor `first` to tensor `last`."""
        schema, spec = self._schema, self._net.spec
        graph = schema.SubGraphT()
        graph.name = "main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = [first], [last]
        model = schema.ModelT()
        model.version = 3
        model.description = f"edge-mi {spec.name}"
        model.operatorCodes = [self._operator_code(name) for name in self._codes]
        model.subgraphs, model.buffers = [graph], self._buffers
        builder = require("flatbuffers", extra="export").Builder(_INITIAL_BYTES)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _conv(self, layer: QuantisedLayer, source: int, length: int, name: str) -> int:
        schema = self._schema
        kernels = np.ascontiguousarray(layer.weight.transpose(0, 2, 1)[:, None])  # (out, 1, kernel, in)
        weight = self._constant(f"{layer.name}.weight", kernels, layer.weight_scale)
        bias = self._constant(f"{layer.name}.bias", layer.bias, layer.bias_scale)
        result = self.activation(name, (1, 1, length, len(layer.bias)), layer.result)
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideW, options.strideH = layer.stride, 1
        options.dilationWFactor = options.dilationHFactor = 1
        kind = schema.ActivationFunctionType
        options.fusedActivationFunction = kind.RELU if layer.relu else kind.NONE
        self._operator(
            "CONV_2D", [source, weight, bias], result, schema.BuiltinOptions.Conv2DOptions, options
        )
        return result

    def _pool(self, source: int, result: int) -> None:
        schema = self._schema
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH = options.strideW = options.filterHeight = 1
        options.filterWidth = self._net.spec.frames
        options.fusedActivationFunction = schema.ActivationFunctionType.NONE
        self._operator("AVERAGE_POOL_2D", [source], result, schema.BuiltinOptions.Pool2DOptions, options)

    def _reshape(self, source: int, result: int, shape: tuple[int, ...]) -> None:
        options = self._schema.ReshapeOptionsT()
        options.newShape = list(shape)
        target = self._constant("logits.shape", np.array(shape, dtype=np.int32), None)
        self._operator(
            "RESHAPE", [source, target], result, self._schema.BuiltinOptions.ReshapeOptions, options
        )

    def activation(self, name: str, shape: tuple[int, ...], params: QuantParams) -> int:
        """A new int8 tensor."""
        scale = np.array([params.scale], dtype=np.float32)
        zero_point = np.array([params.zero_point], dtype=np.int64)
        return self._tensor(name, shape, self._schema.TensorType.INT8, 0, scale, zero_point)

    def _constant(self, name: str, data: NDArray[Any], scale: NDArray[np.float32] | None) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(data.tobytes(), dtype=np.uint8)
        self._buffers.append(buffer)
        kind = self._schema.TensorType.INT8 if data.dtype == np.int8 else self._schema.TensorType.INT32
        zero_point = None if scale is None else np.zeros(len(scale), dtype=np.int64)
        return self._tensor(name, data.shape, kind, len(self._buffers) - 1, scale, zero_point)

    def _tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        kind: int,
        buffer: int,
        scale: NDArray[np.float32] | None,
        zero_point: NDArray[np.int64] | None,
    ) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
        if scale is not None:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = scale, zero_point
            tensor.quantization.quantizedDimension = 0
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _operator(self, name: str, inputs: list[int], output: int, options_type: int, options: Any) -> None:
        if name not in self._codes:
            self._codes.append(name)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._codes.index(name)
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        self._operators.append(operator)

    def _operator_code(self, name: str) -> Any:
        code = self._schema.OperatorCodeT()
        code.builtinCode = getattr(self._schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = code.builtinCode  # what readers before schema 3a look at
        code.version = _VERSIONS[name]
        return code
