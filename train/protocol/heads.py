"""What fine-tuning teaches beside any MI, and which logits of a network are the ten outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.store import WindowStore

from ..config import TaskConfig
from ..targets import Targets, make_targets
from .encoders import Encoder
from .result import OUTPUTS, TYPES


class Classifier(nn.Module):
    """An encoder with linear heads: `mi`, and the side heads of the targets, the nine types among their statements."""

    def __init__(self, encoder: Encoder, side_heads: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.features, 1)
        self.side = nn.ModuleDict(
            {name: nn.Linear(encoder.features, size) for name, size in side_heads.items()}
        )

    def forward(self, signals_mv: Tensor) -> dict[str, Tensor]:
        """`mi` float32 (batch,) and each side head (batch, outputs) of (batch, leads, samples)."""
        return self.outputs_of(self.features_of(signals_mv))

    def features_of(self, signals_mv: Tensor) -> Tensor:
        """Features (batch, features), with dropout in training."""
        features: Tensor = self.dropout(self.encoder(signals_mv))
        return features

    def outputs_of(self, features: Tensor) -> dict[str, Tensor]:
        """`forward` of features that are at hand."""
        outputs = {"mi": self.head(features)[:, 0]}
        outputs.update({name: head(features) for name, head in self.side.items()})
        return outputs


def protocol_targets(store: WindowStore, rows: NDArray[np.int64], task: TaskConfig) -> Targets:
    """Targets whose statements hold every one of TYPES that a training record of `rows` has."""
    return make_targets(store, rows, task.code_min_records, wanted=TYPES)


def ten_outputs(outputs: Mapping[str, Tensor], targets: Targets) -> NDArray[np.float32]:
    """Logits float32 (batch, OUTPUTS); NaN for a type that no training record had."""
    mi = outputs["mi"]
    logits = np.full((len(mi), len(OUTPUTS)), np.nan, dtype=np.float32)
    logits[:, 0] = mi.numpy()
    for column, name in enumerate(TYPES, start=1):
        if name in targets.code_names:
            logits[:, column] = outputs["codes"][:, targets.code_names.index(name)].numpy()
    return logits
