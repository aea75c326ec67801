"""Where a difference arises: the written files layer by layer, against the integers that they were written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import ONNX_INT8, TFLITE_INT8
from edge_mi.checkpoint import Checkpoint
from edge_mi.float_model import run_layers as run_float_layers
from edge_mi.optional import require
from edge_mi.samples import FloatArray
from edge_mi.terminal import table

from .integer_model import run_layers as run_integer_layers
from .quantise import QuantisedNet

_EDGE_SHARE = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """One layer on some windows.

    sqnr_db: of its dequantised int8 output to the float network. low, high: smallest and largest real output.
    saturated: share of outputs at an end of int8 that float puts beyond it. tflite_differ, onnx_differ: share of
    the written files' values that are not those of the integers; None where a file does not let itself be read.
    """

    name: str
    shape: tuple[int, int]
    macs: int
    bytes: int
    sqnr_db: float
    low: float
    high: float
    saturated: float
    tflite_differ: float | None
    onnx_differ: float | None

    @property
    def differs(self) -> bool:
        """Whether a file computes something else here; unfused, ONNX Runtime sums in float and may miss an edge."""
        return bool(self.tflite_differ) or (self.onnx_differ or 0.0) > _EDGE_SHARE


def report_layers(
    checkpoint: Checkpoint, net: QuantisedNet, content: dict[str, bytes], windows_mv: FloatArray
) -> tuple[LayerReport, ...]:
    """Every layer on windows float64 (n, samples), millivolts; `content`: the files of the bundle."""
    windows = net.input.quantise(windows_mv)
    reference = run_integer_layers(net, windows, "reference")
    fast = run_integer_layers(net, windows, "fast")
    exact = run_float_layers(net.spec, checkpoint.weights, windows_mv)
    tflite = _tflite_layers(content[TFLITE_INT8], net, windows)
    onnx = _onnx_layers(content[ONNX_INT8], net, windows)
    reports = []
    lengths = (*net.spec.lengths, 1)
    for layer, length in zip((*net.convs, net.head), lengths, strict=True):
        name, params = layer.name, layer.result
        real = params.scale * (fast[name].astype(np.float64) - params.zero_point)
        error = exact[name] - real
        power, noise = float((exact[name] ** 2).mean()), float((error**2).mean())
        top, bottom = params.scale * (127 - params.zero_point), params.scale * (-128 - params.zero_point)
        beyond = (exact[name] > top) | ((exact[name] < bottom) & (not layer.relu))
        reports.append(
            LayerReport(
                name=name,
                shape=(length, len(layer.bias)),
                macs=length * layer.weight.size,
                bytes=layer.weight.nbytes + layer.bias.nbytes,
                sqnr_db=round(10 * float(np.log10(power / noise)), 1) if power and noise else float("inf"),
                low=round(float(real.min()), 4),
                high=round(float(real.max()), 4),
                saturated=float(beyond.mean()),
                tflite_differ=_differ(tflite, name, reference[name]),
                onnx_differ=_differ(onnx, name, fast[name]),
            )
        )
    return tuple(reports)


def layer_table(reports: tuple[LayerReport, ...]) -> str:
    """The reports as text, with the first layer that differs marked."""
    first = next((r.name for r in reports if r.differs), None)
    rows = [
        [
            r.name,
            f"{r.shape[0]}x{r.shape[1]}",
            f"{r.macs:,}",
            f"{r.sqnr_db:.1f}",
            f"{r.low:.3f} to {r.high:.3f}",
            f"{r.saturated:.3%}",
            "-" if r.tflite_differ is None else f"{r.tflite_differ:.2%}",
            "-" if r.onnx_differ is None else f"{r.onnx_differ:.2%}",
            "<- first that differs" if r.name == first else "",
        ]
        for r in reports
    ]
    header = ["layer", "output", "MACs", "SQNR dB", "range", "saturated", "tflite differ", "onnx differ", ""]
    return table(rows, header=header)


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
    tensors = {name: "head.int8" if name == "head" else f"{name}.int8" for name in net.spec.layer_names}
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
