"""The layers beside the float network and, file by file, beside the integers that the files were written from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import ONNX_INT8, TFLITE_INT8, LayerFigures, QuantParams, TensorFigures
from edge_mi.float_model import Weights
from edge_mi.float_model import run_layers as run_float_layers
from edge_mi.optional import require
from edge_mi.samples import FloatArray
from edge_mi.terminal import layer_table

from .integer_model import run_layers as run_integer_layers
from .quantise import QuantisedNet

_EDGE_SHARE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRun:
    """What one layer gives for n windows.

    source, codes: int8 input and output of the family `fast`, (n, time, channels). exact: the float network's
    output float64 (n, time, channels). real: the same of `codes`.
    """

    figures: LayerFigures
    source: NDArray[np.int8]
    codes: NDArray[np.int8]
    exact: FloatArray
    real: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """A layer's figures and the share of the written files' values that are not those of the integers.

    tflite_differ, onnx_differ: None where a file does not let itself be read.
    """

    figures: LayerFigures
    tflite_differ: float | None
    onnx_differ: float | None

    @property
    def differs(self) -> bool:
        """Whether a file computes something else here; unfused, ONNX Runtime sums in float and may miss an edge."""
        return bool(self.tflite_differ) or (self.onnx_differ or 0.0) > _EDGE_SHARE


def run_layers(net: QuantisedNet, weights: Weights, windows_mv: FloatArray) -> tuple[LayerRun, ...]:
    """Every layer on windows float64 (n, samples), millivolts; the same bits on every processor."""
    spec, windows = net.spec, net.input.quantise(windows_mv)
    fast = run_integer_layers(net, windows, "fast")
    exact = run_float_layers(spec, weights, windows_mv, reproducible=True)
    runs, source = [], windows[:, :, None]
    macs = zip(spec.macs_for(spec.window_samples), spec.macs_for(spec.front_samples), strict=True)
    for layer, (macs_window, macs_hop) in zip((*net.convs, net.head), macs, strict=True):
        name, params = layer.name, layer.result
        codes, wanted = fast[name], exact[name]
        if name == net.head.name:
            source = fast["pool"]
        real = params.real_array(codes)
        beyond = (wanted > params.real(127)) | ((wanted < params.real(-128)) & (not layer.relu))
        figures = LayerFigures(
            name=name,
            shape=(codes.shape[1], codes.shape[2]),
            macs_window=macs_window,
            macs_hop=macs_hop,
            bytes=layer.weight.nbytes + layer.bias.nbytes,
            source=_tensor(layer.source, source),
            result=_tensor(params, codes),
            values=codes.size,
            sqnr_db=sqnr_db(wanted, real),
            saturated=round(int(beyond.sum()) / codes.size, 6),
        )
        runs.append(LayerRun(figures=figures, source=source, codes=codes, exact=wanted, real=real))
        source = codes
    return tuple(runs)


def sqnr_db(exact: FloatArray, real: FloatArray) -> float | None:
    """Power of `exact` to that of its difference to `real`, decibels to 0.1; None where either is 0.

    Sums are exact before they are rounded and the logarithm is decimal, so the last digit is no processor's own.
    """
    power, noise = math.fsum(np.square(exact).ravel()), math.fsum(np.square(exact - real).ravel())
    return round(float(10 * (Decimal(power) / Decimal(noise)).log10()), 1) if power and noise else None


def report_layers(
    net: QuantisedNet, weights: Weights, content: dict[str, bytes], windows_mv: FloatArray
) -> tuple[LayerReport, ...]:
    """Every layer on windows float64 (n, samples), millivolts; `content`: the files of the bundle."""
    windows = net.input.quantise(windows_mv)
    reference = run_integer_layers(net, windows, "reference")
    tflite = _tflite_layers(content[TFLITE_INT8], net, windows)
    onnx = _onnx_layers(content[ONNX_INT8], net, windows)
    return tuple(
        LayerReport(
            figures=run.figures,
            tflite_differ=_differ(tflite, run.figures.name, reference[run.figures.name]),
            onnx_differ=_differ(onnx, run.figures.name, run.codes),
        )
        for run in run_layers(net, weights, windows_mv)
    )


def report_table(reports: tuple[LayerReport, ...]) -> str:
    """The reports as text, with the first layer that differs marked."""
    first = next((r for r in reports if r.differs), None)
    marks = ["<- first that differs" if r is first else "" for r in reports]
    return layer_table([r.figures for r in reports], {**differ_columns(reports), "": marks})


def differ_columns(reports: tuple[LayerReport, ...]) -> dict[str, list[str]]:
    """The shares that differ as further columns of a table of layers."""
    shares = {
        "TFLite differ": [r.tflite_differ for r in reports],
        "ONNX differ": [r.onnx_differ for r in reports],
    }
    return {
        name: ["-" if share is None else f"{share:.2%}" for share in column]
        for name, column in shares.items()
    }


def _tensor(params: QuantParams, codes: NDArray[np.int8]) -> TensorFigures:
    low, high = (round(params.real(int(code)), 4) for code in (codes.min(), codes.max()))
    return TensorFigures(low=low, high=high, scale=params.scale, zero_point=params.zero_point)


def _differ(found: dict[str, NDArray[np.int8]] | None, name: str, expected: NDArray[np.int8]) -> float | None:
    if found is None or name not in found or found[name].size != expected.size:
        return None
    return float((found[name].reshape(expected.shape) != expected).mean())


def _tflite_layers(
    content: bytes, net: QuantisedNet, windows: NDArray[np.int8]
) -> dict[str, NDArray[np.int8]] | None:
    """int8 (n, time, channels) of every layer by LiteRT's reference kernels; None where it does not run."""
    module: Any = require("ai_edge_litert.interpreter", extra="export")
    try:
        interpreter = module.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        named = {tensor["name"]: tensor["index"] for tensor in interpreter.get_tensor_details()}
        source = interpreter.get_input_details()[0]
        results: dict[str, list[NDArray[np.int8]]] = {name: [] for name in net.spec.layer_names}
        for window in windows:
            interpreter.set_tensor(source["index"], window.reshape(source["shape"]))
            interpreter.invoke()
            for name, values in results.items():
                values.append(interpreter.get_tensor(named[name])[0, 0])
    except (ValueError, RuntimeError, KeyError):
        return None
    return {name: np.stack(values) for name, values in results.items()}


def _onnx_layers(
    content: bytes, net: QuantisedNet, windows: NDArray[np.int8]
) -> dict[str, NDArray[np.int8]] | None:
    """int8 (n, time, channels) of every layer by ONNX Runtime, node by node as written; None where it does not run."""
    onnx: Any = require("onnx", extra="export")
    ort: Any = require("onnxruntime", extra="export")
    tensors = {name: f"{name}.int8" for name in net.spec.layer_names}
    try:
        model = onnx.load_from_string(content)
        del model.graph.output[:]
        for tensor in tensors.values():
            model.graph.output.append(onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.INT8, None))
        options = ort.SessionOptions()
        # fused, the layers between would not be there to look at
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        outputs = [
            session.run(list(tensors.values()), {"window": window.reshape(1, 1, -1)}) for window in windows
        ]
    except Exception:
        return None
    return {name: np.stack([each[i][0].T for each in outputs]) for i, name in enumerate(tensors)}
