"""Self-alignment: one lead cut out of a record is drawn to the 12-lead embedding of that record.

After Jin et al., "Self-Alignment Learning to Improve MI Detection from Single-Lead ECG", arXiv 2509.19397
(2025), as its abstract describes it: no augmentation makes the pair, the single lead is cut from the same
multi-lead ECG. What the abstract leaves open is chosen here: the teacher is supervised, frozen and sees the
whole record; the encoder sees a random crop; the loss is sigmoid over all pairs, with a bias. Two records
of one patient in a batch count as a negative pair. Beyond the paper, segments may be cut from any lead, which
gives few records twelve views of each heart, and labels may be learned from the same segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.netspec import NetSpec
from edge_mi.store import WindowStore

from .augment import SignalTable
from .config import AlignConfig
from .device.noise import NoiseTracks
from .fit import fit, seed_torch
from .losses.pairwise_sigmoid import PairwiseSigmoidLoss
from .parts import PAIRS_PIPELINE, Arrays, Part
from .patchnet import PatchNet
from .splits import Folds
from .targets import make_targets
from .task_loss import task_loss

SEED_OFFSET = 300
SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignRequest:
    """Align the encoder of `net` on `train_folds`."""

    config: AlignConfig
    net: NetSpec
    dropout: float
    train_folds: Folds
    seed: int


class Aligner(nn.Module):
    """Encoder, one projection on either side, and the loss between them."""

    def __init__(self, encoder: PatchNet, embedding: int, config: AlignConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.from_lead = nn.Linear(encoder.spec.features, config.projection)
        self.from_record = nn.Linear(embedding, config.projection)
        self.loss = PairwiseSigmoidLoss(config.scale, config.bias)

    def features(self, signals_mv: Tensor) -> Tensor:
        """Features float32 (batch, features) of one lead, (batch, 1, samples); with dropout in training."""
        features: Tensor = self.encoder.dropout(self.encoder.embed(signals_mv))
        return features

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Loss of features (batch, features) against embeddings (batch, embedding) of their records."""
        loss: Tensor = self.loss(self.from_lead(features), self.from_record(embedding))
        return loss


def align_part(request: AlignRequest, embedding: NDArray[np.float32], noise: Arrays | None = None) -> Part:
    """The part of a run that aligns one encoder with a teacher's `embedding` float32 (records, dim).

    noise: the tracks of its patch (`NoiseTracks.arrays`), if it has one; the teacher has none.
    """
    folds = "".join(map(str, request.train_folds))
    device = "" if request.config.augment.device is None else "-device"
    inputs = {"embedding": embedding, **(noise or {})}
    return Part(f"align-{folds}-seed{request.seed}{device}", align, request, inputs, PAIRS_PIPELINE)


def align(
    store: WindowStore, request: AlignRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train the encoder; returns its state, tensor name -> array, to begin fine-tuning with."""
    config, rows = request.config, store.rows_of(request.train_folds)
    signals = SignalTable(store, config.leads)
    if config.augment.device is not None:
        signals.put_on(config.augment.device, NoiseTracks.of_arrays(inputs))
    aims = torch.from_numpy(standardise(inputs["embedding"], rows))
    seed = request.seed + SEED_OFFSET
    seed_torch(seed)
    targets = make_targets(store, rows, config.task.code_min_records) if config.task else None
    encoder = PatchNet(request.net, targets.side_heads() if targets else None, dropout=request.dropout)
    aligner = Aligner(encoder, aims.shape[1], config)
    weight = targets.positive_weight(rows) if targets else 1.0

    def loss_of(batch: Tensor) -> Tensor:
        lead = torch.randint(signals.leads, (len(batch),)) if signals.leads > 1 else None
        features = aligner.features(signals.augmented_mv(batch, config.augment, lead))
        loss: Tensor = config.weight * aligner(features, aims[batch])
        if targets is not None and config.task is not None:
            outputs = encoder.outputs_of(features)
            loss = loss + task_loss(outputs, targets, batch, config.task, positive_weight=weight)
        return loss

    fit(aligner, rows, loss_of, config.fit, seed=seed, snapshot=snapshot)
    state = encoder.stack.state_dict()
    return {f"stack.{name}": value.numpy() for name, value in state.items()}


def standardise(embedding: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Each dimension with mean 0 and deviation 1 over `rows`; a dimension that never moves becomes 0."""
    mean, deviation = embedding[rows].mean(axis=0), embedding[rows].std(axis=0)
    return np.asarray((embedding - mean) / (deviation + SMALLEST_DEVIATION), dtype=np.float32)
