"""Models side by side on one fold of PTB-XL that none of them saw, each heard through its own detector."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edge_mi.export.bundle_writer import write_unchecked
from edge_mi.export.quantise import quantise
from edge_mi.train.data.ptbxl import read_table
from numpy.typing import NDArray

from edge_mi.bundle import Bundle
from edge_mi.checkpoint import Checkpoint
from edge_mi.data_folder import data_folder
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError, EdgeMIError
from edge_mi.files import check_place, write_file
from edge_mi.metrics import Interval, bootstrap_auroc, bootstrap_auroc_difference
from edge_mi.records import Record, read_record
from edge_mi.score import score_signal
from edge_mi.segment import Segment
from edge_mi.shipped import shipped_bundle
from edge_mi.store import LabelledRecords, RecordTable

SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class Fold(LabelledRecords):
    """The records of a fold with lead I as their files hold it, in the same order."""

    number: int
    records: RecordTable
    signals: tuple[Record, ...]
    label_rule: str


@dataclass(frozen=True, slots=True)
class Model:
    """A named model and the detector that answers for it."""

    name: str
    detector: Detector

    @property
    def bundle(self) -> Bundle:
        """What the detector runs."""
        return self.detector.bundle

    def document(self) -> dict[str, str]:
        """What a result says of the model."""
        return {
            "name": self.name,
            "model_id": self.bundle.model_id,
            "trained_by": self.bundle.info.provenance.command,
        }


@dataclass(frozen=True, slots=True)
class Heard:
    """What one record got: the mean logit of the answered windows, and of all of them with the gate ignored.

    answered: None where no window was. windows: answered, and all that were full.
    """

    answered: float | None
    ungated: float | None
    windows: tuple[int, int]


def read_fold(folder: Path, number: int, rate_hz: int = 100) -> Fold:
    """Lead I of every record of a fold in the PTB-XL `folder`. Raises ConfigError where there is none."""
    table = read_table(folder, rate_hz)
    chosen = [i for i, record in enumerate(table.records) if record.fold == number]
    if not chosen:
        raise ConfigError(f"{folder} has no record of fold {number}; choose one of folds 1 to 9")
    return Fold(
        number,
        RecordTable.of(table.records[i] for i in chosen),
        tuple(read_record(table.paths[i]) for i in chosen),
        table.label_rule,
    )


@contextmanager
def open_models(words: Sequence[str], fold: Fold) -> Iterator[list[Model]]:
    """Models written as NAME=PATH, a checkpoint or a bundle each; the one that ships for no words.

    A checkpoint is quantised as it is. Raises ConfigError for words of another form, two of one name, or a model
    whose ranges were measured on records of the fold.
    """
    named = [word.partition("=") for word in words] or [(SHIPPED, "=", str(shipped_bundle()))]
    names = [name for name, _, _ in named]
    if any(not (name and path) for name, _, path in named) or len(set(names)) < len(names):
        raise ConfigError(f"models {', '.join(words)}; expected NAME=PATH, each name once")
    with tempfile.TemporaryDirectory() as scratch:
        models = []
        for name, _, path in named:
            bundle = _bundle(Path(path), Path(scratch) / name)
            seen = set(bundle.info.ranges.window_ids) & {record.record_id for record in fold.records}
            if seen:
                raise ConfigError(
                    f"{name} was trained on fold {fold.number} ({len(seen)} of its records gave it ranges): "
                    "choose another --fold"
                )
            models.append(Model(name, Detector(bundle)))
        yield models


def measure_fold(
    about: str | None,
    result: Path,
    measure: Callable[[Fold, list[Model], argparse.Namespace], dict[str, Any]],
    options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> int:
    """The command line of a benchmark on one fold: its models, the fold, the data, and `options`; exit code.

    about: the help text. result: where the document of `measure` goes without --out.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "models", nargs="*", metavar="NAME=MODEL", help="checkpoint or bundle (default: the shipped)"
    )
    parser.add_argument("--fold", type=int, default=9, help="fold of PTB-XL that no model saw (default: 9)")
    parser.add_argument("--data", type=Path, help="folder of PTB-XL (default: ptbxl in $EDGE_MI_DATA)")
    options(parser)
    parser.add_argument("--out", type=Path, default=result, metavar="FILE")
    args = parser.parse_args()
    try:
        check_place(args.out)
        fold = read_fold(args.data or data_folder("ptbxl"), args.fold)
        with open_models(args.models, fold) as models:
            document = measure(fold, models, args)
    except EdgeMIError as exc:
        print(f"edge-mi: {exc}", file=sys.stderr)
        return exc.exit_code
    write_file(args.out, (json.dumps(document, indent=1) + "\n").encode())
    return 0


def hear(model: Model, signal: Record) -> Heard:
    """Score a record as the product does, and once more without the gate where the gate refused a window."""
    score = score_signal(model.detector, signal, signal.name)
    windows = (score.windows_answered, score.windows_total)
    if score.logit is not None and windows[0] == windows[1]:
        return Heard(score.logit, score.logit, windows)
    return Heard(score.logit, ungated_logit(model, signal), windows)


def ungated_logit(model: Model, signal: Record) -> float | None:
    """Mean logit over every full window, whatever its quality; None for a record shorter than one."""
    info, runner = model.bundle.info, model.detector.runner
    first = info.net.window_samples % info.net.hop_samples or info.net.hop_samples
    segment = Segment(
        info.signal, info.net, signal.rate_hz, start_index=0, first_due=first, before="warming_up"
    )
    logits = []
    for due in [*segment.push(signal.samples_mv.astype(np.float64)), *segment.close()]:
        if due.window is not None:
            codes = info.input.quantise(due.window)
            logits.append(model.bundle.logit(int(segment.ring.logits(runner, codes, due.position)[0])))
    return sum(logits) / len(logits) if logits else None


def auroc_document(
    fold: Fold, logits: NDArray[np.float64], minus: NDArray[np.float64] | None = None
) -> dict[str, object] | None:
    """AUROC of logits (records,), or its paired difference, among records where none is NaN; None for one class."""
    known = np.isfinite(logits) if minus is None else np.isfinite(logits) & np.isfinite(minus)
    labels, patients = fold.labels[known], fold.patients[known]
    if not 0 < labels.sum() < len(labels):
        return None
    found: Interval = (
        bootstrap_auroc(labels, logits[known], patients)
        if minus is None
        else bootstrap_auroc_difference(labels, logits[known], minus[known], patients)
    )
    return {
        "value": found.value,
        "interval": [found.low, found.high],
        "n": found.n,
        "n_positive": found.n_positive,
    }


def _bundle(path: Path, scratch: Path) -> Bundle:
    if path.is_dir():
        return Bundle.load(path)
    checkpoint = Checkpoint.load(path)
    scratch.mkdir()
    bundle: Bundle
    bundle, _, _ = write_unchecked(checkpoint, quantise(checkpoint), scratch)
    return bundle
