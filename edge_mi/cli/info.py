"""edge-mi info: what a bundle is, and whether it computes right on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi import strict
from edge_mi.bundle import Bundle
from edge_mi.bundle_rows import (
    METRIC_HEADER,
    identity_rows,
    metric_row,
    metrics_by_source,
    signature_facts,
)
from edge_mi.cli.arguments import add_bundle, load_bundle
from edge_mi.errors import GoldenMismatch, MissingDependency
from edge_mi.files import check_place, write_file
from edge_mi.golden import STAGES, match_golden
from edge_mi.runners.choose import available_runners, open_runner
from edge_mi.terminal import layer_table, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument(
        "--verify", action="store_true", help="replay the golden signals with every runner that is installed"
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page with histograms of weights and activations and the error of each layer",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args, warn=False)
    signature, fault = signature_facts(bundle)
    if args.html is not None:
        check_place(args.html)
        page: str = import_module("edge_mi.export.look_inside").look_inside(bundle)
        write_file(args.html, page.encode())
        print(f"wrote {args.html}", file=sys.stderr)
    if not args.json:
        print(describe(bundle))
    checks = _verify(bundle) if args.verify else {}
    if args.verify and not args.json:
        print(f"\n{_checks_table(checks)}")
    if args.json:
        document: dict[str, Any] = {"bundle": str(bundle.path), "model_id": bundle.model_id}
        document["signature"] = signature
        document |= {key: value for key, value in strict.encode(bundle.info).items() if key != "signal"}
        if args.html is not None:
            document["html"] = str(args.html)
        if args.verify:
            document["verify"] = checks
        print(json.dumps(document, ensure_ascii=False))
    if fault is not None:
        raise fault
    wrong = [c["result"] for c in checks.values() if c["result"] != "identical"]
    if wrong:
        raise GoldenMismatch("; ".join(wrong))
    return 0


def describe(bundle: Bundle) -> str:
    """The bundle as text."""
    info, layers = bundle.info, bundle.info.layers
    files = [[name, f"{entry.bytes:,}", entry.sha256[:16]] for name, entry in info.files.items()]
    parts = [
        info.notice,
        "",
        table(identity_rows(bundle)),
        "",
        table(files, header=["file", "bytes", "sha256"]),
    ]
    parts += ["", f"LAYERS, {layers[0].windows} synthetic windows, int8 beside float", layer_table(layers)]
    shown = [metric for metric in info.metrics if metric.arithmetic == "int8"]
    for source, group in metrics_by_source(shown).items():
        parts += ["", f"INT8, {source}", table([metric_row(m) for m in group], header=METRIC_HEADER)]
    if len(shown) < len(info.metrics):
        parts.append(f"({len(info.metrics) - len(shown)} more of the float network and of age alone: --json)")
    return "\n".join(parts)


def _verify(bundle: Bundle) -> dict[str, dict[str, Any]]:
    names = available_runners()
    if not names:
        raise MissingDependency("ai_edge_litert", extra="tflite")
    checks: dict[str, dict[str, Any]] = {}
    for name in names:
        runner = open_runner(bundle, name)
        match = match_golden(bundle, runner)
        checks[name] = {
            "library": runner.library,
            "family": runner.family,
            "matched": match.matched,
            "stages": match.stages,
            "signals": match.signals,
            "result": match.mismatch or "identical",
        }
    return checks


def _checks_table(checks: dict[str, dict[str, Any]]) -> str:
    """Runners in rows, stages in columns: whose values each gave."""
    first = next(iter(checks.values()))
    stages = [stage for stage in STAGES if stage in first["stages"]]
    rows = [
        [name, c["library"], c["family"], c["matched"], *(c["stages"][stage] for stage in stages)]
        for name, c in checks.items()
    ]
    header = ["runner", "library", "family", "matched", *(stage.replace("_", " ") for stage in stages)]
    return f"GOLDEN SIGNALS, {first['signals']} of them: whose values come out\n{table(rows, header=header)}"
