"""edge-mi export --int8: a checkpoint becomes a bundle that computes the same everywhere, or nothing is written."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi import strict
from edge_mi.bundle_rows import polarity_row
from edge_mi.checkpoint import Checkpoint, Metric
from edge_mi.cli.target_page import target_lines
from edge_mi.errors import ConfigError, ExportDisagreement
from edge_mi.firmware import Firmware
from edge_mi.range_search import METHODS
from edge_mi.shipped import shipped_checkpoint
from edge_mi.signature import SIGNATURE, SigningKey
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
        "--to",
        action="append",
        choices=("c", "tflm"),
        default=[],
        help="also write C99 code for firmware (c), or the graphs as C arrays for TensorFlow Lite Micro (tflm)",
    )
    parser.add_argument("--rate", type=int, metavar="HZ", help="rate of the sensor, for --to c")
    parser.add_argument(
        "--gain",
        metavar="CODES",
        help="codes of the sensor in a millivolt, for --to c; a decimal or a fraction",
    )
    parser.add_argument("--baseline", type=int, metavar="CODE", help="code of 0 mV, for --to c (default: 0)")
    parser.add_argument(
        "--rounding",
        type=int,
        choices=(0, 2),
        help="for --to c: 0 rounds as TFLM does, in integers (default), 2 as XNNPACK does, in float",
    )
    parser.add_argument(
        "--limits",
        type=Path,
        metavar="FILE",
        help="JSON with family_decisions, float_decisions and auroc_difference (default: 0.005, 0.02, 0.005)",
    )
    parser.add_argument(
        "--golden",
        choices=["stages", "full"],
        default="stages",
        help="golden outputs to write: of the stages, or of every layer too (default: stages)",
    )
    parser.add_argument(
        "--sign",
        type=Path,
        metavar="KEY",
        help=f"sign the bundle with this Ed25519 private key (PEM, PKCS 8): writes {SIGNATURE}",
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="refuse what does not fit and say what a decision costs: pi, nrf52840, esp32s3, stm32l4, rp2040 or generic",
    )
    parser.add_argument("--force", action="store_true", help="replace the folder if it exists")
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def run(args: argparse.Namespace) -> int:
    if not args.int8:
        raise ConfigError("export writes int8 bundles: say so with --int8")
    sign = _signing_key(args.sign)
    if args.ranges is not None and args.data is None:
        raise ConfigError(
            f"--ranges {args.ranges} needs records to measure on: give --data STORE, or leave it out to use the "
            "checkpoint's ranges"
        )
    if args.test_fold is not None and args.data is None:
        raise ConfigError(f"--test-fold {args.test_fold} goes with --data STORE")
    checkpoint = Checkpoint.load(args.checkpoint if args.checkpoint is not None else shipped_checkpoint())
    if args.hop is not None:
        checkpoint = checkpoint.with_hop(args.hop)
    writer: Any = import_module("edge_mi.export.bundle_writer")
    limits, target = _limits(args.limits), _target(args.target)
    extras = writer.Extras(_firmware(args, checkpoint), "tflm" in args.to, args.golden)
    print(f"exporting {checkpoint.info.net.name} to {args.out}", file=sys.stderr)
    try:
        if args.data is None:
            result = writer.export_bundle(
                checkpoint,
                args.out,
                force=args.force,
                limits=limits,
                extras=extras,
                target=target,
                sign=sign,
            )
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
                extras=extras,
                sign=sign,
                target=target,
                command=_command(args),
            )
    except ExportDisagreement as exc:
        if exc.table is not None:
            title = "LAYERS, a few check windows: int8 beside float, and the files beside the integers behind them"
            # with --json the last line of stdout is a document, or nothing
            print(f"{title}\n{exc.table}", file=sys.stderr if args.json else sys.stdout)
        raise
    key = sign.public.fingerprint if sign is not None else None
    print(json.dumps({**_document(result), "signed_by": key}) if args.json else _page(result))
    if key is not None and not args.json:
        print(f"signed by key {key}")
    return 0


def _command(args: argparse.Namespace) -> str:
    """What makes the figures of an export with --data again."""
    words = ["edge-mi", "export", "--int8"]
    words += [args.checkpoint.name] if args.checkpoint is not None else []
    words += ["--data", args.data.name]
    words += [] if args.hop is None else ["--hop", f"{args.hop:g}"]
    words += [] if args.ranges is None else ["--ranges", args.ranges]
    return shlex.join(words)


def _signing_key(path: Path | None) -> SigningKey | None:
    if path is None:
        return None
    key = SigningKey.load(path)
    if key.readable_by_others:
        print(f"edge-mi: warning: {path} can be read by others than its owner: chmod 600 it", file=sys.stderr)
    return key


def _firmware(args: argparse.Namespace, checkpoint: Checkpoint) -> Firmware | None:
    """What `--to c` is to be written for. Raises ConfigError where something is missing or out of place."""
    given = {f"--{name}": getattr(args, name) for name in ("rate", "gain", "baseline", "rounding")}
    if "c" not in args.to:
        stray = next((name for name, value in given.items() if value is not None), None)
        if stray is not None:
            raise ConfigError(f"{stray} goes with --to c")
        return None
    missing = [name for name in ("--rate", "--gain") if given[name] is None]
    if missing:
        raise ConfigError(f"--to c needs {' and '.join(missing)}: the C code takes the sensor's own codes")
    rates = checkpoint.info.signal.supported_rates_hz()
    if args.rate not in rates:
        raise ConfigError(f"--rate {args.rate}; the signal chain takes {', '.join(map(str, rates))} Hz")
    try:
        return Firmware(
            rate_hz=args.rate, gain=args.gain, baseline=args.baseline or 0, rounding=args.rounding or 0
        )
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc


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


def _target(name: str | None) -> Any:
    return None if name is None else import_module("edge_mi.export.targets").target_named(name)


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
        "not_compared": result.not_compared,
        "target": None if result.target is None else strict.encode(result.target),
        "auroc": _auroc(result),
        "measured": result.measured,
        "c_decisions": result.c_decisions,
        "polarity": strict.encode(info.polarity),
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
    firmware = result.bundle.info.firmware
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
    if result.not_compared:
        for reason in dict.fromkeys(result.not_compared.values()):
            left_out = [pair for pair, why in result.not_compared.items() if why == reason]
            lines.append(f"not compared: {', '.join(left_out)}: {reason}")
        lines.append("")
    if document["target"] is not None:
        lines += [*target_lines(document["target"]), ""]
    if auroc["int8"] is None and auroc["float"] is None:
        lines.append("AUROC: not known; the checkpoint carries none. Measure it with --data STORE.")
    else:
        values = ", ".join(
            f"{kind} {auroc[kind]:.4f}" for kind in ("float", "int8") if auroc[kind] is not None
        )
        interval = auroc["interval"]
        spread = f" (95 % {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        lines.append(f"AUROC, MI against all others: {values}{spread}, n = {auroc['n']}")
        lines.append(
            f"({auroc['source']}{'' if document['measured'] else '; from the checkpoint, not measured now'})"
        )
    lines += ["", f"polarity: {polarity_row(result.bundle.info.polarity)}"]
    if firmware is not None:
        lines += [
            "",
            f"C99 for {firmware.rate_hz} Hz and {firmware.gain} codes/mV, family {firmware.family}: "
            f"{document['c_decisions']:,} of {document['c_decisions']:,} decisions are those of the detector",
        ]
    lines += ["", f"wrote {document['bundle']} ({document['model_id']})"]
    return "\n".join(lines)
