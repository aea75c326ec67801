"""edge-mi info: what a bundle is, and whether it computes right on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

from edge_mi import strict
from edge_mi.bundle import Bundle
from edge_mi.cli.arguments import add_bundle, load_bundle
from edge_mi.errors import GoldenMismatch, MissingDependency
from edge_mi.figure_names import figure_name, question
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
    bundle = load_bundle(args.bundle)
    if args.html is not None:
        check_place(args.html)
    if not args.json:
        print(describe(bundle))
    if args.html is not None:
        page: str = import_module("edge_mi.export.look_inside").look_inside(bundle)
        write_file(args.html, page.encode())
        print(f"wrote {args.html}", file=sys.stderr)
    checks = _verify(bundle) if args.verify else {}
    if args.verify and not args.json:
        print(f"\n{_checks_table(checks)}")
    if args.json:
        document: dict[str, Any] = {"bundle": str(bundle.path), "model_id": bundle.model_id}
        document |= {key: value for key, value in strict.encode(bundle.info).items() if key != "signal"}
        if args.html is not None:
            document["html"] = str(args.html)
        if args.verify:
            document["verify"] = checks
        print(json.dumps(document, ensure_ascii=False))
    wrong = [c["result"] for c in checks.values() if c["result"] != "identical"]
    if wrong:
        raise GoldenMismatch("; ".join(wrong))
    return 0


def describe(bundle: Bundle) -> str:
    """The bundle as text."""
    info = bundle.info
    net, signal = info.net, info.signal
    point = bundle.operating_point()
    rows = [
        ["model", bundle.model_id],
        ["network", f"{len(net.convs)} convolutions, {net.parameters:,} parameters, {net.macs_window:,} MACs a window, "
                    f"{net.macs_hop:,} a hop"],
        ["window", f"{net.window_s:.2f} s at {net.rate_hz} Hz ({net.window_samples} samples, {net.frames} frames), "
                   f"a decision each {net.hop_s:g} s"],
        ["signal", f"{signal.band_hz[0]:g} to {signal.band_hz[1]:g} Hz, linear phase, {len(signal.fir)} taps, "
                   f"delay {signal.delay_s(net.rate_hz):.2f} s; from "
                   f"{', '.join(map(str, signal.supported_rates_hz()))} Hz"],
        ["input", f"int8, a step is {info.input.scale * 1000:.1f} µV, zero point {info.input.zero_point}"],
        ["calibration", f"{info.calibration.method}, holds at a prevalence of {info.calibration.prevalence:.1%} "
                        f"({info.calibration.fitted_on})"],
        ["threshold", f"{point.threshold:.3f} ({point.name}): sensitivity {point.sensitivity:.2f}, "
                      f"specificity {point.specificity:.2f} on {point.chosen_on}"],
        ["alarm", f"{info.alarm.on_count} positive windows in {info.alarm.span_s:g} s; released at "
                  f"{info.alarm.off_count}"],
        ["training data", "; ".join(f"{d.name} {d.version} ({d.licence}), {d.records} records of {d.patients} patients, "
                                    f"{d.selection}" for d in info.provenance.data)],
        ["made by", f"{info.provenance.command} at commit {info.provenance.commit}"],
    ]  # fmt: skip

    files = [[name, f"{entry.bytes:,}", entry.sha256[:16]] for name, entry in info.files.items()]
    parts = [info.notice, "", table(rows), "", table(files, header=["file", "bytes", "sha256"])]
    layers = info.layers
    parts += ["", f"LAYERS, {layers[0].values // prod(layers[0].shape)} synthetic windows, int8 beside float"]
    parts.append(layer_table(layers))
    shown = [metric for metric in info.metrics if metric.arithmetic == "int8"]
    for source in dict.fromkeys(metric.source for metric in shown):
        group = [
            [
                figure_name(m.name),
                question(m.task),
                f"{m.value:.3f}",
                "-" if m.interval is None else f"{m.interval[0]:.3f} to {m.interval[1]:.3f}",
                f"{m.n_positive}/{m.n}",
            ]
            for m in shown
            if m.source == source
        ]
        parts += ["", f"INT8, {source}", table(group, header=["figure", "question", "value", "95 %", "MI/n"])]
    if len(shown) < len(info.metrics):
        parts.append(
            f"({len(info.metrics) - len(shown)} more figures, of the float network and of age alone: --json)"
        )
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
