"""The 12-lead teacher as a torch module; it stays in the workshop, so nothing of the device binds it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from .config import TeacherConfig
from .patchnet import conv_stack, frames_of


class TeacherNet(nn.Module):
    """Convolutions, mean over the frames, one hidden layer whose output is the embedding, linear heads."""

    def __init__(self, config: TeacherConfig, leads: int, side_heads: Mapping[str, int]) -> None:
        super().__init__()
        self.stack = conv_stack(leads, config.layers)
        self.hidden = nn.Sequential(nn.Linear(config.layers[-1][2], config.embedding), nn.ReLU())
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.embedding, 1)
        self.side = nn.ModuleDict(
            {name: nn.Linear(config.embedding, size) for name, size in side_heads.items()}
        )

    def embed(self, signals_mv: Tensor) -> Tensor:
        """Embedding float32 (batch, embedding) of signals (batch, leads, samples)."""
        embedding: Tensor = self.hidden(frames_of(self.stack, signals_mv).mean(-1))
        return embedding

    def forward(self, signals_mv: Tensor) -> dict[str, Tensor]:
        """`mi` float32 (batch,) and each side head (batch, outputs)."""
        features = self.dropout(self.embed(signals_mv))
        outputs = {"mi": self.head(features)[:, 0]}
        outputs.update({name: head(features) for name, head in self.side.items()})
        return outputs
