"""The float .onnx of the same network to a SavedModel by onnx2tf, and to int8 by TFLiteConverter."""

from __future__ import annotations

import onnx2tf
import tensorflow as tf

from .task import from_command_line
from .tflite_converter import convert_int8


def main() -> None:
    """Convert `network.onnx` beside the task of the command line."""
    task, out = from_command_line()
    saved = out.with_suffix(".saved")
    onnx2tf.convert(
        input_onnx_file_path=str(out.with_name("network.onnx")),
        output_folder_path=str(saved),
        non_verbose=True,
        output_signaturedefs=True,
    )
    function = tf.saved_model.load(str(saved)).signatures["serving_default"]
    (source,) = function.structured_input_signature[1].values()
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    convert_int8(converter, task, tuple(source.shape), out)


if __name__ == "__main__":
    main()
