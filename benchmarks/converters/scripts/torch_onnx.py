"""torch to a float .onnx by torch.onnx."""

from __future__ import annotations

import torch

from .task import from_command_line
from .torch_network import TorchNetwork


def main() -> None:
    """Export the task of the command line."""
    task, out = from_command_line()
    torch.onnx.export(
        TorchNetwork(task).eval(),
        (torch.from_numpy(next(task.samples(1, 1, -1))),),
        str(out),
        dynamo=True,
        opset_version=18,
        input_names=["window"],
        output_names=["logits"],
        external_data=False,
        verbose=False,
    )


if __name__ == "__main__":
    main()
