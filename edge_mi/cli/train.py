"""edge-mi train: from PTB-XL to a checkpoint, and what it is worth in cross-validation."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_mi.optional import require

if TYPE_CHECKING:
    from edge_mi.checkpoint import Checkpoint
    from edge_mi.signal_design import SignalDesign

DATA_VARIABLE: Final = "EDGE_MI_DATA"
DEFAULT_DATA: Final = Path("../shared/data")
MODEL_RATE_HZ: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    store = verbs.add_parser("store", help="filter PTB-XL once into a window store")
    _add_data(store)
    store.add_argument("--out", type=Path, required=True, metavar="STORE", help="folder to make")
    store.add_argument("--force", action="store_true", help="replace what is there")
    quick = verbs.add_parser(
        "quick", help="train, calibrate and measure one network (a few minutes; goes on after a kill)"
    )
    _add_data(quick)
    quick.add_argument(
        "--out", type=Path, metavar="CHECKPOINT", help="file to write (default: RUN/model.safetensors)"
    )
    quick.add_argument(
        "--run",
        type=Path,
        default=Path("runs/quick"),
        metavar="DIR",
        help="finished parts (default: runs/quick)",
    )
    quick.add_argument("--folds", default="1-8", help="folds to train on (default: 1-8)")
    quick.add_argument(
        "--test-fold", type=int, default=9, metavar="N", help="fold to print figures for (default: 9)"
    )
    quick.add_argument("--seed", type=int, default=0)
    quick.add_argument(
        "--align", action=argparse.BooleanOptionalAction, default=False,
        help="align with the 12-lead teacher first (default: no; it gains nothing on few records)",
    )  # fmt: skip
    quick.add_argument("--json", action="store_true", help="one JSON document as the last line")
    cv = verbs.add_parser("cv", help="cross-validate the recipe on folds 1-9")
    _add_data(cv)
    cv.add_argument("--out", type=Path, required=True, metavar="RESULTS", help="JSON file to write")
    cv.add_argument(
        "--run", type=Path, default=Path("runs/cv"), metavar="DIR", help="finished parts (default: runs/cv)"
    )
    cv.add_argument("--seeds", type=int, default=3, metavar="N", help="networks to average over (default: 3)")
    cv.add_argument(
        "--align", action=argparse.BooleanOptionalAction, default=False, help="measure alignment as well"
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help=f"folder of PTB-XL, or a window store (default: ptbxl in ${DATA_VARIABLE} or in {DEFAULT_DATA})",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=int, choices=(100, 500), default=100, help="records to read, Hz (default: 100)"
    )


def run(args: argparse.Namespace) -> int:
    for module in ("torch", "scipy", "safetensors"):
        require(module, extra="train")
    verbs = {"store": _store, "quick": _quick, "cv": _cv}
    return verbs[args.verb](args)


def _store(args: argparse.Namespace) -> int:
    from edge_mi.train.ptbxl import build_store

    manifest = build_store(_data(args), args.out, _design(), rate_hz=args.rate, force=args.force)
    source = manifest.source
    print(
        f"{args.out}: {manifest.records} records ({source.selection}; {source.records_absent} absent), "
        f"{manifest.samples_per_record} samples of {len(manifest.leads)} leads at {manifest.rate_hz} Hz, "
        f"{manifest.clipped_samples} samples clipped"
    )
    return 0


def _quick(args: argparse.Namespace) -> int:
    from edge_mi.train.config import AlignConfig, Recipe
    from edge_mi.train.quick import QuickRun, train_quick
    from edge_mi.train.splits import parse_folds

    align = " --align" if args.align else ""
    command = (
        f"edge-mi train quick --folds {args.folds} --test-fold {args.test_fold} --seed {args.seed}{align}"
    )
    folds = parse_folds(args.folds)
    quick = QuickRun(folds=folds, test_fold=args.test_fold, seed=args.seed, command=command)
    recipe = Recipe(align=AlignConfig() if args.align else None)
    design = _design()
    checkpoint = train_quick(_opened_store(args, design), args.run, quick, recipe, design)
    out = args.out or args.run / "model.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(out)
    print(_page(checkpoint))
    print(f"\nwritten: {out}")
    if args.json:
        print(json.dumps(_report(checkpoint, out)))
    return 0


def _cv(args: argparse.Namespace) -> int:
    from edge_mi import strict
    from edge_mi.errors import ConfigError
    from edge_mi.files import write_file
    from edge_mi.terminal import table
    from edge_mi.train.config import AlignConfig, Recipe
    from edge_mi.train.crossvalidate import Plan, cross_validate

    if args.seeds < 1:
        raise ConfigError(f"--seeds {args.seeds}; at least 1 network is needed")
    command = f"edge-mi train cv --seeds {args.seeds}{' --align' if args.align else ''}"
    design = _design()
    plan = Plan(seeds=tuple(range(args.seeds)), align=AlignConfig() if args.align else None, command=command)
    result = cross_validate(_opened_store(args, design), args.run, plan, Recipe(), design)
    args.out.parent.mkdir(parents=True, exist_ok=True)
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


def _data(args: argparse.Namespace) -> Path:
    if args.data is not None:
        return Path(args.data)
    return Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA) / "ptbxl"


def _design() -> SignalDesign:
    from edge_mi.train.filters import design_signal_chain

    design: SignalDesign = design_signal_chain(MODEL_RATE_HZ)
    return design


def _opened_store(args: argparse.Namespace, design: SignalDesign) -> Path:
    """A store given as --data, or the one of this data in the run folder, made if it is not there yet."""
    from edge_mi.train.ptbxl import build_store, store_name

    data = _data(args)
    if (data / "manifest.json").is_file():
        return data
    path: Path = args.run / store_name(data, design, args.rate)
    if path.is_dir():
        print(f"using {path}", file=sys.stderr)
    else:
        build_store(data, path, design, rate_hz=args.rate)
    return path


def _page(checkpoint: Checkpoint) -> str:
    from edge_mi.notice import NOTICE
    from edge_mi.terminal import table

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
    from edge_mi import strict

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
