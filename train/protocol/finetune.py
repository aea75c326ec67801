"""Fine-tuning: the same for every network, from whatever its pre-training left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from ..augment import SignalTable
from ..batches import batches
from ..fit import fit, seed_torch
from ..parts import Arrays, Part
from ..splits import Folds
from ..task_loss import task_loss
from .encoders import make_encoder
from .heads import Classifier, protocol_targets, ten_outputs
from .outputs import Subset
from .result import OUTPUTS

if TYPE_CHECKING:
    from .config import FinetuneSection

SEED_OFFSET: Final = 700
SOFT: Final = "soft_logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRequest:
    """Train on `train`, predict `predict_folds`; with `lead_masking` a 12-lead network that may lose leads."""

    network: str
    config: FinetuneSection
    train: Subset
    predict_folds: Folds
    seed: int
    lead_masking: bool = False


def finetune_part(
    name: str,
    request: FinetuneRequest,
    initial: Arrays | None = None,
    soft_logits: NDArray[np.float32] | None = None,
) -> Part:
    """The part of a run that fine-tunes one network of method `name`.

    initial: the encoder's state; None to begin as `make_encoder` does. soft_logits: float32 (records,).
    """
    folds = "".join(map(str, request.predict_folds))
    inputs = dict(initial or {})
    if soft_logits is not None:
        inputs[SOFT] = soft_logits
    return Part(f"finetune-{name}-for-{folds}-seed{request.seed}", finetune, request, inputs)


def finetune(
    store: WindowStore, request: FinetuneRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train one network; returns `logits` float32 (records, OUTPUTS) of whole records, NaN outside predict_folds."""
    config = request.config
    rows, held_out = request.train.rows(store), store.rows_of(request.predict_folds)
    signals = SignalTable(store, TWELVE_LEADS if request.lead_masking else ("I",))
    targets = protocol_targets(store, rows, config.task)
    weight = targets.positive_weight(rows)
    soft = torch.from_numpy(inputs[SOFT]) if SOFT in inputs else None
    encoder = make_encoder(request.network, signals.leads, request.seed)
    initial = {name: torch.from_numpy(value) for name, value in inputs.items() if name != SOFT}
    if initial:
        encoder.load_state_dict(initial)
    seed = request.seed + SEED_OFFSET
    seed_torch(seed)
    net = Classifier(encoder, targets.side_heads(), config.dropout)

    def loss_of(batch: Tensor) -> Tensor:
        views = signals.augmented_mv(batch, config.augment)
        if request.lead_masking:
            views = drop_leads(views, config.lead_i_only)
        return task_loss(net(views), targets, batch, config.task, positive_weight=weight, soft_logits=soft)

    fit(net, rows, loss_of, config.fit, seed=seed, snapshot=snapshot)
    logits = np.full((len(store), len(OUTPUTS)), np.nan, dtype=np.float32)
    with torch.no_grad():
        for batch in batches(held_out):
            records = signals.records_mv(batch)
            records[:, 1:] = 0  # lead I is all that a method may see
            logits[batch.numpy()] = ten_outputs(net(records), targets)
    return {"logits": logits}


def drop_leads(signals_mv: Tensor, lead_i_only: float) -> Tensor:
    """Twelve leads (batch, 12, samples) with some set to zero, never the first.

    A share `lead_i_only` of the views keeps lead I alone; of the others each lead stays with a chance that is
    drawn for the view.
    """
    count, leads, _ = signals_mv.shape
    alone = torch.rand(count, 1) < lead_i_only
    stay = (torch.rand(count, leads) < torch.rand(count, 1)) & ~alone
    stay[:, 0] = True
    return signals_mv * stay[:, :, None]
