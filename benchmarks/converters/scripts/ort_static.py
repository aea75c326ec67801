"""The float .onnx of the same network by ONNX Runtime's static quantiser: QDQ, int8, weights per channel."""

from __future__ import annotations

from typing import Any

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from .task import Task, from_command_line


class _Windows(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, task: Task) -> None:
        self._windows = task.samples(1, 1, -1)

    def get_next(self) -> dict[str, Any] | None:
        window = next(self._windows, None)
        return None if window is None else {"window": window}


def main() -> None:
    """Convert `network.onnx` beside the task of the command line."""
    task, out = from_command_line()
    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(str(out.with_name("network.onnx")), str(prepared))
    quantize_static(
        str(prepared),
        str(out),
        _Windows(task),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )


if __name__ == "__main__":
    main()
