"""One network goes on training in int8 arithmetic, from folded float weights: quantisation-aware training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import QuantParams
from edge_mi.checkpoint import LEARNED, Range, Ranges
from edge_mi.float_model import HEAD_MARGIN, Weights
from edge_mi.int8_grid import exact_range
from edge_mi.store import WindowStore

from .config import QatConfig, StudentConfig
from .fake_quant import EMA_DECAY, FakeQuantNet
from .finetune import SOFT, Lesson, record_logits
from .fit import fit, seed_torch, total_steps
from .parts import Arrays, Part
from .splits import Folds

SEED_OFFSET: Final = 500
METHOD: Final = (
    f"{LEARNED}: scales learned with the weights, from running averages of extremes (decay {EMA_DECAY:g}); "
    f"head: averaged extremes with a margin of {HEAD_MARGIN:.0%}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QatRequest:
    """Go on on `train_folds`, predict `predict_folds`; `quantised` off trains the same weights in float."""

    config: QatConfig
    student: StudentConfig
    train_folds: Folds
    predict_folds: Folds
    seed: int
    quantised: bool = True


def qat_part(request: QatRequest, soft_logits: NDArray[np.float32], weights: Weights) -> Part:
    """The part of a run that goes on with the network of `weights`."""
    folds = "".join(map(str, request.train_folds))
    kind = "qat" if request.quantised else "float"
    initial = {f"{layer}.{i}": array for layer, pair in weights.items() for i, array in enumerate(pair)}
    return Part(f"{kind}-{folds}-seed{request.seed}", train_further, request, {SOFT: soft_logits, **initial})


def train_further(
    store: WindowStore, request: QatRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """Train one network further, with the loss of the fine-tuning stage; its side heads begin anew.

    Returns `<layer>.weight` and `<layer>.bias`; `logits_float` float32 (records,), NaN outside predict_folds;
    and, if quantised, `logits_int8` likewise and for each tensor `<tensor>.scale` and `<tensor>.zero_point`.
    """
    config, student = request.config, request.student
    rows, held_out = store.rows_of(request.train_folds), store.rows_of(request.predict_folds)
    lesson = Lesson(store, rows, student, inputs[SOFT])
    weights = {layer: (inputs[f"{layer}.0"], inputs[f"{layer}.1"]) for layer in student.net.layer_names}
    seed = request.seed + SEED_OFFSET
    seed_torch(seed)
    steps = total_steps(len(rows), config.fit)
    net = FakeQuantNet(
        student.net,
        weights,
        side_heads=lesson.side_heads,
        dropout=student.dropout,
        warmup_steps=max(int(config.warmup * steps), 1),
        quantised=request.quantised,
    )
    fit(net, rows, lambda batch: lesson.loss(net, batch), config.fit, seed=seed, snapshot=snapshot)
    results: Arrays = {}
    for layer, (weight, bias) in net.float_weights().items():
        results[f"{layer}.weight"], results[f"{layer}.bias"] = weight, bias
    if request.quantised:
        net.freeze()
        for name, params in net.params().items():
            results[f"{name}.scale"] = np.array(params.scale)
            results[f"{name}.zero_point"] = np.array(params.zero_point)
        results["logits_int8"] = _logits(net, lesson, store, held_out)
    net.quantised = False
    results["logits_float"] = _logits(net, lesson, store, held_out)
    return results


def learned_ranges(part: Arrays, ids: list[str]) -> Ranges:
    """The ranges among the results of a quantised part, learned on the records `ids`."""
    tensors: dict[str, Range] = {}
    for key in part:
        name, _, what = key.rpartition(".")
        if what == "scale":
            params = QuantParams(scale=float(part[key]), zero_point=int(part[f"{name}.zero_point"]))
            tensors[name] = exact_range(params)
    return Ranges(method=METHOD, tensors=tensors, window_ids=tuple(ids))


def _logits(
    net: FakeQuantNet, lesson: Lesson, store: WindowStore, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    logits = np.full(len(store), np.nan, dtype=np.float32)
    logits[rows] = record_logits(net, lesson.signals, rows, net.spec.frames)
    return logits
