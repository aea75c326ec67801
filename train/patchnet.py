"""The lead-I network as a torch module, built from its NetSpec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.netspec import NetSpec


def conv_stack(in_channels: int, layers: Iterable[tuple[int, int, int]]) -> nn.Sequential:
    """Convolutions over time, (kernel, stride, channels) each: no padding, no bias, batch norm, ReLU."""
    modules: list[nn.Module] = []
    for kernel, stride, channels in layers:
        modules.append(nn.Conv2d(in_channels, channels, (1, kernel), stride=(1, stride), bias=False))
        modules.append(nn.BatchNorm2d(channels))
        modules.append(nn.ReLU(inplace=True))
        in_channels = channels
    return nn.Sequential(*modules)


def frames_of(stack: nn.Sequential, signals_mv: Tensor) -> Tensor:
    """Frames (batch, channels, time) of signals (batch, leads, samples), float32."""
    # channels last: twice as fast on a processor for kernels of height one
    image = signals_mv[:, :, None].contiguous(memory_format=torch.channels_last)
    frames: Tensor = stack(image)
    return frames.flatten(2)


class PatchNet(nn.Module):
    """`spec` in torch, with linear side heads (name -> outputs) that only training uses."""

    def __init__(
        self, spec: NetSpec, side_heads: Mapping[str, int] | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.spec = spec
        self.stack = conv_stack(1, ((conv.kernel, conv.stride, conv.out_channels) for conv in spec.convs))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(spec.features, len(spec.outputs))
        self.side = nn.ModuleDict(
            {name: nn.Linear(spec.features, size) for name, size in (side_heads or {}).items()}
        )

    def embed(self, signals_mv: Tensor) -> Tensor:
        """Mean over the frames, float32 (batch, features), of signals (batch, 1, samples)."""
        return frames_of(self.stack, signals_mv).mean(-1)

    def forward(self, signals_mv: Tensor) -> dict[str, Tensor]:
        """`mi` float32 (batch,), the first logit, and each side head (batch, outputs)."""
        return self.outputs_of(self.dropout(self.embed(signals_mv)))

    def outputs_of(self, features: Tensor) -> dict[str, Tensor]:
        """What `forward` gives for signals with these features, float32 (batch, features)."""
        outputs = {"mi": self.head(features)[:, 0]}
        outputs.update({name: head(features) for name, head in self.side.items()})
        return outputs

    def folded_weights(self) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Layer -> (weight (out, in, kernel), bias (out,)), float32, batch norm folded into the convolutions."""
        weights = {}
        modules = list(self.stack)
        for index, conv in enumerate(self.spec.convs):
            weight, bias = _fold(modules[3 * index], modules[3 * index + 1])
            weights[conv.name] = (weight[:, :, 0], bias)
        weights["head"] = (_float32(self.head.weight)[:, :, None], _float32(self.head.bias))
        return weights


def _fold(conv: nn.Module, norm: nn.Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(
            f"a convolution and a batch norm, found {type(conv).__name__} and {type(norm).__name__}"
        )
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    # float64: the division by a small deviation should not cost digits of the weights
    scale = norm.weight.detach().double() / torch.sqrt(var.double() + norm.eps)
    weight = conv.weight.detach().double() * scale[:, None, None, None]
    bias = norm.bias.detach().double() - mean.double() * scale
    return _float32(weight), _float32(bias)


def _float32(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy().astype(np.float32)
    return array
