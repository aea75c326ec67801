"""The 12-lead teacher of a split: ceiling of the table, aim of the alignment, judge of synthetic leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from ..augment import SignalTable
from ..batches import batches
from ..config import TeacherConfig
from ..parts import Arrays, Part
from ..splits import Folds
from ..targets import Targets
from ..teacher import fit_teacher
from ..teacher_net import TeacherNet
from .heads import protocol_targets, ten_outputs
from .outputs import Subset
from .result import OUTPUTS

STATE: Final = "state."


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingRequest:
    """Train a teacher on `train`, which never meets `predict_folds`, and predict those."""

    config: TeacherConfig
    train: Subset
    predict_folds: Folds
    seed: int


def ceiling_part(request: CeilingRequest) -> Part:
    """The part of a run that trains one teacher of a split."""
    folds = "".join(map(str, request.predict_folds))
    return Part(f"ceiling-for-{folds}-seed{request.seed}", train_ceiling, request)


def train_ceiling(
    store: WindowStore, request: CeilingRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train one teacher.

    Returns `logits` float32 (records, OUTPUTS), NaN outside predict_folds, `embedding` float32
    (records, embedding) of every record, the held-out ones included, `embedding_without_i`, the same of records whose
    lead I is 0 mV throughout, and `state.<tensor>`, its weights.
    """
    del inputs
    rows, held_out = request.train.rows(store), store.rows_of(request.predict_folds)
    signals = SignalTable(store, TWELVE_LEADS)
    targets = protocol_targets(store, rows, request.config.task)
    net = fit_teacher(request.config, signals, targets, rows, request.seed, snapshot)
    embedding, logits = judge(net, targets, signals.records_mv, len(store))
    without, _ = judge(net, targets, lambda batch: without_lead_i(signals.records_mv(batch)), len(store))
    kept = np.full((len(store), len(OUTPUTS)), np.nan, dtype=np.float32)
    kept[held_out] = logits[held_out]
    state = {f"{STATE}{name}": value.numpy() for name, value in net.state_dict().items()}
    return {"logits": kept, "embedding": embedding, "embedding_without_i": without, **state}


def without_lead_i(records_mv: Tensor) -> Tensor:
    """Twelve leads (batch, 12, samples) with lead I at 0 mV; III, aVR, aVL and aVF still hold its share of them."""
    hidden = records_mv.clone()
    hidden[:, TWELVE_LEADS.index("I")] = 0
    return hidden


def load_teacher(config: TeacherConfig, targets: Targets, inputs: Mapping[str, NDArray[Any]]) -> TeacherNet:
    """The teacher whose `state.<tensor>` are among `inputs`, in eval mode."""
    net = TeacherNet(config, len(TWELVE_LEADS), targets.side_heads())
    prefix = len(STATE)
    net.load_state_dict(
        {name[prefix:]: torch.from_numpy(value) for name, value in inputs.items() if name.startswith(STATE)}
    )
    return net.eval()


def judge(
    net: TeacherNet, targets: Targets, records_mv: Any, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embedding (records, embedding) and logits (records, OUTPUTS), float32, of `count` records.

    records_mv: rows -> twelve leads in millivolts, float32 (len(rows), 12, samples).
    """
    embeddings, logits = [], []
    with torch.no_grad():
        for batch in batches(np.arange(count)):
            signals: Tensor = records_mv(batch)
            embeddings.append(net.embed(signals).numpy())
            logits.append(ten_outputs(net(signals), targets))
    return np.concatenate(embeddings), np.concatenate(logits)
