"""The 12-lead teacher: its out-of-fold logits are the student's soft labels, its embedding the alignment's aim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from .augment import SignalTable
from .batches import in_batches
from .config import TeacherConfig
from .fit import fit, seed_torch
from .parts import Arrays, Part
from .splits import Folds
from .targets import Targets, make_targets
from .task_loss import task_loss
from .teacher_net import TeacherNet

SEED_OFFSET = 100  # teachers and students never share a stream of random numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRequest:
    """Train on `train_folds` and predict `predict_folds`."""

    config: TeacherConfig
    train_folds: Folds
    predict_folds: Folds
    seed: int


def teacher_part(request: TeacherRequest) -> Part:
    """The part of a run that trains one teacher."""
    folds = "".join(map(str, request.predict_folds))
    return Part(f"teacher-for-{folds}-seed{request.seed}", train_teacher, request)


def train_teacher(
    store: WindowStore, request: TeacherRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train one teacher.

    Returns `logits` float32 (records,), NaN outside predict_folds, and `embedding` float32
    (records, embedding), NaN outside train_folds.
    """
    del inputs
    config = request.config
    rows, held_out = store.rows_of(request.train_folds), store.rows_of(request.predict_folds)
    signals = SignalTable(store, TWELVE_LEADS)
    targets = make_targets(store, rows, config.task.code_min_records)
    net = fit_teacher(config, signals, targets, rows, request.seed, snapshot)
    logits = np.full(len(store), np.nan, dtype=np.float32)
    logits[held_out] = in_batches(held_out, lambda batch: net(signals.records_mv(batch))["mi"])
    embedding = np.full((len(store), config.embedding), np.nan, dtype=np.float32)
    embedding[rows] = in_batches(rows, lambda batch: net.embed(signals.records_mv(batch)))
    return {"logits": logits, "embedding": embedding}


def fit_teacher(
    config: TeacherConfig,
    signals: SignalTable,
    targets: Targets,
    rows: NDArray[np.int64],
    seed: int,
    snapshot: Path,
) -> TeacherNet:
    """A teacher trained on the records `rows` of twelve-lead `signals`, in eval mode."""
    weight = targets.positive_weight(rows)
    seed_torch(seed + SEED_OFFSET)
    net = TeacherNet(config, len(TWELVE_LEADS), targets.side_heads())

    def loss_of(batch: torch.Tensor) -> torch.Tensor:
        outputs = net(signals.augmented_mv(batch, config.augment))
        return task_loss(outputs, targets, batch, config.task, positive_weight=weight)

    fit(net, rows, loss_of, config.fit, seed=seed + SEED_OFFSET, snapshot=snapshot)
    return net
