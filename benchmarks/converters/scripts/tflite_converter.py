"""TFLiteConverter's full-integer settings, as its documentation has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from .task import FloatArray, Task


def convert_int8(converter: Any, task: Task, shape: tuple[int, ...], out: Path) -> None:
    """Write `out`, calibrated on the windows of `task`, each in `shape`."""

    def calibration() -> Iterator[list[FloatArray]]:
        for window in task.samples(*shape):
            yield [window]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    out.write_bytes(converter.convert())
