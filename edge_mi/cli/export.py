"""edge-mi export --int8: a checkpoint becomes a bundle that computes the same everywhere, or nothing is written."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi import strict
from edge_mi.checkpoint import Checkpoint, Metric
from edge_mi.errors import ConfigError, ExportDisagreement
from edge_mi.range_search import METHODS
from edge_mi.shipped import shipped_checkpoint
from edge_mi.terminal import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        nargs="?",
        type=Path,
        metavar="CHECKPOINT",
        help="checkpoint (default: the one that ships)",
    )
    parser.add_argument("--int8", action="store_true", help="full integer: int8 in, int8 out (required)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("edge-mi-bundle"),
        metavar="DIR",
        help="folder to write (default: edge-mi-bundle)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="STORE", help="window store: recalibrate on it and measure against it"
    )
    parser.add_argument(
        "--test-fold", type=int, metavar="N", help="fold of the store to measure on (default: its last)"
    )
    parser.add_argument(
        "--ranges", choices=METHODS,
        help="with --data: how activation ranges are chosen (default: percentile, or those learned in training)",
    )  # fmt: skip
    parser.add_argument(
        "--hop",
        type=float,
        metavar="S",
        help="time between two decisions, a multiple of the stride (default: the checkpoint's)",
    )
    parser.add_argument(
        "--limits",
        type=Path,
        metavar="FILE",
        help="JSON with family_decisions, float_decisions and auroc_difference (default: 0.005, 0.02, 0.005)",
    )
    parser.add_argument("--force", action="store_true", help="replace the folder if it exists")
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def run(args: argparse.Namespace) -> int:
    if not args.int8:
        raise ConfigError("export writes int8 bundles: say so with --int8")
    if args.ranges is not None and args.data is None:
        raise ConfigError(
            f"--ranges {args.ranges} needs records to measure on: give --data STORE, or leave it out to use the "
            "checkpoint's ranges"
        )
    checkpoint = Checkpoint.load(args.checkpoint if args.checkpoint is not None else shipped_checkpoint())
    if args.hop is not None:
        checkpoint = checkpoint.with_hop(args.hop)
    writer: Any = import_module("edge_mi.export.bundle_writer")
    print(f"exporting {checkpoint.info.net.name} to {args.out}", file=sys.stderr)
    limits = _limits(args.limits)
    try:
        if args.data is None:
            result = writer.export_bundle(checkpoint, args.out, force=args.force, limits=limits)
        else:
            measured: Any = import_module("edge_mi.export.measured_export")
            result = measured.export_measured(
                checkpoint,
                args.out,
                args.data,
                test_fold=args.test_fold,
                ranges=args.ranges,
                force=args.force,
                limits=limits,
            )
    except ExportDisagreement as exc:
        if exc.table is not None:
            print(exc.table)
        raise
    print(json.dumps(_document(result)) if args.json else _page(result))
    return 0


def _limits(path: Path | None) -> Any:
    if path is None:
        return None
    kind: Any = import_module("edge_mi.export.agreement").AgreementLimits
    try:
        return strict.loads(path.read_text(encoding="utf-8"), kind)
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (strict.DocumentError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def _auroc(result: Any) -> dict[str, Any]:
    metrics: tuple[Metric, ...] = result.bundle.info.metrics
    chosen = {
        kind: next(
            (m for m in metrics if m.name == "auroc" and m.task == "mi_vs_all" and m.arithmetic == kind), None
        )
        for kind in ("float", "int8")
    }
    best = chosen["int8"] or chosen["float"]
    return {
        "float": chosen["float"].value if chosen["float"] else None,
        "int8": chosen["int8"].value if chosen["int8"] else None,
        "n": best.n if best else None,
        "interval": list(best.interval) if best and best.interval else None,
        "source": best.source if best else None,
    }


def _document(result: Any) -> dict[str, Any]:
    info = result.bundle.info
    return {
        "schema": 1,
        "bundle": str(result.bundle.path),
        "model_id": result.bundle.model_id,
        "files": {name: strict.encode(entry) for name, entry in info.files.items()},
        "parameters": info.net.parameters,
        "macs_window": info.net.macs_window,
        "macs_hop": info.net.macs_hop,
        "agreement": {name: strict.encode(pair) for name, pair in result.agreement.items()},
        "auroc": _auroc(result),
    }


def _page(result: Any) -> str:
    document = _document(result)
    operators = {
        name: " ".join(f"{n} {kind}" for kind, n in found.items()) for name, found in result.operators.items()
    }
    files = [
        [name, f"{entry['bytes']:,}", operators.get(name, "")] for name, entry in document["files"].items()
    ]
    pairs = []
    for name, pair in document["agreement"].items():
        identical = "-" if pair["identical"] is None else f"{pair['identical']:.3%}"
        pairs.append(
            [
                name,
                identical,
                f"{pair['values']:,}",
                f"{pair['max_lsb']:g}",
                f"{pair['max_probability']:.4f}",
                f"{max(pair['decisions_differ'].values()):.2%}",
            ]
        )
    auroc = document["auroc"]
    lines = [
        table(files, header=["file", "bytes", "operators inside"]),
        "",
        f"{document['parameters']:,} parameters, {document['macs_window']:,} MACs a window, {document['macs_hop']:,} a hop "
        f"of {result.bundle.info.net.hop_s:g} s ({document['macs_hop'] / document['macs_window']:.1%})",
        "",
        table(
            pairs,
            header=["agreement", "identical", "values", "max steps", "max probability", "decisions differ"],
        ),
        "",
    ]
    if auroc["int8"] is None and auroc["float"] is None:
        lines.append("AUROC: not known; the checkpoint carries none. Measure it with --data STORE.")
    else:
        values = ", ".join(
            f"{kind} {auroc[kind]:.4f}" for kind in ("float", "int8") if auroc[kind] is not None
        )
        interval = auroc["interval"]
        spread = f" (95 % {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        lines.append(f"AUROC, MI against all others: {values}{spread}, n = {auroc['n']}, {auroc['source']}")
    lines += ["", f"wrote {document['bundle']} ({document['model_id']})"]
    return "\n".join(lines)
