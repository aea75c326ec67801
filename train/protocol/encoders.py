"""The encoders that a configuration can name; every method trains the one that it names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.netspec import SIZES, NetSpec

from ..augment import SignalTable
from ..batches import in_batches
from ..fit import seed_torch
from ..patchnet import conv_stack, frames_of


class Encoder(nn.Module, ABC):
    """Leads to features: a row of frames, and their mean.

    features: channels of a frame. Frame i stands for the `stride` samples from `offset` + i * `stride` on.
    """

    features: int
    stride: int
    offset: int

    @abstractmethod
    def frames(self, signals_mv: Tensor) -> Tensor:
        """Frames float32 (batch, features, time) of millivolts (batch, leads, samples)."""

    def forward(self, signals_mv: Tensor) -> Tensor:
        """Features float32 (batch, features) of millivolts (batch, leads, samples)."""
        return self.frames(signals_mv).mean(-1)


class PatchEncoder(Encoder):
    """The convolutions of a `PatchNet`, for any number of leads."""

    def __init__(self, spec: NetSpec, leads: int) -> None:
        super().__init__()
        self.features, self.stride = spec.features, spec.total_stride
        self.offset = (spec.receptive_field - spec.total_stride) // 2
        layers = ((conv.kernel, conv.stride, conv.out_channels) for conv in spec.convs)
        self.stack = conv_stack(leads, layers)

    def frames(self, signals_mv: Tensor) -> Tensor:
        """See `Encoder`."""
        return frames_of(self.stack, signals_mv)


ENCODERS: Final[dict[str, Callable[[int], Encoder]]] = {
    spec.name: partial(PatchEncoder, spec) for spec in SIZES.values()
}


def make_encoder(name: str, leads: int, seed: int) -> Encoder:
    """The encoder `name` as the generator of `seed` initialises it: the same for every method."""
    seed_torch(seed)
    return ENCODERS[name](leads)


def features_of(encoder: Encoder, signals: SignalTable) -> NDArray[np.float32]:
    """Features float32 (records, features) of every record, whole."""
    encoder.eval()
    return in_batches(np.arange(len(signals)), lambda batch: encoder(signals.records_mv(batch)))


def count_parameters(*modules: nn.Module) -> int:
    """Weights and biases of `modules` with batch norm folded into the convolutions."""
    count = 0
    for module in (part for each in modules for part in each.modules()):
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        count += sum(p.numel() for p in module.parameters(recurse=False))
        if isinstance(module, nn.Conv1d | nn.Conv2d) and module.bias is None:
            count += module.out_channels
    return count
