"""Records of 10 s joined to one long stream: does the network answer in the middle of a stream as on a record alone?

`python -m edge_mi.benchmarks.spliced [NAME=MODEL ...] [--fold N]`. A record alone is extended at its ends by
reflection, since the band-pass reaches 1.9 s beyond every sample; in a stream its neighbours stand there. Counted are
the decisions whose window lies wholly within one record (of 10 s and 9.83 s: one a record). The filter's own reach
cannot lie within a record as well, so what follows is the neighbour of another patient: worse than any stream of one
heart. `level` moves each record so that it begins where the last one ended, as an unbroken stream does; `raw` leaves
the step between two baselines in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from edge_mi.detector import Answer
from edge_mi.errors import ConfigError
from edge_mi.progress import Progress
from edge_mi.score import score_signal
from edge_mi.sources import chunks_of

from .fold_models import Fold, Model, auroc_document, measure_fold

Joint: TypeAlias = Literal["level", "raw"]

SCHEMA: Final = 1
RESULT: Final = Path(__file__).resolve().parent / "results" / "spliced.json"
COMMAND: Final = "make noise"
ORDER_SEED: Final = 0


def main() -> int:
    """Measure what the command line names, and write the result."""
    return measure_fold(__doc__, RESULT, lambda fold, models, _: splice_fold(fold, models))


def splice_fold(fold: Fold, models: list[Model]) -> dict[str, Any]:
    """The document: each model on the records alone and in a stream, joined both ways."""
    order = np.random.default_rng(ORDER_SEED).permutation(len(fold.records))
    rows = []
    for model in models:
        alone = _alone(fold, model)
        for joint in get_args(Joint):
            inside = spliced_logits(fold, model, order, joint)
            rows.append({"model": model.name, "joint": joint, **_compared(fold, model, alone, inside)})
    return {
        "schema": SCHEMA,
        "command": COMMAND,
        "data": f"PTB-XL fold {fold.number}, lead I at {fold.signals[0].rate_hz:g} Hz, one stream in random order",
        "label_rule": fold.label_rule,
        "fold": fold.number,
        "n": len(fold.records),
        "n_positive": int(fold.labels.sum()),
        "patients": len(set(fold.patients)),
        "models": [model.document() for model in models],
        "streams": rows,
    }


def splice(fold: Fold, order: NDArray[np.int64], joint: Joint) -> NDArray[np.float64]:
    """The records in `order` as one signal, float64 (n,), millivolts. Raises ConfigError for several rates."""
    if len({signal.rate_hz for signal in fold.signals}) > 1:
        raise ConfigError("records of several rates cannot be joined to one stream")
    pieces, level = [], 0.0
    for i in order:
        samples = fold.signals[i].samples_mv.astype(np.float64)
        if joint == "level":
            samples = samples - samples[0] + level
            level = float(samples[-1])
        pieces.append(samples)
    return np.concatenate(pieces)


def spliced_logits(fold: Fold, model: Model, order: NDArray[np.int64], joint: Joint) -> NDArray[np.float64]:
    """Mean logit of each record's own windows in the stream, float64 (records,), NaN where none was answered."""
    rate_hz = fold.signals[0].rate_hz
    ends_s = np.cumsum([len(fold.signals[i].samples_mv) for i in order]) / rate_hz
    starts_s = np.concatenate([[0.0], ends_s[:-1]])
    answers: list[Answer] = []
    for chunk in chunks_of(splice(fold, order, joint), rate_hz):
        answers += model.detector.answers(chunk)
    answers += model.detector.close_answers()
    own: list[list[float]] = [[] for _ in fold.records]
    length_s, exact_s = model.bundle.info.net.window_s, 1e-6
    for answer in answers:
        if answer.logit is None:
            continue
        at = int(np.searchsorted(ends_s, answer.decision.t_s - exact_s))
        if answer.decision.t_s - length_s >= starts_s[at] - exact_s:
            own[int(order[at])].append(answer.logit)
    return np.array([np.mean(logits) if logits else np.nan for logits in own])


def _alone(fold: Fold, model: Model) -> NDArray[np.float64]:
    logits = []
    with Progress(len(fold.records), f"{model.name}, records alone") as progress:
        for signal in fold.signals:
            logit = score_signal(model.detector, signal, signal.name).logit
            logits.append(np.nan if logit is None else logit)
            progress.advance()
    return np.array(logits, dtype=np.float64)


def _compared(
    fold: Fold, model: Model, alone: NDArray[np.float64], inside: NDArray[np.float64]
) -> dict[str, Any]:
    both = np.isfinite(alone) & np.isfinite(inside)
    moved = np.abs(inside[both] - alone[both])
    threshold = model.detector.operating_point.threshold
    positive = [
        np.array([model.bundle.probability(float(logit)) >= threshold for logit in logits[both]])
        for logits in (alone, inside)
    ]
    return {
        "answered_alone": int(np.isfinite(alone).sum()),
        "answered_in_stream": int(np.isfinite(inside).sum()),
        "auroc_alone": auroc_document(fold, np.where(both, alone, np.nan)),
        "auroc_in_stream": auroc_document(fold, np.where(both, inside, np.nan)),
        "difference": auroc_document(fold, inside, alone),
        "logit_moved": {
            "median": float(np.median(moved)),
            "p95": float(np.percentile(moved, 95)),
            "max": float(moved.max()),
        },
        "logit_sd": float(alone[both].std()),
        "decisions_changed": int((positive[0] != positive[1]).sum()),
    }


if __name__ == "__main__":
    raise SystemExit(main())
