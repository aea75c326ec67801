"""torch to a float .tflite by litert-torch, quantised by ai-edge-quantizer's recipe static_wi8_ai8."""

from __future__ import annotations

import litert_torch
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

from .task import from_command_line
from .torch_network import TorchNetwork


def main() -> None:
    """Convert the task of the command line."""
    task, out = from_command_line()
    example = (torch.from_numpy(next(task.samples(1, 1, -1))),)
    float_file = str(out.with_suffix(".float.tflite"))
    litert_torch.convert(TorchNetwork(task).eval(), example).export(float_file)
    ((signature, names),) = Interpreter(float_file).get_signature_list().items()
    inputs = [{names["inputs"][0]: window} for window in task.samples(1, 1, -1)]
    static = quantizer.Quantizer(float_file)
    static.load_quantization_recipe(recipe.static_wi8_ai8())
    static.quantize(static.calibrate({signature: inputs})).export_model(str(out), overwrite=True)


if __name__ == "__main__":
    main()
