"""Pre-training: one encoder, one objective, the same steps for all that have one; its features of every record.

The forms of alignment are after Jin et al., arXiv 2509.19397, as `train/align.py` says of what is theirs and
what is chosen here; masked reconstruction after He et al., arXiv 2111.06377, for one lead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from ..align import PairHead, standardise
from ..augment import SignalTable
from ..fit import fit, seed_torch
from ..losses.feature import feature_loss
from ..losses.info_nce import InfoNCELoss
from ..losses.pairwise_sigmoid import PairwiseSigmoidLoss
from ..losses.reconstruction import reconstruction_loss
from ..parts import Arrays, Part
from ..targets import Targets
from ..task_loss import task_loss
from .decoder import Decoder
from .encoders import Encoder, beginning, begun, features_of, load_state, make_encoder
from .given import EMBEDDING
from .heads import Classifier, protocol_targets
from .methods import EVERY_LEAD, LABELLED, Pretraining, listens
from .outputs import Subset

if TYPE_CHECKING:
    from .config import PretrainSection

SEED_OFFSET: Final = 500
FEATURES: Final = "features"


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainRequest:
    """Pre-train `network` on the records of `train`; objective None leaves it as it was initialised."""

    network: str
    objective: Pretraining | None
    config: PretrainSection
    train: Subset
    seed: int


def pretrain_part(
    request: PretrainRequest, embedding: NDArray[np.float32], begin: Arrays | None = None
) -> Part:
    """The part of a run that pre-trains one encoder; `embedding` float32 (records, dim) is the teacher's.

    Objectives that do not listen to the teacher are not given it. begin: the state to begin with; None for fresh
    weights.
    """
    name = (
        f"pretrain-{request.objective or 'none'}-{''.join(map(str, request.train.folds))}-seed{request.seed}"
    )
    inputs = {EMBEDDING: embedding} if listens(request.objective) else {}
    return Part(name, pretrain, request, {**inputs, **beginning(begin)})


def pretrain(
    store: WindowStore, request: PretrainRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train the encoder; returns its state, tensor name -> array, and `features` float32 (records, dim)."""
    rows = request.train.rows(store)
    config = request.config
    lead_i = SignalTable(store, ("I",))
    every = request.objective in EVERY_LEAD
    signals = SignalTable(store, TWELVE_LEADS) if every else lead_i
    encoder = make_encoder(request.network, 1, request.seed)
    load_state(encoder, begun(inputs))
    if request.objective is not None:
        seed = request.seed + SEED_OFFSET
        seed_torch(seed)
        objective = _objective(store, request, encoder, rows, inputs)

        def loss_of(batch: Tensor) -> Tensor:
            lead = torch.randint(signals.leads, (len(batch),)) if every else None
            loss: Tensor = objective(signals.augmented_mv(batch, config.augment, lead), batch)
            return loss

        fit(objective, rows, loss_of, config.fit, seed=seed, snapshot=snapshot)
    state = {name: value.numpy() for name, value in encoder.state_dict().items()}
    return {**state, FEATURES: features_of(encoder, lead_i)}


def _objective(
    store: WindowStore,
    request: PretrainRequest,
    encoder: Encoder,
    rows: NDArray[np.int64],
    inputs: Mapping[str, NDArray[Any]],
) -> nn.Module:
    config = request.config
    labels = None
    if request.objective in LABELLED:
        labels = Labels(encoder, protocol_targets(store, rows, config.task), rows, config)
        if not listens(request.objective):
            return labels
    if request.objective == "reconstruction":
        return MaskedReconstruction(encoder, config)
    aims = torch.from_numpy(standardise(inputs[EMBEDDING], rows))
    if request.objective == "feature":
        return FeatureDistillation(encoder, aims, config)
    bias = None if request.objective == "selfmis-nobias" else config.bias
    loss = (
        InfoNCELoss(config.scale)
        if request.objective == "infonce"
        else PairwiseSigmoidLoss(config.scale, bias)
    )
    alignment = Alignment(encoder, aims, loss, config)
    return alignment if labels is None else AlignmentAndLabels(alignment, labels, config)


class Alignment(nn.Module):
    """Views of lead I and embeddings of their records under a loss over the pairs."""

    def __init__(self, encoder: Encoder, aims: Tensor, loss: nn.Module, config: PretrainSection) -> None:
        super().__init__()
        self.encoder, self._aims = encoder, aims
        self.dropout = nn.Dropout(config.dropout)
        self.pairs = PairHead(encoder.features, aims.shape[1], config.projection, loss)

    def forward(self, signals_mv: Tensor, rows: Tensor) -> Tensor:
        """Loss of views (batch, 1, samples) of the records `rows`."""
        return self.of_features(self.dropout(self.encoder(signals_mv)), rows)

    def of_features(self, features: Tensor, rows: Tensor) -> Tensor:
        """Loss of features (batch, features), after dropout."""
        loss: Tensor = self.pairs(features, self._aims[rows])
        return loss


class Labels(nn.Module):
    """The labels of the record that a view was cut from."""

    def __init__(
        self, encoder: Encoder, targets: Targets, rows: NDArray[np.int64], config: PretrainSection
    ) -> None:
        super().__init__()
        self.classifier = Classifier(encoder, targets.side_heads(), config.dropout)
        self._targets, self._task, self._weight = targets, config.task, targets.positive_weight(rows)

    def forward(self, signals_mv: Tensor, rows: Tensor) -> Tensor:
        """Loss of views (batch, 1, samples) of the records `rows`."""
        return self.of_features(self.classifier.features_of(signals_mv), rows)

    def of_features(self, features: Tensor, rows: Tensor) -> Tensor:
        """Loss of features (batch, features), after dropout."""
        outputs = self.classifier.outputs_of(features)
        return task_loss(outputs, self._targets, rows, self._task, positive_weight=self._weight)


class AlignmentAndLabels(nn.Module):
    """Both from the same features of the same views, as `train/align.py` does; the pairs have a weight."""

    def __init__(self, alignment: Alignment, labels: Labels, config: PretrainSection) -> None:
        super().__init__()
        self.alignment, self.labels, self._weight = alignment, labels, config.weight

    def forward(self, signals_mv: Tensor, rows: Tensor) -> Tensor:
        """Loss of views (batch, 1, samples) of the records `rows`."""
        features = self.labels.classifier.features_of(signals_mv)
        aligned = self.alignment.of_features(features, rows)
        return self._weight * aligned + self.labels.of_features(features, rows)


class FeatureDistillation(nn.Module):
    """A linear map of the features of lead I is drawn to the teacher's embedding."""

    def __init__(self, encoder: Encoder, aims: Tensor, config: PretrainSection) -> None:
        super().__init__()
        self.encoder, self._aims = encoder, aims
        self.dropout = nn.Dropout(config.dropout)
        self.regressor = nn.Linear(encoder.features, aims.shape[1])

    def forward(self, signals_mv: Tensor, rows: Tensor) -> Tensor:
        """Loss of views (batch, 1, samples) of the records `rows`."""
        return feature_loss(self.regressor(self.dropout(self.encoder(signals_mv))), self._aims[rows])


class MaskedReconstruction(nn.Module):
    """Pieces of lead I are set to zero, and the frames say what stood there."""

    def __init__(self, encoder: Encoder, config: PretrainSection) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, Decoder(encoder, 1)
        self._share, self._patch = config.masked_share, config.patch_samples

    def forward(self, signals_mv: Tensor, rows: Tensor) -> Tensor:
        """Loss of views (batch, 1, samples)."""
        del rows
        count, _, samples = signals_mv.shape
        drawn = torch.rand(count, 1, -(-samples // self._patch)) < self._share
        hidden = drawn.repeat_interleave(self._patch, dim=2)[:, :, :samples]
        output = self.decoder(self.encoder.frames(signals_mv.masked_fill(hidden, 0.0)), samples)
        seen = self.decoder.span(output.shape[2])
        return reconstruction_loss(output, signals_mv[:, :, seen], hidden[:, :, seen])
