"""One changed network as a part of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import WindowStore

from ..finetune import SOFT, StudentRequest, record_logits
from ..fit import fit, seed_torch
from ..parts import Arrays, Part
from .change import Change
from .lesson import ChangedLesson
from .network import PooledNet


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """Train what `student` asks for, with one change."""

    student: StudentRequest
    change: Change


def trial_part(request: TrialRequest, soft_logits: NDArray[np.float32]) -> Part:
    """The part of a run that trains one changed network."""
    folds = "".join(map(str, request.student.train_folds))
    return Part(f"trial-{folds}-seed{request.student.seed}", train_changed, request, {SOFT: soft_logits})


def train_changed(
    store: WindowStore, request: TrialRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train one network; returns `logits` float32 (records,), NaN outside its predict_folds."""
    student, change = request.student, request.change
    rows, held_out = store.rows_of(student.train_folds), store.rows_of(student.predict_folds)
    lesson = ChangedLesson(store, rows, student.config, inputs[SOFT], change)
    seed_torch(student.seed)
    net = PooledNet(student.config.net, lesson.side_heads, student.config.dropout, change.pooling)
    fit(
        net,
        rows,
        lambda batch: lesson.loss(net, batch),
        student.config.fit,
        seed=student.seed,
        snapshot=snapshot,
    )
    logits = np.full(len(store), np.nan, dtype=np.float32)
    logits[held_out] = record_logits(net, lesson.signals, held_out, student.config.net.frames)
    return {"logits": logits}
