"""Ways to choose activation ranges, beside each other: what each costs a network in int8.

`python -m edge_mi.benchmarks.ranges CHECKPOINT --data STORE` calibrates on folds 1 to 7 and measures on fold 8.
The checkpoint should not have seen fold 8: `edge-mi train quick --folds 1-7 --test-fold 8`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edge_mi.checkpoint import Checkpoint
from edge_mi.files import write_file
from edge_mi.range_search import METHODS
from edge_mi.ranges import calibration_ranges
from edge_mi.store import WindowStore

from .int8_fold import auroc_document, difference_document, run_fold
from .measured_on import alignment_of

SCHEMA: Final = 1
RESULT: Final = Path(__file__).resolve().parent / "results" / "ranges.json"
CALIBRATION_FOLDS: Final = tuple(range(1, 8))
FOLD: Final = 8
COMMAND: Final = "make quantisation"


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, metavar="STORE")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    args = parser.parse_args()
    document = compare_ranges(Checkpoint.load(args.checkpoint), WindowStore.open(args.data))
    write_file(args.out, (json.dumps(document, indent=1) + "\n").encode())
    return 0


def compare_ranges(checkpoint: Checkpoint, store: WindowStore) -> dict[str, Any]:
    """The document: each method on fold 8."""
    info = checkpoint.info
    store.check_filter(info.signal)
    calibration, rows = store.rows_of(CALIBRATION_FOLDS), store.rows_of((FOLD,))
    methods: dict[str, Any] = {}
    float_auroc: dict[str, object] = {}
    for method in METHODS:
        ranges = calibration_ranges(store, calibration, info.net, checkpoint.weights, method)
        found = run_fold(Checkpoint(replace(info, ranges=ranges), checkpoint.weights), store, rows)
        float_auroc = auroc_document(store, rows, found.float_logits)
        methods[method] = {
            "described": ranges.method,
            "windows": len(ranges.window_ids),
            "frames_sqnr_db": found.frames_sqnr_db,
            "logits_sqnr_db": found.logits_sqnr_db,
            "saturated": found.saturated,
            "auroc_int8": auroc_document(store, rows, found.int8_logits),
            "int8_minus_float": difference_document(store, rows, found.int8_logits, found.float_logits),
        }
    return {
        "schema": SCHEMA,
        "network": info.net.name,
        "trained": info.provenance.data[0].selection,
        "alignment": alignment_of(info.provenance.command),
        "calibrated": f"{store.manifest.source.name}, folds {CALIBRATION_FOLDS[0]}-{CALIBRATION_FOLDS[-1]}",
        "measured": f"{store.manifest.source.name} fold {FOLD}, windows of the store, family fast",
        "n": len(rows),
        "n_positive": int(store.labels[rows].sum()),
        "auroc_float": float_auroc,
        "methods": methods,
        "command": COMMAND,
    }


if __name__ == "__main__":
    raise SystemExit(main())
