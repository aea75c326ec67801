"""The integers and the float weights of a network, read back from the ONNX files of a bundle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import ONNX_FP32, ONNX_INT8, Bundle, QuantParams
from edge_mi.errors import BundleError
from edge_mi.float_model import Weights
from edge_mi.optional import require

from .quantise import QuantisedLayer, QuantisedNet

_Constants = dict[str, NDArray[Any]]


def read_quantised(bundle: Bundle) -> QuantisedNet:
    """The quantised network as `model.int8.onnx` has it. Raises BundleError where the file is of another network."""
    info, constants = bundle.info, _constants(bundle, ONNX_INT8)
    spec, layers, source = info.net, [], info.input
    strides = {conv.name: conv.stride for conv in spec.convs}
    for name in spec.layer_names:
        result = QuantParams(
            scale=float(_constant(bundle, ONNX_INT8, constants, f"{name}.scale", np.float32, ())),
            zero_point=int(_constant(bundle, ONNX_INT8, constants, f"{name}.zero_point", np.int8, ())),
        )
        shape = spec.weight_shape(name)

        def part(key: str, kind: type[np.generic], size: tuple[int, ...], layer: str = name) -> NDArray[Any]:
            return _constant(bundle, ONNX_INT8, constants, f"{layer}.{key}", kind, size)

        layers.append(
            QuantisedLayer(
                name=name,
                stride=strides.get(name, 1),
                relu=name != "head",
                weight=part("weight", np.int8, shape),
                weight_scale=part("weight.scale", np.float32, shape[:1]),
                bias=part("bias", np.int32, shape[:1]),
                bias_scale=part("bias.scale", np.float32, shape[:1]),
                source=source,
                result=result,
            )
        )
        source = result
    return QuantisedNet(spec=spec, input=info.input, convs=tuple(layers[:-1]), head=layers[-1])


def read_float(bundle: Bundle) -> Weights:
    """The weights of `model.fp32.onnx`. Raises BundleError where the file is of another network."""
    spec, constants = bundle.info.net, _constants(bundle, ONNX_FP32)
    weights = {}
    for name in spec.layer_names:
        shape = spec.weight_shape(name)
        weights[name] = (
            _constant(bundle, ONNX_FP32, constants, f"{name}.weight", np.float32, shape),
            _constant(bundle, ONNX_FP32, constants, f"{name}.bias", np.float32, shape[:1]),
        )
    return weights


def _constants(bundle: Bundle, file: str) -> _Constants:
    onnx: Any = require("onnx", extra="export")
    arrays: Any = require("onnx.numpy_helper", extra="export")
    try:
        graph = onnx.load_from_string(bundle.content[file]).graph
        return {tensor.name: arrays.to_array(tensor) for tensor in graph.initializer}
    except Exception as exc:  # protobuf's own error is no class that could be named without it
        raise BundleError(f"{bundle.path / file}: not an ONNX file ({exc})") from exc


def _constant(
    bundle: Bundle,
    file: str,
    constants: _Constants,
    name: str,
    kind: type[np.generic],
    shape: tuple[int, ...],
) -> NDArray[Any]:
    found = constants.get(name)
    if found is None or found.dtype != kind or found.shape != shape:
        what = "missing" if found is None else f"{found.dtype} {found.shape}"
        raise BundleError(
            f"{bundle.path / file}: {name} is {what}, model.json says {np.dtype(kind)} {shape}; export the bundle again"
        )
    return found
