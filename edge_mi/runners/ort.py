"""ONNX Runtime: the int8 graph as a runner, and the float32 graph for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import FRONT_ONNX, HEAD_ONNX, ONNX_FP32, ONNX_INT8, Bundle
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


def _checked_session(
    bundle: Bundle, file: str, kind: str, source: tuple[int, ...], result: tuple[int, ...]
) -> Any:
    try:
        session = open_session(bundle.content[file])
    except Exception as exc:
        if type(exc).__module__.startswith("onnxruntime"):
            raise BundleError(f"{bundle.path / file}: ONNX Runtime cannot load it: {exc}") from exc
        raise
    expected = {"input": list(source), "output": list(result)}
    for role, tensors in (("input", session.get_inputs()), ("output", session.get_outputs())):
        tensor = tensors[0]
        if len(tensors) != 1 or tensor.shape != expected[role] or tensor.type != f"tensor({kind})":
            raise BundleError(
                f"{bundle.path / file}: {role} is {tensor.type} {tensor.shape}, model.json says {kind} {expected[role]}"
            )
    return session


class OrtRunner:
    """The int8 .onnx graphs; family `fast`."""

    name = "ort"
    family: Family = "fast"

    def __init__(self, bundle: Bundle) -> None:
        self.library = f"onnxruntime {require('onnxruntime', extra='onnx').__version__}"
        net = bundle.info.net
        window, samples = (1, 1, net.window_samples), (1, 1, net.front_samples)
        new, ring = (1, net.features, net.hop_frames), (1, net.features, net.frames)
        logits = (1, len(net.outputs))
        self._whole = _checked_session(bundle, ONNX_INT8, "int8", window, logits)
        self._front = _checked_session(bundle, FRONT_ONNX, "int8", samples, new)
        self._head = _checked_session(bundle, HEAD_ONNX, "int8", ring, logits)

    def run(self, window: Int8Array) -> Int8Array:
        """Logits int8 (K,) of a window int8 (n,)."""
        logits: Int8Array = self._whole.run(None, {"window": window.reshape(1, 1, -1)})[0][0]
        return logits

    def frames(self, samples: Int8Array) -> Int8Array:
        """Frames int8 (hop_frames, features) of samples int8 (front_samples,)."""
        new: Int8Array = self._front.run(None, {"samples": samples.reshape(1, 1, -1)})[0][0].T
        return new

    def head(self, ring: Int8Array) -> Int8Array:
        """Logits int8 (K,) of the frames of a window, int8 (frames, features)."""
        logits: Int8Array = self._head.run(None, {"ring": np.ascontiguousarray(ring.T)[None]})[0][0]
        return logits


class OrtFloatRunner:
    """The float32 .onnx graph, the yardstick of the int8 ones; no detector runs on it."""

    name = "ort-fp32"

    def __init__(self, bundle: Bundle) -> None:
        self.library = f"onnxruntime {require('onnxruntime', extra='onnx').__version__}"
        net = bundle.info.net
        self._session = _checked_session(
            bundle, ONNX_FP32, "float", (1, 1, net.window_samples), (1, len(net.outputs))
        )

    def run(self, window_mv: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits float32 (K,) of a window float32 (n,), millivolts."""
        logits: NDArray[np.float32] = self._session.run(None, {"window": window_mv.reshape(1, 1, -1)})[0][0]
        return logits
