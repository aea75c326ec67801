"""LiteRT, or its predecessor tflite-runtime where that is what the device has."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edge_mi.bundle import FRONT_TFLITE, HEAD_TFLITE, TFLITE_INT8, Bundle, QuantParams
from edge_mi.errors import BundleError
from edge_mi.optional import require
from edge_mi.runners.base import Family, Int8Array, silenced_stderr

Tensor: TypeAlias = tuple[tuple[int, ...], QuantParams]


class LiteRtRunner:
    """The .tflite graphs on one thread: XNNPACK (family `fast`) or the reference kernels (`reference`).

    tflite-runtime has no XNNPACK kernels for int8 and its others differ between processors, so it is always
    opened with the reference kernels. Raises BundleError where a graph is not the one `model.json` tells of.
    """

    def __init__(self, bundle: Bundle, *, reference: bool = False) -> None:
        interpreter_module, self.library = _interpreter_module()
        reference = reference or self.library.startswith("tflite-runtime")
        self.name = "litert-ref" if reference else "litert"
        self.family: Family = "reference" if reference else "fast"
        kinds = interpreter_module.OpResolverType
        resolver = kinds.BUILTIN_REF if reference else kinds.AUTO

        def open_interpreter(content: bytes) -> Any:
            interpreter = interpreter_module.Interpreter(
                model_content=content, num_threads=1, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
            return interpreter

        info, net = bundle.info, bundle.info.net
        window = ((1, 1, net.window_samples, 1), info.input)
        samples = ((1, 1, net.front_samples, 1), info.input)
        new = ((1, 1, net.hop_frames, net.features), info.frames)
        ring = ((1, 1, net.frames, net.features), info.frames)
        logits = ((1, len(net.outputs)), info.output)
        with silenced_stderr():
            self._whole = _Graph(bundle, TFLITE_INT8, self.library, open_interpreter, window, logits)
            self._front = _Graph(bundle, FRONT_TFLITE, self.library, open_interpreter, samples, new)
            self._head = _Graph(bundle, HEAD_TFLITE, self.library, open_interpreter, ring, logits)

    def run(self, window: Int8Array) -> Int8Array:
        """Logits int8 (K,) of a window int8 (n,)."""
        result: Int8Array = self._whole.run(window)[0]
        return result

    def frames(self, samples: Int8Array) -> Int8Array:
        """Frames int8 (hop_frames, features) of samples int8 (front_samples,)."""
        result: Int8Array = self._front.run(samples)[0, 0]
        return result

    def head(self, ring: Int8Array) -> Int8Array:
        """Logits int8 (K,) of the frames of a window, int8 (frames, features)."""
        result: Int8Array = self._head.run(ring)[0]
        return result


class _Graph:
    """One file of the bundle, open, with the shape and quantisation that `model.json` says."""

    def __init__(
        self,
        bundle: Bundle,
        file: str,
        library: str,
        open_interpreter: Callable[[bytes], Any],
        source: Tensor,
        result: Tensor,
    ) -> None:
        try:
            self._interpreter = open_interpreter(bundle.content[file])
        except (ValueError, RuntimeError) as exc:
            raise BundleError(f"{bundle.path / file}: {library} cannot load it: {exc}") from exc
        self._shape = source[0]
        details = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input = _checked(bundle.path / file, "input", details[0], source)
        self._output = _checked(bundle.path / file, "output", details[1], result)

    def run(self, values: Int8Array) -> Int8Array:
        """The output, int8, of an input of any shape with the right number of values."""
        self._interpreter.set_tensor(self._input, values.reshape(self._shape))
        self._interpreter.invoke()
        result: Int8Array = self._interpreter.get_tensor(self._output)
        return result


def _checked(where: Path, role: str, details: list[dict[str, Any]], expected: Tensor) -> int:
    """Index of the one tensor that is expected. Raises BundleError for another."""
    tensor, (shape, params) = details[0], expected
    found = tuple(int(n) for n in tensor["shape"])
    if len(details) != 1 or found != shape or tensor["dtype"] != np.int8:
        kind = np.dtype(tensor["dtype"]).name
        raise BundleError(f"{where}: {role} is {kind} {found}, model.json says int8 {shape}")
    scale, zero_point = tensor["quantization"]
    if np.float32(scale) != np.float32(params.scale) or zero_point != params.zero_point:
        raise BundleError(
            f"{where}: {role} has scale {scale:g} and zero point {zero_point}, model.json says "
            f"{params.scale:g} and {params.zero_point}"
        )
    return int(tensor["index"])


def _interpreter_module() -> tuple[Any, str]:
    for module, package in (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime")):
        if find_spec(module) is not None:
            return require(f"{module}.interpreter", extra="tflite"), f"{package} {_version(package)}"
    return require("ai_edge_litert.interpreter", extra="tflite"), ""


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
