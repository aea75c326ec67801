"""LiteRT, or its predecessor tflite-runtime where that is what the device has."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from edge_mi.bundle import TFLITE_INT8, Bundle
from edge_mi.errors import BundleError
from edge_mi.optional import require
from edge_mi.runners.base import Family, Int8Array, silenced_stderr


class LiteRtRunner:
    """The .tflite graph on one thread: XNNPACK (family `fast`) or the reference kernels (`reference`).

    tflite-runtime has no XNNPACK kernels for int8 and its others differ between processors, so it is always
    opened with the reference kernels. Raises BundleError where the graph is not the one `model.json` tells of.
    """

    def __init__(self, bundle: Bundle, *, reference: bool = False) -> None:
        interpreter_module, self.library = _interpreter_module()
        reference = reference or self.library.startswith("tflite-runtime")
        self.name = "litert-ref" if reference else "litert"
        self.family: Family = "reference" if reference else "fast"
        kinds = interpreter_module.OpResolverType
        resolver = kinds.BUILTIN_REF if reference else kinds.AUTO
        with silenced_stderr():
            try:
                self._interpreter = interpreter_module.Interpreter(
                    model_content=bundle.content[TFLITE_INT8],
                    num_threads=1,
                    experimental_op_resolver_type=resolver,
                )
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as exc:
                raise BundleError(
                    f"{bundle.path / TFLITE_INT8}: {self.library} cannot load it: {exc}"
                ) from exc
        self._input, self._output = self._check(bundle)

    def _check(self, bundle: Bundle) -> tuple[int, int]:
        net = bundle.info.net
        expected = {"input": (1, 1, net.window_samples, 1), "output": (1, len(net.outputs))}
        indices = []
        for role, details in (
            ("input", self._interpreter.get_input_details()),
            ("output", self._interpreter.get_output_details()),
        ):
            tensor: dict[str, Any] = details[0]
            found = tuple(int(n) for n in tensor["shape"])
            if len(details) != 1 or found != expected[role] or tensor["dtype"] != np.int8:
                kind = np.dtype(tensor["dtype"]).name
                raise BundleError(
                    f"{bundle.path / TFLITE_INT8}: {role} is {kind} {found}, model.json says int8 {expected[role]}"
                )
            scale, zero_point = tensor["quantization"]
            params = bundle.info.input if role == "input" else bundle.info.output
            if np.float32(scale) != np.float32(params.scale) or zero_point != params.zero_point:
                raise BundleError(
                    f"{bundle.path / TFLITE_INT8}: {role} has scale {scale:g} and zero point {zero_point}, model.json says "
                    f"{params.scale:g} and {params.zero_point}"
                )
            indices.append(int(tensor["index"]))
        return indices[0], indices[1]

    def run(self, window: Int8Array) -> Int8Array:
        """Logits int8 (K,) of a window int8 (n,)."""
        self._interpreter.set_tensor(self._input, window.reshape(1, 1, -1, 1))
        self._interpreter.invoke()
        logits: Int8Array = self._interpreter.get_tensor(self._output)[0]
        return logits


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
