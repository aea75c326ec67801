"""Proof, read back from the written files, that nothing inside is computed in float."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from edge_mi.errors import ExportDisagreement
from edge_mi.optional import require
from edge_mi.runners.ort import open_session

from .drafts import draft_folder

_TFLITE_OPERATORS: Final = {"CONV_2D", "AVERAGE_POOL_2D", "RESHAPE"}
# the last three move values and compute none
_INTEGER_NODES: Final = {"QLinearConv", "QLinearGlobalAveragePool", "Flatten", "Reshape", "Transpose"}


def check_tflite_is_integer(content: bytes) -> Counter[str]:
    """Operators of a .tflite file by count. Raises ExportDisagreement for a float tensor or another operator."""
    schema: Any = require("ai_edge_litert.schema_py_generated", extra="export")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    operator_names = {
        value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
    }
    type_names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        if type_names[tensor.type] not in ("INT8", "INT32"):
            raise ExportDisagreement(
                f"tensor {_text(tensor.name)} of the .tflite file is {type_names[tensor.type]}"
            )
    found = Counter(operator_names[model.operatorCodes[op.opcodeIndex].builtinCode] for op in graph.operators)
    _refuse_others(found, _TFLITE_OPERATORS, ".tflite")
    return found


def check_onnx_is_integer(content: bytes) -> Counter[str]:
    """Nodes that ONNX Runtime executes for a QDQ file, by count.

    Raises ExportDisagreement where a group was not fused into an integer operator, or where the file cannot be loaded,
    OutputError where there is no place for what the library makes of it.
    """
    onnx: Any = require("onnx", extra="export")
    with draft_folder() as folder:
        optimised = str(folder / "optimised.onnx")
        try:
            open_session(content, optimised_path=optimised)
            found = Counter(node.op_type for node in onnx.load(optimised).graph.node)
        except Exception as exc:  # the library names no reason where it cannot write
            _open(content)
            raise OSError("ONNX Runtime cannot write what it executes") from exc
    _refuse_others(found, _INTEGER_NODES, ".onnx")
    return found


def _open(content: bytes) -> None:
    try:
        open_session(content)
    except Exception as exc:
        raise ExportDisagreement(f"ONNX Runtime cannot load the .onnx file: {exc}") from exc


def _refuse_others(found: Counter[str], allowed: set[str], kind: str) -> None:
    others = sorted(set(found) - allowed)
    if others:
        raise ExportDisagreement(
            f"the {kind} file computes {', '.join(others)}; expected only integer operators"
        )


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
