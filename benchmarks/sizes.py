"""PatchNet in its sizes: what parameters buy, against bytes, arena and multiply-accumulates.

Run by `make sizes` on trained checkpoints and cross-validations; every size is exported with all its checks. The
AUROC is that of cross-validated float networks; what int8 changes is measured on fold 9, which
weights, thresholds and ranges never saw.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, Final

from edge_mi.export.footprint import GraphMemory
from edge_mi.export.measured_export import export_measured
from edge_mi.export.targets import target_named
from edge_mi.export.tflm import MODULE

from edge_mi.bundle import FRONT_TFLITE, HEAD_TFLITE, TFLITE_INT8
from edge_mi.checkpoint import Checkpoint
from edge_mi.files import write_file
from edge_mi.netspec import SHIPPED_SIZE, SIZES
from edge_mi.optional import require

SCHEMA: Final = 1
COMMAND: Final = "make sizes"
TEST_FOLD: Final = 9
RESULT: Final = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "sizes.json"


def main() -> int:
    """Export and measure every size of the folder given on the command line, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", type=Path, help="folder with SIZE.safetensors and SIZE-cv.json for every size"
    )
    parser.add_argument("store", type=Path, help="window store that the networks were trained on")
    args = parser.parse_args()
    require(MODULE, extra="tflm")
    write_file(RESULT, (json.dumps(measure_sizes(args.runs, args.store), indent=1) + "\n").encode())
    return 0


def measure_sizes(runs: Path, store: Path) -> dict[str, Any]:
    """The document of the sizes, small to large."""
    validations = {size: json.loads((runs / f"{size}-cv.json").read_text(encoding="utf-8")) for size in SIZES}
    any_size = next(iter(validations.values()))
    rows = []
    arena_source = ""
    for size in sorted(SIZES, key=lambda name: SIZES[name].parameters):
        row, arena_source = _measure(size, runs / f"{size}.safetensors", validations[size], store)
        rows.append(row)
    return {
        "schema": SCHEMA,
        "command": COMMAND,
        "data": any_size["data"],
        "protocol": any_size["protocol"],
        "arena_source": arena_source,
        "sizes": rows,
    }


def _measure(
    size: str, checkpoint_path: Path, validation: dict[str, Any], store: Path
) -> tuple[dict[str, Any], str]:
    checkpoint = Checkpoint.load(checkpoint_path)
    net = checkpoint.info.net
    if net != SIZES[size]:
        raise ValueError(f"{checkpoint_path} holds {net.name}, {SIZES[size].name} expected")
    with tempfile.TemporaryDirectory() as folder:
        result = export_measured(
            checkpoint, Path(folder) / "bundle", store, test_fold=TEST_FOLD, target=target_named("generic")
        )
    assert result.target is not None
    graphs: dict[str, GraphMemory] = {graph.file: graph for graph in result.target.graphs}
    lost = next(metric for metric in result.bundle.info.metrics if metric.name == "auroc_int8_minus_float")
    auroc = next(
        figure
        for figure in validation["figures"]
        if (figure["subject"], figure["name"], figure["task"]) == ("lead_i", "auroc", "mi_vs_all")
    )
    row = {
        "size": size,
        "network": net.name,
        "channels": [conv.out_channels for conv in net.convs],
        "parameters": net.parameters,
        "auroc": {
            "arithmetic": "float",
            "value": auroc["value"],
            "interval": auroc["interval"],
            "sd": auroc["sd"],
            "networks": len(auroc["each"]),
            "n": auroc["n"],
            "n_positive": auroc["n_positive"],
            "command": validation["command"],
        },
        "minus_shipped": _minus_shipped(net.name, validation),
        "int8_minus_float": {
            "value": lost.value,
            "interval": list(lost.interval or ()),
            "n": lost.n,
            "n_positive": lost.n_positive,
            "source": lost.source,
        },
        "tflite_bytes": graphs[TFLITE_INT8].file_bytes,
        "arena_bytes": {
            "whole": graphs[TFLITE_INT8].arena_bytes,
            "front": graphs[FRONT_TFLITE].arena_bytes,
            "head": graphs[HEAD_TFLITE].arena_bytes,
        },
        "macs_window": net.macs_window,
        "macs_hop": net.macs_hop,
    }
    return row, result.target.arena_source


def _minus_shipped(name: str, validation: dict[str, Any]) -> dict[str, Any] | None:
    """Difference of AUROC to the size that ships, network by network on the same records; None for that size."""
    subject = f"{name} minus {SIZES[SHIPPED_SIZE].name}"
    found = [figure for figure in validation["figures"] if figure["subject"] == subject]
    return {key: found[0][key] for key in ("value", "interval", "sd")} if found else None


if __name__ == "__main__":
    raise SystemExit(main())
