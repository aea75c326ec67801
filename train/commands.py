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
from edge_mi.bundle_rows import polarity_row
from edge_mi.checkpoint import Checkpoint
from edge_mi.data_folder import data_folder
from edge_mi.errors import ConfigError, OutputError, StoreError
from edge_mi.files import check_place, input_error, output_error, write_file
from edge_mi.netspec import SHIPPED_SIZE, SIZES
from edge_mi.notice import NOTICE
from edge_mi.shipped import shipped_checkpoint
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore
from edge_mi.store.manifest import MANIFEST_FILE
from edge_mi.terminal import table

from .config import AlignConfig, QatConfig, Recipe, StudentConfig
from .crossvalidate import Plan, cross_validate
from .data.build import build_store, store_name
from .data.commands import say
from .data.ptbxl import PtbXl
from .device.config import DeviceConfig
from .device.noise import SYNTHETIC, noise_folder
from .distributed import joined
from .encoder_start import EncoderStart, load_start
from .filters import MODEL_RATE_HZ, design_signal_chain
from .finish import QuickRun
from .fit import prepare_torch
from .limits import MOST_NETWORKS, MOST_STEPS
from .polarity import LEAST_RECORDS, fit_polarity, with_polarity
from .pretrain import pretrain as run_pretraining
from .pretrain_config import pretrain_settings
from .protocol.config import load_config
from .protocol.document import write_report
from .protocol.given import check_given, said_of
from .protocol.methods import METHODS
from .protocol.plots import require_plots
from .protocol.run import reproduce as run_protocol
from .protocol.run import store_line
from .quantised import train_qat
from .quick import train_quick
from .splits import parse_folds

RATE_HZ: Final = 100


def quick(args: argparse.Namespace, data: Path) -> int:
    """Train, calibrate and measure one network."""
    command = f"edge-mi train quick --folds {args.folds} --test-fold {args.test_fold} --seed {args.seed}{_options(args)}"
    folds = parse_folds(args.folds)
    if args.out is not None:
        check_place(args.out)
    plan = QuickRun(folds=folds, test_fold=args.test_fold, seed=args.seed, command=command)
    recipe = _device_recipe(args)
    design = _design()
    encoder = None
    if args.encoder is not None:
        (encoder,) = _starts(args, [args.encoder], design)
    store_path = _opened_store(args.run, data, design, args.rate)
    if encoder is not None:
        _say_doubts(encoder.check_unseen(WindowStore.open(store_path), (args.test_fold,)))
    checkpoint = train_quick(store_path, args.run, plan, recipe, design, encoder=encoder)
    return _write(checkpoint, args.out or args.run / "model.safetensors", args)


def qat(args: argparse.Namespace, data: Path) -> int:
    """Train a checkpoint further in int8 arithmetic."""
    path = args.checkpoint or shipped_checkpoint()
    command = (
        f"edge-mi train qat {shlex.quote(path.name)} --folds {args.folds} --test-fold {args.test_fold} "
        f"--seed {args.seed} --epochs {args.epochs}{_way(args)}"
    )
    if not 1 <= args.epochs <= MOST_STEPS:
        raise ConfigError(f"--epochs {args.epochs}; at least 1 is needed, and at most {MOST_STEPS}")
    plan = QuickRun(folds=parse_folds(args.folds), test_fold=args.test_fold, seed=args.seed, command=command)
    if args.out is not None:
        check_place(args.out)
    _check_noise(args)
    checkpoint = Checkpoint.load(path)
    default = QatConfig()
    config = replace(default, fit=replace(default.fit, epochs=args.epochs))
    store_path = _opened_store(args.run, data, checkpoint.info.signal, args.rate)
    learned = train_qat(checkpoint, store_path, args.run, plan, _device_recipe(args), config)
    return _write(learned, args.out or args.run / "qat.safetensors", args)


def polarity(args: argparse.Namespace, data: Path) -> int:
    """Give a checkpoint the polarity check that was learned on some folds; its network stays as it is."""
    folds = parse_folds(args.folds)
    check_place(args.out)
    checkpoint = Checkpoint.load(args.checkpoint or shipped_checkpoint())
    store = WindowStore.open(_opened_store(args.run, data, checkpoint.info.signal, args.rate))
    store.check_filter(checkpoint.info.signal)
    check = fit_polarity(store, folds, checkpoint.info.net)
    if check is None:
        raise StoreError(
            f"fewer than {LEAST_RECORDS} records of folds {args.folds} have heartbeats in lead I; a polarity check takes "
            "more"
        )
    with_polarity(checkpoint, check).save(args.out)
    print(f"polarity: {polarity_row(check)}\nwritten: {args.out}")
    if args.json:
        print(json.dumps({"schema": 1, "checkpoint": str(args.out), "polarity": strict.encode(check)}))
    return 0


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
    if args.seeds > MOST_NETWORKS:
        raise ConfigError(f"--seeds {args.seeds}; at most {MOST_NETWORKS} networks")
    if args.against == args.size:
        raise ConfigError(f"--against {args.against} is the size that is cross-validated; name another")
    if args.scratch and not _aligned(args):
        raise ConfigError(
            "--scratch compares alignment with going without: leave out --no-align and --encoder"
        )
    _check_noise(args)
    check_place(args.out)
    if args.encoder and args.against is not None:
        raise ConfigError(
            "--against trains another size, which the encoder does not fit; leave one of them out"
        )
    against = "" if args.against is None else f" --against {args.against}"
    design = _design()
    scratch = " --scratch" if args.scratch else ""
    plan = Plan(
        seeds=tuple(range(args.seeds)),
        command=f"edge-mi train cv --seeds {args.seeds}{_options(args)}{scratch}{against}",
        scratch=args.scratch,
        against=None if args.against is None else SIZES[args.against],
        device=DeviceConfig() if args.device_simulation else None,
        noise=_noise(args) if args.device_simulation else None,
        encoders=_starts(args, args.encoder or [], design),
    )
    store_path = _opened_store(args.run, data, design, args.rate)
    if plan.encoders:
        _say_doubts(plan.check_unseen(WindowStore.open(store_path)))
    result = cross_validate(store_path, args.run, plan, _recipe(args), design)
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


def reproduce(args: argparse.Namespace, data: Path) -> int:
    """Compare the methods of a configuration, and write the report of it."""
    config, text = load_config(args.config)
    if _is_there(args.out):
        raise OutputError(f"{args.out} exists; choose another folder")
    require_plots()  # what is missing is said before hours of training
    command = f"edge-mi train reproduce {shlex.quote(args.config.name)}"
    design = _design()
    store_path = _opened_store(args.run, data, design, None if _is_store(data) else config.data.rate_hz)
    _say_doubts(check_given(WindowStore.open(store_path), config))
    done = run_protocol(config, store_path, args.run, design)
    given = said_of(config)
    descriptions = {name: f"{METHODS[name].description}{given}" for name in config.methods}
    write_report(done.result, done.store, text, args.out, command, done.curve, descriptions=descriptions)
    rows = [[each.name, str(each.parameters), ", ".join(each.logits)] for each in done.result.methods]
    print(table(rows, header=["method", "parameters", "regimes"]))
    print(f"\n{store_line(done.store)}\nwritten: {args.out}")
    if args.json:
        methods = [{"name": each.name, "parameters": each.parameters} for each in done.result.methods]
        print(json.dumps({"schema": 1, "report": str(args.out), "command": command, "methods": methods}))
    return 0


def pretrain(args: argparse.Namespace, data: Path) -> int:
    """Align single-lead encoders with a multi-lead teacher; torchrun may start it many times over."""
    config, plan = pretrain_settings(args)
    plan = replace(plan, say=lambda note: _say_doubts((note,)))
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
        documents = [strict.encode(report) for report in reports]
        for seen in (seen for document in documents for seen in document["origin"]["seen"]):
            del seen["patients"]  # one for each patient: they are in the file
        print(json.dumps({"schema": 1, "encoders": documents}))
    return 0


def _recipe(args: argparse.Namespace) -> Recipe:
    student = StudentConfig(net=SIZES[getattr(args, "size", SHIPPED_SIZE)])
    return Recipe(align=AlignConfig() if _aligned(args) else None, student=student)


def _aligned(args: argparse.Namespace) -> bool:
    """As asked for; without a word yes, unless an encoder is given, which is aligned already."""
    return args.align is True or (args.align is None and not getattr(args, "encoder", None))


def _device_recipe(args: argparse.Namespace) -> Recipe:
    recipe = _recipe(args)
    _check_noise(args)
    return recipe.with_device(DeviceConfig(), _noise(args)) if args.device_simulation else recipe


def _is_store(data: Path) -> bool:
    """Whether a folder is a window store, and no collection. Raises ConfigError where that cannot be seen."""
    try:
        return (data / MANIFEST_FILE).is_file()
    except OSError as exc:
        raise input_error(data, exc) from exc


def _is_there(path: Path) -> bool:
    """Whether a place that is to be written is taken. Raises OutputError where that cannot be seen."""
    try:
        return path.exists()
    except OSError as exc:
        raise output_error(path, exc) from exc


def _starts(args: argparse.Namespace, files: list[Path], design: SignalDesign) -> tuple[EncoderStart, ...]:
    """The encoders that were given, for the size that is trained."""
    if files and args.align:
        raise ConfigError("--encoder begins with an encoder that is aligned already; leave out --align")
    return tuple(load_start(file, SIZES[args.size], design) for file in files)


def _say_doubts(doubts: tuple[str, ...]) -> None:
    for doubt in doubts:
        print(f"note: {doubt}", file=sys.stderr)


def _options(args: argparse.Namespace) -> str:
    """What differs from the defaults, as it was typed, with names of files instead of places."""
    size = "" if args.size == SHIPPED_SIZE else f" --size {args.size}"
    given = args.encoder if isinstance(args.encoder, list) else [args.encoder] if args.encoder else []
    encoder = f" --encoder {' '.join(shlex.quote(file.name) for file in given)}" if given else ""
    return size + encoder + _way(args)


def _way(args: argparse.Namespace) -> str:
    device = " --device-simulation" if args.device_simulation else ""
    if device and noise_folder(args.noise, data_folder()) is None:
        device += f" --noise {SYNTHETIC}"
    return f"{_rate(args)}{'' if args.align is not False else ' --no-align'}{device}"


def _rate(args: argparse.Namespace) -> str:
    return "" if args.rate in (None, RATE_HZ) else f" --rate {args.rate}"


def _check_noise(args: argparse.Namespace) -> None:
    if args.noise is not None and not args.device_simulation:
        raise ConfigError(f"--noise {args.noise} is what a patch hears: add --device-simulation")


def _noise(args: argparse.Namespace) -> Path | None:
    folder = noise_folder(args.noise, data_folder())
    if folder is None and args.noise is None:
        print(f"no folder nstdb in {data_folder()}: noise is made up", file=sys.stderr)
    return folder


def _design() -> SignalDesign:
    return design_signal_chain(MODEL_RATE_HZ)


def _opened_store(run: Path, data: Path, design: SignalDesign, rate_hz: int | None) -> Path:
    """A store given as --data, or the one of this data in the run folder, made if it is not there yet.

    rate_hz: of the records to read, None where nobody asked. Raises ConfigError where one asked it of a store.
    """
    if _is_store(data):
        if rate_hz is not None:
            raise ConfigError(
                f"--rate {rate_hz} chooses records of PTB-XL, and {data} is a window store: leave it out"
            )
        return data
    collection = PtbXl(data, rate_hz=RATE_HZ if rate_hz is None else rate_hz)
    path = run / store_name(collection, design)
    if _is_there(path):
        print(f"using {path}", file=sys.stderr)
    else:
        build_store(collection, path, design, say=say)
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
            "",
            f"polarity: {polarity_row(info.polarity)}",
        ]
    )


def _report(checkpoint: Checkpoint, out: Path) -> dict[str, Any]:
    info = checkpoint.info
    return {
        "schema": 1,
        "checkpoint": str(out),
        "calibration": strict.encode(info.calibration),
        "polarity": strict.encode(info.polarity),
        "operating_points": strict.encode(info.operating_points),
        "metrics": strict.encode(info.metrics),
    }


def _interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
