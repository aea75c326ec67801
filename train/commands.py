"""The work behind `edge-mi train`: each verb takes the parsed command line and the folder of data."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edge_mi import strict
from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import ConfigError
from edge_mi.files import check_place, write_file
from edge_mi.netspec import SHIPPED_SIZE, SIZES
from edge_mi.notice import NOTICE
from edge_mi.shipped import shipped_checkpoint
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore
from edge_mi.terminal import table

from .config import AlignConfig, QatConfig, Recipe, StudentConfig
from .crossvalidate import Plan, cross_validate
from .data.ptbxl import build_store, store_name
from .distributed import joined
from .filters import design_signal_chain
from .finish import QuickRun
from .fit import prepare_torch
from .pretrain import pretrain as run_pretraining
from .pretrain_config import pretrain_settings
from .quantised import train_qat
from .quick import train_quick
from .splits import parse_folds

MODEL_RATE_HZ: Final = 100


def store(args: argparse.Namespace, data: Path) -> int:
    """Filter PTB-XL once into a window store."""
    manifest = build_store(data, args.out, _design(), rate_hz=args.rate, force=args.force)
    source = manifest.source
    print(
        f"{args.out}: {manifest.records} records ({source.selection}; {source.records_absent} absent), "
        f"{manifest.samples_per_record} samples of {len(manifest.leads)} leads at {manifest.rate_hz} Hz, "
        f"{manifest.clipped_samples} samples clipped"
    )
    return 0


def quick(args: argparse.Namespace, data: Path) -> int:
    """Train, calibrate and measure one network."""
    command = f"edge-mi train quick --folds {args.folds} --test-fold {args.test_fold} --seed {args.seed}{_options(args)}"
    folds = parse_folds(args.folds)
    if args.out is not None:
        check_place(args.out)
    plan = QuickRun(folds=folds, test_fold=args.test_fold, seed=args.seed, command=command)
    recipe = Recipe(align=AlignConfig() if args.align else None, student=_student(args))
    design = _design()
    checkpoint = train_quick(_opened_store(args, data, design), args.run, plan, recipe, design)
    return _write(checkpoint, args.out or args.run / "model.safetensors", args)


def qat(args: argparse.Namespace, data: Path) -> int:
    """Train a checkpoint further in int8 arithmetic."""
    path = args.checkpoint or shipped_checkpoint()
    command = (
        f"edge-mi train qat {shlex.quote(path.name)} --folds {args.folds} --test-fold {args.test_fold} "
        f"--seed {args.seed} --epochs {args.epochs}"
    )
    if args.epochs < 1:
        raise ConfigError(f"--epochs {args.epochs}; at least 1 is needed")
    plan = QuickRun(folds=parse_folds(args.folds), test_fold=args.test_fold, seed=args.seed, command=command)
    if args.out is not None:
        check_place(args.out)
    checkpoint = Checkpoint.load(path)
    default = QatConfig()
    config = replace(default, fit=replace(default.fit, epochs=args.epochs))
    store_path = _opened_store(args, data, checkpoint.info.signal)
    learned = train_qat(checkpoint, store_path, args.run, plan, Recipe(), config)
    return _write(learned, args.out or args.run / "qat.safetensors", args)


def _write(checkpoint: Checkpoint, out: Path, args: argparse.Namespace) -> int:
    checkpoint.save(out)
    print(_page(checkpoint))
    print(f"\nwritten: {out}")
    if args.json:
        print(json.dumps(_report(checkpoint, out)))
    return 0


def cv(args: argparse.Namespace, data: Path) -> int:
    """Cross-validate the recipe."""
    if args.seeds < 1:
        raise ConfigError(f"--seeds {args.seeds}; at least 1 network is needed")
    if args.against == args.size:
        raise ConfigError(f"--against {args.against} is the size that is cross-validated; name another")
    check_place(args.out)
    against = "" if args.against is None else f" --against {args.against}"
    design = _design()
    plan = Plan(
        seeds=tuple(range(args.seeds)),
        align=AlignConfig() if args.align else None,
        command=f"edge-mi train cv --seeds {args.seeds}{_options(args)}{against}",
        against=None if args.against is None else SIZES[args.against],
    )
    result = cross_validate(
        _opened_store(args, data, design), args.run, plan, Recipe(student=_student(args)), design
    )
    write_file(args.out, strict.dumps(result).encode())
    rows = [
        [
            f.subject,
            f.name,
            f.task,
            f"{f.value:.3f}",
            _number(f.sd),
            _interval(f.interval),
            f"{f.n_positive}/{f.n}",
        ]
        for f in result.figures
    ]
    print(table(rows, header=["subject", "figure", "task", "value", "sd", "95 %", "MI/n"]))
    print(f"\n{result.protocol}\nwritten: {args.out}")
    return 0


def pretrain(args: argparse.Namespace, data: Path) -> int:
    """Align single-lead encoders with a multi-lead teacher; torchrun may start it many times over."""
    config, plan = pretrain_settings(args)
    with joined(args.device) as world:
        prepare_torch(args.threads)
        reports = run_pretraining(WindowStore.open(data), config, plan, world)
    if not world.first:
        return 0
    rows = []
    for report in reports:
        first, last = (f"{report.curve[0]:.4f}", f"{report.curve[-1]:.4f}") if report.curve else ("-", "-")
        net, leads = report.encoder.net, ",".join(report.encoder.leads)
        rows.append([net, leads, report.how, f"{report.parameters:,}", str(len(report.curve)), first, last])
    print(table(rows, header=["network", "leads", "how", "parameters", "steps", "first loss", "last"]))
    print(f"\nwritten: {plan.out}")
    if args.json:
        print(json.dumps({"schema": 1, "encoders": [strict.encode(report) for report in reports]}))
    return 0


def _student(args: argparse.Namespace) -> StudentConfig:
    return StudentConfig(net=SIZES[args.size])


def _options(args: argparse.Namespace) -> str:
    """What differs from the defaults, as it was typed."""
    size = "" if args.size == SHIPPED_SIZE else f" --size {args.size}"
    return f"{size}{' --align' if args.align else ''}"


def _design() -> SignalDesign:
    return design_signal_chain(MODEL_RATE_HZ)


def _opened_store(args: argparse.Namespace, data: Path, design: SignalDesign) -> Path:
    """A store given as --data, or the one of this data in the run folder, made if it is not there yet."""
    if (data / "manifest.json").is_file():
        return data
    path: Path = args.run / store_name(data, design, args.rate)
    if path.is_dir():
        print(f"using {path}", file=sys.stderr)
    else:
        build_store(data, path, design, rate_hz=args.rate)
    return path


def _page(checkpoint: Checkpoint) -> str:
    info = checkpoint.info
    rows = [
        [m.name, m.task, f"{m.value:.3f}", _interval(m.interval), f"{m.n_positive}/{m.n}", m.source]
        for m in info.metrics
    ]
    points = [
        [p.name, f"{p.threshold:.3f}", f"{p.sensitivity:.3f}", f"{p.specificity:.3f}"]
        for p in info.operating_points
    ]
    return "\n".join(
        [
            NOTICE,
            "",
            table(rows, header=["figure", "task", "value", "95 %", "MI/n", "records"]),
            "",
            table(points, header=["operating point", "threshold", "sensitivity", "specificity"]),
            f"(out-of-fold on the training folds; default: {info.default_operating_point})",
        ]
    )


def _report(checkpoint: Checkpoint, out: Path) -> dict[str, Any]:
    info = checkpoint.info
    return {
        "schema": 1,
        "checkpoint": str(out),
        "calibration": strict.encode(info.calibration),
        "operating_points": strict.encode(info.operating_points),
        "metrics": strict.encode(info.metrics),
    }


def _interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
