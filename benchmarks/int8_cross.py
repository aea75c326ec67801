"""The networks of the cross-validation in int8, through the stream: what the device's arithmetic costs on folds 1 to 9.

`python -m edge_mi.benchmarks.int8_cross --run DIR --data STORE`, with the run folder of `edge-mi train cv`, whose networks
serve again. Each is quantised with ranges of its own training folds and hears the records that it did not see as a patch
would send them: lead I of their files, sample by sample through the signal chain, every window judged whatever its
quality. Run by `make model`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.export.bundle_writer import write_unchecked
from edge_mi.export.quantise import quantise
from edge_mi.train.bootstrap import RESAMPLES
from edge_mi.train.config import Recipe
from edge_mi.train.crossfit import (
    all_folds,
    merge_folds,
    outer_splits,
    soft_labels,
    train_students,
    with_inner,
)
from edge_mi.train.crossvalidate import FRAMES
from edge_mi.train.data.ptbxl import read_table
from edge_mi.train.finetune import folded_weights
from edge_mi.train.fold_figures import Figure, Logits, Measure
from edge_mi.train.parts import Arrays, RunFolder, open_store
from edge_mi.train.provenance import commit
from edge_mi.train.splits import CROSS_VALIDATION_GROUPS, Folds

from edge_mi import strict
from edge_mi.checkpoint import Checkpoint
from edge_mi.data_folder import data_folder
from edge_mi.detector import Detector
from edge_mi.errors import EdgeMIError
from edge_mi.files import check_place, write_file
from edge_mi.progress import Progress
from edge_mi.ranges import calibration_ranges
from edge_mi.records import read_record
from edge_mi.shipped import shipped_checkpoint
from edge_mi.workers import WorkerPool

from .fold_models import Model, ungated_logit

SCHEMA: Final = 1
RESULT: Final = Path(__file__).resolve().parent / "results" / "int8_cross.json"
SEEDS: Final = tuple(range(6))
COMMAND: Final = "python -m edge_mi.benchmarks.int8_cross"
_WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Job:
    """A network of the cross-validation and the folds that it did not see."""

    network: Arrays
    train: Folds
    held_out: Folds


def main() -> int:
    """Quantise, stream, measure and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", type=Path, required=True, metavar="STORE")
    parser.add_argument("--records", type=Path, help="folder of PTB-XL (default: ptbxl in $EDGE_MI_DATA)")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    args = parser.parse_args()
    try:
        check_place(args.out)
        document = measure(RunFolder(args.run, args.data), args.records or data_folder("ptbxl"))
    except EdgeMIError as exc:
        print(f"edge-mi: {exc}", file=sys.stderr)
        return exc.exit_code
    write_file(args.out, strict.dumps(document).encode())
    return 0


def measure(run: RunFolder, folder: Path) -> dict[str, Any]:
    """The document: figures of the int8 networks, and of them minus the same in float."""
    recipe, groups = Recipe(), CROSS_VALIDATION_GROUPS
    networks, splits = _networks(run, recipe)
    key = f"logits_{recipe.student.net.frames}"
    jobs = [Job(part, *split) for seed in networks for part, split in zip(seed, splits, strict=True)]
    with WorkerPool(_WORKERS) as pool, Progress(len(jobs), "int8 networks") as progress:
        heard = []
        for logits in pool.in_order(partial(stream, run.store_path, folder), jobs):
            heard.append(logits)
            progress.advance()
    held_out = [group for _, group in splits]
    own = [
        merge_folds(run.store, zip(held_out, [part[key] for part in seed], strict=True)) for seed in networks
    ]
    n = len(splits)
    int8 = [
        merge_folds(run.store, zip(held_out, heard[i : i + n], strict=True)) for i in range(0, len(heard), n)
    ]
    store = run.store
    judged = Measure(store, store.rows_of(all_folds(groups)), groups, RESAMPLES)
    figures: list[Figure] = [
        *judged.rankings("lead_i_int8", int8),
        *judged.difference("lead_i_int8 minus lead_i", int8, own),
    ]
    source = store.manifest.source
    return {
        "schema": SCHEMA,
        "data": f"{source.name} {source.version}, {source.selection}",
        "label_rule": source.label_rule,
        "network": recipe.student.net.name,
        "seeds": SEEDS,
        "figures": [strict.encode(each) for each in figures],
        "command": COMMAND,
        "commit": commit(),
    }


def _networks(run: RunFolder, recipe: Recipe) -> tuple[list[list[Arrays]], list[tuple[Folds, Folds]]]:
    """For each seed the networks of the splits, as `edge-mi train cv` trains them, and the splits."""
    splits = outer_splits(CROSS_VALIDATION_GROUPS)
    # what `cross_validate` asks of teachers and students, so that its parts serve again
    soft = soft_labels(run, recipe, with_inner(splits), "inner 12-lead teachers")[: len(splits)]
    frames = (*FRAMES, recipe.student.net.frames)
    return train_students(run, recipe, splits, soft, SEEDS, frames, "lead-I networks"), splits


def stream(store_path: Path, folder: Path, job: Job) -> Logits:
    """Mean logit over the windows of each record of the held-out folds, float32 (records,); NaN elsewhere."""
    store = open_store(store_path)
    shipped = Checkpoint.load(shipped_checkpoint())
    net = shipped.info.net
    weights = folded_weights(job.network, net.layer_names)
    ranges = calibration_ranges(store, store.rows_of(job.train), net, weights, Recipe().ranges)
    checkpoint = Checkpoint(replace(shipped.info, ranges=ranges), weights)
    rows = store.rows_of(job.held_out)
    table = read_table(folder, 100)
    paths = dict(zip((each.record_id for each in table.records), table.paths, strict=True))
    logits = np.full(len(store), np.nan, dtype=np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        bundle, _, _ = write_unchecked(checkpoint, quantise(checkpoint), Path(scratch))
        model = Model("int8", Detector(bundle))
        for row, name in zip(rows, store.ids_of(rows), strict=True):
            logits[row] = ungated_logit(model, read_record(paths[name]))
    return logits


if __name__ == "__main__":
    raise SystemExit(main())
