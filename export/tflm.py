"""TensorFlow Lite for Microcontrollers' own interpreter: a runner of the agreement, and the measure of arenas.

The package (x86_64, Python 3.11 to 3.13) runs TFLM's portable kernels, the ones that a microcontroller gets
without an accelerated library: family `reference`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from edge_mi.bundle import FRONT_TFLITE, HEAD_TFLITE, TFLITE_INT8, Bundle, QuantParams
from edge_mi.errors import BundleError
from edge_mi.optional import require
from edge_mi.runners.base import Family, Int8Array, silenced_stderr

MODULE: Final = "tflite_micro.python.tflite_micro.runtime"
ABSENT: Final = (
    "tflite-micro is not installed: pip install '.[tflm]' (it exists for x86_64, Python 3.11 to 3.13)"
)
_ARENA_LIMIT: Final = 1 << 24


def tflm_installed() -> bool:
    """Whether TFLM's interpreter can be asked."""
    return find_spec("tflite_micro") is not None


def tflm_library() -> str:
    """The package and its version."""
    return f"tflite-micro {version('tflite-micro')}"


class TflmRunner:
    """The .tflite graphs in TFLM's interpreter. Raises BundleError where one is not what `model.json` tells of."""

    name = "tflm"
    family: Family = "reference"

    def __init__(self, bundle: Bundle) -> None:
        self.library = tflm_library()
        info, net = bundle.info, bundle.info.net
        window, samples = (1, 1, net.window_samples, 1), (1, 1, net.front_samples, 1)
        ring, logits = (1, 1, net.frames, net.features), (1, len(net.outputs))
        new = (1, 1, net.hop_frames, net.features)
        with silenced_stderr():
            self._whole = _graph(bundle, TFLITE_INT8, (window, info.input), (logits, info.output))
            self._front = _graph(bundle, FRONT_TFLITE, (samples, info.input), (new, info.frames))
            self._head = _graph(bundle, HEAD_TFLITE, (ring, info.frames), (logits, info.output))

    def run(self, window: Int8Array) -> Int8Array:
        """Logits int8 (K,) of a window int8 (n,)."""
        result: Int8Array = self._whole(window)[0]
        return result

    def frames(self, samples: Int8Array) -> Int8Array:
        """Frames int8 (hop_frames, features) of samples int8 (front_samples,)."""
        result: Int8Array = self._front(samples)[0, 0]
        return result

    def head(self, ring: Int8Array) -> Int8Array:
        """Logits int8 (K,) of the frames of a window, int8 (frames, features)."""
        result: Int8Array = self._head(ring)[0]
        return result


def smallest_arena(model: bytes) -> int:
    """Bytes of the smallest arena in which the interpreter can plan and run `model`, found by bisection.

    Of a 64-bit build: the interpreter's structures are smaller on a 32-bit processor. Raises BundleError where the
    model runs in no arena of up to 16 MiB.
    """
    with silenced_stderr():  # every arena that is too small is told of there
        if not _runs_in(model, _ARENA_LIMIT):
            raise BundleError(f"{tflm_library()} cannot run the graph in {_ARENA_LIMIT} bytes")
        too_small, enough = 0, _ARENA_LIMIT
        while enough - too_small > 1:
            middle = (too_small + enough) // 2
            if _runs_in(model, middle):
                enough = middle
            else:
                too_small = middle
    return enough


def _runs_in(model: bytes, arena: int) -> bool:
    try:
        interpreter = _open(model, arena)
        source = interpreter.get_input_details(0)
        interpreter.set_input(np.zeros(tuple(source["shape"]), dtype=source["dtype"]), 0)
        interpreter.invoke()
    except RuntimeError:
        return False
    return True


def _open(model: bytes, arena: int) -> Any:
    return require(MODULE, extra="tflm").Interpreter.from_bytes(bytes(model), arena_size=arena)


def _graph(
    bundle: Bundle,
    file: str,
    source: tuple[tuple[int, ...], QuantParams],
    result: tuple[tuple[int, ...], QuantParams],
) -> Callable[[Int8Array], Int8Array]:
    """One file of the bundle, open: input of any shape with the right number of values to output."""
    try:
        interpreter = _open(bundle.content[file], _ARENA_LIMIT)
        found = {"input": interpreter.get_input_details(0), "output": interpreter.get_output_details(0)}
    except RuntimeError as exc:
        raise BundleError(f"{bundle.path / file}: {tflm_library()} cannot load it: {exc}") from exc
    for (role, tensor), (shape, params) in zip(found.items(), (source, result), strict=True):
        quantisation = tensor["quantization_parameters"]
        scale, zero_point = float(quantisation["scales"][0]), int(quantisation["zero_points"][0])
        got = tuple(int(n) for n in tensor["shape"]), tensor["dtype"], scale, zero_point
        if got != (shape, np.int8, float(np.float32(params.scale)), params.zero_point):
            raise BundleError(
                f"{bundle.path / file}: {role} is {got}, model.json says int8 {shape}, scale {params.scale:g} and "
                f"zero point {params.zero_point}"
            )

    def run(values: Int8Array) -> Int8Array:
        interpreter.set_input(np.ascontiguousarray(values).reshape(source[0]), 0)
        interpreter.invoke()
        output: Int8Array = interpreter.get_output(0).reshape(result[0])
        return output

    return run
