"""The student: lead I alone, taught by labels, by the teacher's soft labels and by side targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.store import WindowStore

from .augment import SignalTable
from .batches import in_batches
from .config import StudentConfig
from .device.noise import NO_TRACKS, PREFIX, NoiseTracks
from .fake_quant import FakeQuantNet
from .fit import fit, seed_torch
from .parts import Arrays, Part
from .patchnet import PatchNet
from .splits import Folds
from .targets import make_targets
from .task_loss import task_loss

SOFT = "soft_logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentRequest:
    """Train on `train_folds`, predict `predict_folds`; `frames`: window lengths to predict with."""

    config: StudentConfig
    train_folds: Folds
    predict_folds: Folds
    frames: tuple[int, ...]
    seed: int


def student_part(
    request: StudentRequest,
    soft_logits: NDArray[np.float32],
    initial: Arrays | None = None,
    noise: Arrays | None = None,
    began: str = "",
) -> Part:
    """The part of a run that trains one student.

    initial: the state that it begins with. noise: the tracks of its patch (`NoiseTracks.arrays`), if it has one.
    began: what its name says of `initial`.
    """
    folds = "".join(map(str, request.train_folds))
    device = "" if request.config.augment.device is None else "-device"
    name = f"student-{folds}-seed{request.seed}{began}{device}"
    return Part(name, train_student, request, {SOFT: soft_logits, **(initial or {}), **(noise or {})})


def train_student(
    store: WindowStore, request: StudentRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train one student.

    Returns `<layer>.weight` and `<layer>.bias` with batch norm folded in, and for each of `frames`
    `logits_<frames>` float32 (records,), NaN outside predict_folds: the mean over the windows that a record
    gives, as the product answers.
    """
    config = request.config
    rows, held_out = store.rows_of(request.train_folds), store.rows_of(request.predict_folds)
    lesson = Lesson(store, rows, config, inputs[SOFT], NoiseTracks.of_arrays(inputs))
    seed_torch(request.seed)
    net = PatchNet(config.net, lesson.side_heads, config.dropout)
    initial = {
        name: torch.from_numpy(value)
        for name, value in inputs.items()
        if name != SOFT and not name.startswith(PREFIX)
    }
    if initial:
        net.load_state_dict(initial, strict=False)
    fit(net, rows, lambda batch: lesson.loss(net, batch), config.fit, seed=request.seed, snapshot=snapshot)
    signals = lesson.signals
    results: Arrays = {}
    for layer, (folded, bias) in net.folded_weights().items():
        results[f"{layer}.weight"], results[f"{layer}.bias"] = folded, bias
    for frames in request.frames:
        logits = np.full(len(store), np.nan, dtype=np.float32)
        logits[held_out] = record_logits(net, signals, held_out, frames)
        results[f"logits_{frames}"] = logits
    return results


class Lesson:
    """What a network is taught on the records `rows`: random views of lead I, and the loss on them.

    noise: the tracks of the patch that the views pass through, where the configuration has one.
    """

    def __init__(
        self,
        store: WindowStore,
        rows: NDArray[np.int64],
        config: StudentConfig,
        soft_logits: NDArray[np.float32],
        noise: NoiseTracks = NO_TRACKS,
    ) -> None:
        self._config, self._soft = config, torch.from_numpy(soft_logits)
        if not torch.isfinite(self._soft[torch.from_numpy(rows)]).all():
            raise ValueError("a training record has no soft label")
        self.signals = SignalTable(store, ("I",))
        if config.augment.device is not None:
            self.signals.put_on(config.augment.device, noise)
        self._targets = make_targets(store, rows, config.task.code_min_records)
        self._weight = self._targets.positive_weight(rows)

    @property
    def side_heads(self) -> dict[str, int]:
        """Side head -> number of outputs."""
        return self._targets.side_heads()

    def loss(self, net: nn.Module, batch: Tensor) -> Tensor:
        """Loss of `net` on the records `batch`."""
        return self.judge(net(self.signals.augmented_mv(batch, self._config.augment)), batch)

    def judge(self, outputs: dict[str, Tensor], batch: Tensor) -> Tensor:
        """Loss of what a network said of the records `batch`."""
        return task_loss(
            outputs,
            self._targets,
            batch,
            self._config.task,
            positive_weight=self._weight,
            soft_logits=self._soft,
        )


def record_logits(
    net: PatchNet | FakeQuantNet, signals: SignalTable, rows: NDArray[np.int64], frames: int
) -> NDArray[np.float32]:
    """MI logits float32 (len(rows),): mean over the windows of `frames` frames that each record holds."""
    spec = net.spec
    window = spec.receptive_field + spec.total_stride * (frames - 1)

    def logits(batch: Tensor) -> Tensor:
        records = signals.records_mv(batch)
        starts = range(0, records.shape[2] - window + 1, spec.hop_samples)
        return torch.stack([net(records[:, :, start : start + window])["mi"] for start in starts]).mean(0)

    return in_batches(rows, logits)


def folded_weights(
    part: Arrays, layers: tuple[str, ...]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The weights among a student's results, layer -> (weight, bias)."""
    return {layer: (part[f"{layer}.weight"], part[f"{layer}.bias"]) for layer in layers}
