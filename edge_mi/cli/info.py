"""edge-mi info: what a bundle is, and whether it computes right on this machine."""

from __future__ import annotations

import argparse
import json
from typing import Any

from edge_mi import strict
from edge_mi.bundle import Bundle
from edge_mi.cli.arguments import add_bundle, load_bundle
from edge_mi.errors import GoldenMismatch, MissingDependency, SignatureError
from edge_mi.figure_names import figure_name, question
from edge_mi.golden import verify_golden
from edge_mi.runners.choose import available_runners, open_runner
from edge_mi.signature import KEY_BYTES, PublicKey, check_signature
from edge_mi.terminal import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument(
        "--verify", action="store_true", help="replay the golden signals with every runner that is installed"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args)
    signature, fault = _signature(bundle)
    if not args.json:
        print(describe(bundle))
    checks = _verify(bundle) if args.verify else {}
    if args.verify and not args.json:
        print("\nGOLDEN SIGNALS")
        print(table([[name, c["library"], c["family"], c["result"]] for name, c in checks.items()],
                    header=["runner", "library", "family", "result"]))  # fmt: skip
    if args.json:
        document: dict[str, Any] = {"bundle": str(bundle.path), "model_id": bundle.model_id}
        document["signature"] = signature
        document |= {key: value for key, value in strict.encode(bundle.info).items() if key != "signal"}
        if args.verify:
            document["verify"] = checks
        print(json.dumps(document, ensure_ascii=False))
    if fault is not None:
        raise fault
    wrong = [f"{name}: {c['result']}" for name, c in checks.items() if c["result"] != "identical"]
    if wrong:
        raise GoldenMismatch("; ".join(wrong))
    return 0


def _signature(bundle: Bundle) -> tuple[dict[str, Any] | None, SignatureError | None]:
    """Who a bundle's signature says that it is from and whether it fits (None: not known), and what is wrong."""
    if bundle.signature is None:
        return None, None
    named = bundle.signature[:KEY_BYTES]
    key = PublicKey(named).fingerprint if len(named) == KEY_BYTES else None
    try:
        check_signature(bundle.document, bundle.signature)
    except SignatureError as exc:
        return {"key": key, "valid": False}, SignatureError(f"{bundle.path}: {exc}")
    except MissingDependency:
        return {"key": key, "valid": None}, None
    return {"key": key, "valid": True}, None


def _signature_row(bundle: Bundle) -> str:
    signature, _ = _signature(bundle)
    if signature is None:
        return "none"
    words = {
        True: "fits what it signs; --require-signed KEY makes sure of the key",
        False: "DOES NOT FIT: changed since it was signed",
        None: "not checked: pip install 'edge-mi[sign]'",
    }
    return f"by key {signature['key'] or '?'}, {words[signature['valid']]}"


def describe(bundle: Bundle) -> str:
    """The bundle as text."""
    info = bundle.info
    net, signal = info.net, info.signal
    point = bundle.operating_point()
    rows = [
        ["model", bundle.model_id],
        ["signature", _signature_row(bundle)],
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


def _verify(bundle: Bundle) -> dict[str, dict[str, str]]:
    names = available_runners()
    if not names:
        raise MissingDependency("ai_edge_litert", extra="tflite")
    checks = {}
    for name in names:
        runner = open_runner(bundle, name)
        try:
            verify_golden(bundle, runner)
            result = "identical"
        except GoldenMismatch as exc:
            result = str(exc)
        checks[name] = {"library": runner.library, "family": runner.family, "result": result}
    return checks
