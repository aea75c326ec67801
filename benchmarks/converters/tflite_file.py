"""A .tflite file under LiteRT, by XNNPACK and by the reference kernels, and under TFLM."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any, Final

import numpy as np
from edge_mi.export.tflm import MODULE, smallest_arena, tflm_installed
from numpy.typing import NDArray

from edge_mi.errors import BundleError
from edge_mi.optional import require
from edge_mi.runners.base import silenced_stderr
from edge_mi.samples import FloatArray

from .model_file import Answers, Call, Inside, RuntimeFailed, codes, orient

XNNPACK: Final = "litert"
REFERENCE: Final = "litert-ref"
TFLM: Final = "tflm"
_ARENA_LIMIT: Final = 1 << 24


class TfliteFile:
    """The file as its tensors describe it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.runtimes: tuple[str, ...] = (XNNPACK, REFERENCE, *((TFLM,) if tflm_installed() else ()))

    def inside(self, runtime: str = XNNPACK) -> Inside:
        """Every operator of the file; LiteRT's kernel sets execute the same ones.

        QUANTIZE of the graph's input and DEQUANTIZE to its output are not counted as float operators: they are where a
        file that takes and gives float32 ends.
        """
        schema: Any = require("ai_edge_litert.schema_py_generated", extra="export")
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self.content, 0))
        graph = model.subgraphs[0]
        found: Counter[str] = Counter()
        in_float: Counter[str] = Counter()
        names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        floats = {i for i, tensor in enumerate(graph.tensors) if tensor.type == schema.TensorType.FLOAT32}
        first, last = set(graph.inputs), set(graph.outputs)
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            found[name] += 1
            sources, results = set(operator.inputs), set(operator.outputs)
            at_the_ends = (name == "QUANTIZE" and sources <= first) or (
                name == "DEQUANTIZE" and results <= last
            )
            if (sources | results) & floats and not at_the_ends:
                in_float[name] += 1
        ends = {"float32" if tensor in floats else "int8" for tensor in first | last}
        return Inside(found, in_float, " and ".join(sorted(ends)))

    def answers(self, runtime: str, windows_mv: FloatArray) -> Answers:
        """Logits by LiteRT's XNNPACK or reference kernels, or by TFLM's interpreter."""
        try:
            if runtime == TFLM:
                return self._tflm_answers(windows_mv)
            interpreter = self._open(runtime)
            source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            raw = []
            for window in _inputs(source, windows_mv):
                interpreter.set_tensor(source["index"], window)
                interpreter.invoke()
                raw.append(interpreter.get_tensor(result["index"]).ravel()[0])
        except (RuntimeError, ValueError) as exc:
            raise RuntimeFailed(_last_line(exc)) from exc
        return _answers(result, np.array(raw))

    def frames(self, windows_mv: FloatArray, frames: int, features: int) -> FloatArray | None:
        """The last tensor of that size that an operator gives, by the reference kernels."""
        interpreter = self._open(REFERENCE, keep=True)
        tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
        found = [
            tensors[index]
            for operator in interpreter._get_ops_details()
            for index in operator["outputs"]
            if index in tensors and sorted(_axes(tensors[index])) == sorted((frames, features))
        ]
        if not found:
            return None
        source, wanted = interpreter.get_input_details()[0], found[-1]
        results = []
        for window in _inputs(source, windows_mv):
            interpreter.set_tensor(source["index"], window)
            interpreter.invoke()
            results.append(orient(interpreter.get_tensor(wanted["index"]), frames, features))
        return _real(wanted, np.stack(results))

    def ready(self, runtime: str, window_mv: FloatArray) -> Call:
        """One window, the interpreter opened anew."""
        interpreter = self._open(runtime)
        source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        window = _inputs(source, window_mv[None])[0]
        first, last = source["index"], result["index"]

        def call() -> Any:
            interpreter.set_tensor(first, window)
            interpreter.invoke()
            return interpreter.get_tensor(last)

        return call

    def arena_bytes(self) -> int:
        """TFLM's smallest arena. Raises RuntimeFailed where TFLM cannot run the file or is not installed."""
        if not tflm_installed():
            raise RuntimeFailed("tflite-micro is not installed")
        try:
            arena: int = smallest_arena(self.content)
        except BundleError as exc:
            raise RuntimeFailed(str(exc)) from exc
        return arena

    def _open(self, runtime: str, *, keep: bool = False) -> Any:
        module: Any = require("ai_edge_litert.interpreter", extra="tflite")
        kinds = module.OpResolverType
        try:
            with silenced_stderr():
                interpreter = module.Interpreter(
                    model_content=self.content,
                    num_threads=1,
                    experimental_op_resolver_type=kinds.BUILTIN_REF if runtime == REFERENCE else kinds.AUTO,
                    experimental_preserve_all_tensors=keep,
                )
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as exc:
            raise RuntimeFailed(_last_line(exc)) from exc
        return interpreter

    def _tflm_answers(self, windows_mv: FloatArray) -> Answers:
        with silenced_stderr():
            module: Any = require(MODULE, extra="tflm")
            interpreter = module.Interpreter.from_bytes(self.content, arena_size=_ARENA_LIMIT)
        details = [interpreter.get_input_details(0), interpreter.get_output_details(0)]
        for tensor in details:
            quantisation = tensor["quantization_parameters"]
            scales, zeros = quantisation["scales"], quantisation["zero_points"]
            tensor["quantization"] = (scales[0], zeros[0]) if len(scales) else (0.0, 0)
        raw = []
        for window in _inputs(details[0], windows_mv):
            interpreter.set_input(window, 0)
            interpreter.invoke()
            raw.append(interpreter.get_output(0).ravel()[0])
        return _answers(details[1], np.array(raw))


def _last_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[-1]


def _axes(tensor: Any) -> list[int]:
    return [int(n) for n in tensor["shape"] if n != 1]


def _inputs(source: Any, windows_mv: FloatArray) -> NDArray[Any]:
    """Windows in the shape and type of the input tensor, one after the other."""
    shape = tuple(int(n) for n in source["shape"])
    if prod(shape) != windows_mv.shape[1]:
        raise RuntimeFailed(f"its input is {shape}, a window has {windows_mv.shape[1]} samples")
    scale, zero_point = source["quantization"]
    values = codes(windows_mv, scale, zero_point) if source["dtype"] == np.int8 else windows_mv
    return np.ascontiguousarray(values, dtype=source["dtype"]).reshape(-1, *shape)


def _answers(result: Any, raw: NDArray[Any]) -> Answers:
    return Answers(raw, _real(result, raw))


def _real(tensor: Any, raw: NDArray[Any]) -> FloatArray:
    scale, zero_point = tensor["quantization"]
    values = np.asarray(raw, dtype=np.float64)
    return values if tensor["dtype"] != np.int8 else float(scale) * (values - int(zero_point))
