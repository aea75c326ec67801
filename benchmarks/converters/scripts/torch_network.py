"""The network as the torch module that a user would hand to a converter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .task import Layer, Task


class TorchNetwork(nn.Module):
    """Logits (1, K) of a window (1, 1, samples), float32."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for layer in task.convs:
            modules += [_conv(layer), nn.ReLU()]
        self.stack = nn.Sequential(*modules)
        self.head = nn.Linear(task.head.weight.shape[1], len(task.head.bias))
        self.head.weight.data = torch.from_numpy(task.head.weight[:, :, 0].copy())
        self.head.bias.data = torch.from_numpy(task.head.bias)

    def forward(self, window_mv: Tensor) -> Tensor:
        """Convolutions, mean over the frames, linear head."""
        logits: Tensor = self.head(self.stack(window_mv).mean(-1))
        return logits


def _conv(layer: Layer) -> nn.Conv1d:
    out, channels, kernel = layer.weight.shape
    conv = nn.Conv1d(channels, out, kernel, stride=layer.stride)
    conv.weight.data = torch.from_numpy(layer.weight)
    conv.bias = nn.Parameter(torch.from_numpy(layer.bias))
    return conv
