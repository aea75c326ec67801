"""Self-alignment in plain form: lead I cut out of a record is drawn to the 12-lead embedding of that record.

After Jin et al., "Self-Alignment Learning to Improve MI Detection from Single-Lead ECG", arXiv 2509.19397
(2025), as its abstract describes it: no augmentation makes the pair, the single lead is cut from the same
multi-lead ECG. What the abstract leaves open is chosen here: the teacher is supervised, frozen and sees the
whole record; the encoder sees a random crop; the loss is sigmoid over all pairs, with a bias. Two records
of one patient in a batch count as a negative pair.
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
from .parts import Arrays, Part
from .patchnet import PatchNet
from .splits import Folds

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

    def forward(self, signals_mv: Tensor, embedding: Tensor) -> Tensor:
        """Loss of lead-I signals (batch, 1, samples) against embeddings (batch, embedding) of their records."""
        features = self.encoder.dropout(self.encoder.embed(signals_mv))
        loss: Tensor = self.loss(self.from_lead(features), self.from_record(embedding))
        return loss


def align_part(request: AlignRequest, embedding: NDArray[np.float32], noise: Arrays | None = None) -> Part:
    """The part of a run that aligns one encoder with a teacher's `embedding` float32 (records, dim).

    noise: the tracks of its patch (`NoiseTracks.arrays`), if it has one; the teacher has none.
    """
    folds = "".join(map(str, request.train_folds))
    device = "" if request.config.augment.device is None else "-device"
    inputs = {"embedding": embedding, **(noise or {})}
    return Part(f"align-{folds}-seed{request.seed}{device}", align, request, inputs)


def align(
    store: WindowStore, request: AlignRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train the encoder; returns its state, tensor name -> array, to begin fine-tuning with."""
    rows = store.rows_of(request.train_folds)
    signals = SignalTable(store, ("I",))
    if request.config.augment.device is not None:
        signals.put_on(request.config.augment.device, NoiseTracks.of_arrays(inputs))
    aims = torch.from_numpy(standardise(inputs["embedding"], rows))
    seed = request.seed + SEED_OFFSET
    seed_torch(seed)
    aligner = Aligner(PatchNet(request.net, dropout=request.dropout), aims.shape[1], request.config)

    def loss_of(batch: Tensor) -> Tensor:
        loss: Tensor = aligner(signals.augmented_mv(batch, request.config.augment), aims[batch])
        return loss

    fit(aligner, rows, loss_of, request.config.fit, seed=seed, snapshot=snapshot)
    state = aligner.encoder.stack.state_dict()
    return {f"stack.{name}": value.numpy() for name, value in state.items()}


def standardise(embedding: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Each dimension with mean 0 and deviation 1 over `rows`; a dimension that never moves becomes 0."""
    mean, deviation = embedding[rows].mean(axis=0), embedding[rows].std(axis=0)
    return np.asarray((embedding - mean) / (deviation + SMALLEST_DEVIATION), dtype=np.float32)
