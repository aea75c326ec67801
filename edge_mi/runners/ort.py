"""ONNX Runtime: the int8 graph as a runner, and the float32 graph for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import ONNX_FP32, ONNX_INT8, Bundle
from edge_mi.errors import BundleError
from edge_mi.optional import require
from edge_mi.runners.base import Family, Int8Array


def open_session(content: bytes, *, optimised_path: str | None = None) -> Any:
    """An ONNX Runtime session on one thread that keeps int8 as int8.

    Without `session.qdqisint8allowed` the library turns int8 into uint8 on x86 and leaves some
    convolutions in float; with it the graph gives the bits of XNNPACK.
    """
    ort = require("onnxruntime", extra="onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    if optimised_path is not None:
        options.optimized_model_filepath = optimised_path
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _checked_session(bundle: Bundle, file: str, kind: str) -> Any:
    try:
        session = open_session(bundle.content[file])
    except Exception as exc:
        if type(exc).__module__.startswith("onnxruntime"):
            raise BundleError(f"{bundle.path / file}: ONNX Runtime cannot load it: {exc}") from exc
        raise
    net = bundle.info.net
    expected = {"input": [1, 1, net.window_samples], "output": [1, len(net.outputs)]}
    for role, tensors in (("input", session.get_inputs()), ("output", session.get_outputs())):
        tensor = tensors[0]
        if len(tensors) != 1 or tensor.shape != expected[role] or tensor.type != f"tensor({kind})":
            raise BundleError(
                f"{bundle.path / file}: {role} is {tensor.type} {tensor.shape}, model.json says {kind} {expected[role]}"
            )
    return session


class OrtRunner:
    """The int8 .onnx graph; family `fast`."""

    name = "ort"
    family: Family = "fast"

    def __init__(self, bundle: Bundle) -> None:
        self.library = f"onnxruntime {require('onnxruntime', extra='onnx').__version__}"
        self._session = _checked_session(bundle, ONNX_INT8, "int8")

    def run(self, window: Int8Array) -> Int8Array:
        """Logits int8 (K,) of a window int8 (n,)."""
        logits: Int8Array = self._session.run(None, {"window": window.reshape(1, 1, -1)})[0][0]
        return logits


class OrtFloatRunner:
    """The float32 .onnx graph, the yardstick of the int8 ones; no detector runs on it."""

    name = "ort-fp32"

    def __init__(self, bundle: Bundle) -> None:
        self.library = f"onnxruntime {require('onnxruntime', extra='onnx').__version__}"
        self._session = _checked_session(bundle, ONNX_FP32, "float")

    def run(self, window_mv: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits float32 (K,) of a window float32 (n,), millivolts."""
        logits: NDArray[np.float32] = self._session.run(None, {"window": window_mv.reshape(1, 1, -1)})[0][0]
        return logits
