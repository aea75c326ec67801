"""The model that ships: measure a trained checkpoint as the product answers, and put it into the package.

Run by `make model`, after `edge-mi train quick`. Nothing is chosen here.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from edge_mi.export.bundle_writer import export_bundle, write_unchecked
from edge_mi.export.measured_export import measure_fold
from edge_mi.export.quantise import quantise

from edge_mi.checkpoint import Checkpoint
from edge_mi.data_folder import data_folder
from edge_mi.files import write_file
from edge_mi.store import WindowStore

from .accuracy import stream_fold, stream_metrics

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "edge_mi" / "shipped"
RESULTS = ROOT / "benchmarks" / "results"
COMMAND = "make model"
TEST_FOLD = 9


def main() -> int:
    """Measure and export the checkpoint given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--cross-validation", type=Path, help="result of edge-mi train cv, to keep in the results"
    )
    parser.add_argument("--store", type=Path, required=True, help="window store that it was trained on")
    args = parser.parse_args()
    data, store = data_folder("ptbxl"), WindowStore.open(args.store)
    trained = Checkpoint.load(args.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        draft, _, _ = write_unchecked(trained, quantise(trained), Path(folder))
        int8 = stream_metrics(draft, stream_fold(draft, data, TEST_FOLD), COMMAND)
        lost = [
            m for m in measure_fold(draft, store, TEST_FOLD, COMMAND) if m.name == "auroc_int8_minus_float"
        ]
    metrics = (*trained.info.metrics, *int8, *lost)
    shipped = Checkpoint(replace(trained.info, metrics=metrics), trained.weights)
    shipped.save(SHIPPED / "patchnet-67k.safetensors")
    export_bundle(shipped, SHIPPED / "bundle", force=True)
    if args.cross_validation is not None:
        write_file(RESULTS / "cross_validation.json", args.cross_validation.read_bytes())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
