"""A QDQ .onnx file under ONNX Runtime: as a user opens it, and with the option that EdgeMI opens its own with."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
from edge_mi.export.drafts import draft_folder
from numpy.typing import NDArray

from edge_mi.optional import require
from edge_mi.runners.ort import open_session
from edge_mi.samples import FloatArray

from .model_file import Answers, Call, Inside, RuntimeFailed, codes, orient

DEFAULT: Final = "ort"
INT8_ALLOWED: Final = "ort-int8"  # session.qdqisint8allowed=1
_INTEGER: Final = {"QGemm", "ConvInteger", "MatMulInteger"}
# what moves or converts values and computes none
_MOVES: Final = {
    "QuantizeLinear",
    "DequantizeLinear",
    "Flatten",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
}


class OnnxFile:
    """The file; scale and zero point of an int8 input and output are read from its own constants.

    Raises RuntimeFailed for what is no .onnx file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.runtimes: tuple[str, ...] = (DEFAULT, INT8_ALLOWED)
        self._onnx: Any = require("onnx", extra="export")
        try:
            self._model = self._onnx.load_from_string(content)
        except Exception as exc:  # protobuf's own types
            raise RuntimeFailed(f"no .onnx file: {exc}") from exc
        self._source, self._result = self._model.graph.input[0], self._model.graph.output[0]

    def inside(self, runtime: str) -> Inside:
        """The nodes that ONNX Runtime makes of the file."""
        with draft_folder() as folder:
            optimised = str(folder / "optimised.onnx")
            self._open(runtime, optimised_path=optimised)
            found = Counter(node.op_type for node in self._onnx.load(optimised).graph.node)
        in_float = Counter(
            {
                name: count
                for name, count in found.items()
                if not name.startswith("QLinear") and name not in _INTEGER | _MOVES
            }
        )
        ends = {"int8" if self._is_int8(value) else "float32" for value in (self._source, self._result)}
        return Inside(found, in_float, " and ".join(sorted(ends)))

    def answers(self, runtime: str, windows_mv: FloatArray) -> Answers:
        """Logits by a session on one thread."""
        session = self._open(runtime)
        raw = [
            session.run(None, {self._source.name: window})[0].ravel()[0]
            for window in self._inputs(windows_mv)
        ]
        values = np.array(raw)
        if values.dtype != np.int8:
            return Answers(values, values.astype(np.float64))
        scale, zero_point = self._params(self._result.name)
        return Answers(values, scale * (values.astype(np.float64) - zero_point))

    def frames(self, windows_mv: FloatArray, frames: int, features: int) -> FloatArray | None:
        """The last float tensor of that size, node by node as written."""
        ort: Any = require("onnxruntime", extra="onnx")
        model = self._onnx.shape_inference.infer_shapes(self._model)
        shapes = {
            value.name: [d.dim_value for d in value.type.tensor_type.shape.dim if d.dim_value != 1]
            for value in model.graph.value_info
            if value.type.tensor_type.elem_type == self._onnx.TensorProto.FLOAT
        }
        found = [
            name
            for node in model.graph.node
            for name in node.output
            if sorted(shapes.get(name, [])) == sorted((frames, features))
        ]
        if not found:
            return None
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        model.graph.output.append(helper.make_tensor_value_info(found[-1], kind, None))
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return np.stack(
            [
                orient(session.run([found[-1]], {self._source.name: window})[0], frames, features)
                for window in self._inputs(windows_mv)
            ]
        ).astype(np.float64)

    def ready(self, runtime: str, window_mv: FloatArray) -> Call:
        """One window, the session opened anew."""
        session = self._open(runtime)
        given = {self._source.name: self._inputs(window_mv[None])[0]}
        return lambda: session.run(None, given)

    def _open(self, runtime: str, *, optimised_path: str | None = None) -> Any:
        try:
            if runtime == INT8_ALLOWED:
                return open_session(self.content, optimised_path=optimised_path)
            ort: Any = require("onnxruntime", extra="onnx")
            options = ort.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 4
            if optimised_path is not None:
                options.optimized_model_filepath = optimised_path
            return ort.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # the library raises types of its own
            raise RuntimeFailed(str(exc)) from exc

    def _inputs(self, windows_mv: FloatArray) -> NDArray[Any]:
        shape = [d.dim_value for d in self._source.type.tensor_type.shape.dim]
        if not self._is_int8(self._source):
            return windows_mv.astype(np.float32).reshape(-1, *shape)
        return codes(windows_mv, *self._params(self._source.name)).reshape(-1, *shape)

    def _is_int8(self, value: Any) -> bool:
        return bool(value.type.tensor_type.elem_type == self._onnx.TensorProto.INT8)

    def _params(self, name: str) -> tuple[float, int]:
        """Scale and zero point of an int8 input or output, from the node that quantises or dequantises it."""
        constants = {tensor.name: tensor for tensor in self._model.graph.initializer}
        nodes = {output: node for node in self._model.graph.node for output in node.output}
        reader = next(
            (n for n in self._model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] == name),
            None,
        )
        node = reader or nodes[name]
        while node.op_type not in ("QuantizeLinear", "DequantizeLinear"):  # a Flatten moves codes
            node = nodes[node.input[0]]
        to_array = self._onnx.numpy_helper.to_array
        return float(to_array(constants[node.input[1]])), int(to_array(constants[node.input[2]]))
