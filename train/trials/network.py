"""The lead-I network with other pooling of its frames."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edge_mi.netspec import NetSpec

from ..patchnet import PatchNet, frames_of
from .change import Pooling


class PooledNet(PatchNet):
    """`spec` with its frames pooled in another way; what is not the mean cannot stream in parts, and only shows a gain."""

    def __init__(
        self, spec: NetSpec, side_heads: Mapping[str, int], dropout: float, pooling: Pooling
    ) -> None:
        super().__init__(spec, side_heads, dropout)
        self._pooling = pooling
        if pooling != "mean":
            self.head = nn.Linear(2 * spec.features, len(spec.outputs))
            self.side = nn.ModuleDict(
                {name: nn.Linear(2 * spec.features, n) for name, n in side_heads.items()}
            )

    def embed(self, signals_mv: Tensor) -> Tensor:
        """Float32 (batch, features), or twice as many features where two things are pooled."""
        frames = frames_of(self.stack, signals_mv)
        if self._pooling == "mean":
            return frames.mean(-1)
        other = frames.amax(-1) if self._pooling == "mean_max" else frames.std(-1)
        return torch.cat([frames.mean(-1), other], dim=1)
