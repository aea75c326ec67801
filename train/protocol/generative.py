"""Twelve leads from one: a network writes the other eleven, and the 12-lead teacher reads them.

The rival that SelfMIS is said to improve on: synthesis at the level of the signal, then the model of twelve
leads. The encoder is that of the other methods and so are the steps; the loss is the squared error in mV.
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

from ..augment import SignalTable
from ..config import TeacherConfig
from ..fit import fit, seed_torch
from ..losses.reconstruction import reconstruction_loss
from ..parts import Arrays, Part
from ..splits import Folds
from .decoder import Decoder
from .encoders import Encoder, beginning, begun, load_state, make_encoder
from .heads import protocol_targets
from .outputs import Subset
from .result import OUTPUTS
from .teachers import STATE, judge, load_teacher

if TYPE_CHECKING:
    from .config import PretrainSection

SEED_OFFSET: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerativeRequest:
    """Learn on `train` to write eleven leads; the teacher of that split predicts `predict_folds`."""

    network: str
    config: PretrainSection
    teacher: TeacherConfig
    train: Subset
    predict_folds: Folds
    seed: int


class Generator(nn.Module):
    """Lead I to twelve leads, the first of them as it came."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, Decoder(encoder, len(TWELVE_LEADS) - 1)

    def forward(self, lead_mv: Tensor) -> Tensor:
        """Millivolts float32 (batch, 12, fewer samples) of lead I (batch, 1, samples); see `span`."""
        written = self.decoder(self.encoder.frames(lead_mv), lead_mv.shape[2])
        return torch.cat([lead_mv[:, :, self.span(written)], written], dim=1)

    def span(self, output_mv: Tensor) -> slice:
        """Which samples of the input the output stands for: the encoder has none for the ends."""
        return self.decoder.span(output_mv.shape[2])


def generative_part(request: GenerativeRequest, teacher: Arrays, begin: Arrays | None = None) -> Part:
    """The part of a run that trains one generator and has `teacher`, a ceiling's results, judge its leads.

    begin: the state that its encoder begins with; None for fresh weights.
    """
    folds = "".join(map(str, request.predict_folds))
    state = {name: value for name, value in teacher.items() if name.startswith(STATE)}
    inputs = {**state, **beginning(begin)}
    return Part(f"generative-for-{folds}-seed{request.seed}", generative, request, inputs)


def generative(
    store: WindowStore, request: GenerativeRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train one generator.

    Returns `features` float32 (records, embedding), the teacher's embedding of the synthetic leads of every
    record, and `logits` float32 (records, OUTPUTS) of that teacher, NaN outside predict_folds.
    """
    rows, held_out = request.train.rows(store), store.rows_of(request.predict_folds)
    signals = SignalTable(store, TWELVE_LEADS)
    encoder = make_encoder(request.network, 1, request.seed)
    load_state(encoder, begun(inputs))
    generator = Generator(encoder)
    seed = request.seed + SEED_OFFSET
    seed_torch(seed)

    def loss_of(batch: Tensor) -> Tensor:
        views = signals.augmented_mv(batch, request.config.augment)
        output = generator(views[:, :1])
        target = views[:, :, generator.span(output)]
        return reconstruction_loss(
            output[:, 1:], target[:, 1:], torch.ones_like(target[:, 1:], dtype=torch.bool)
        )

    fit(generator, rows, loss_of, request.config.fit, seed=seed, snapshot=snapshot)
    targets = protocol_targets(store, rows, request.teacher.task)
    teacher = load_teacher(request.teacher, targets, inputs)
    features, everyone = judge(
        teacher, targets, lambda batch: generator(signals.records_mv(batch)[:, :1]), len(store)
    )
    logits = np.full((len(store), len(OUTPUTS)), np.nan, dtype=np.float32)
    logits[held_out] = everyone[held_out]
    return {"features": features, "logits": logits}
