"""edge-mi train: from PTB-XL to a checkpoint, and what it is worth in cross-validation."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edge_mi.cli.data_build import DATA_VARIABLE, DEFAULT_DATA, data_folder
from edge_mi.netspec import SHIPPED_SIZE, SIZES
from edge_mi.optional import require

_DATA_HELP: Final = (
    f"folder of PTB-XL, or a window store (default: ptbxl in ${DATA_VARIABLE} or in {DEFAULT_DATA})"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    quick = verbs.add_parser(
        "quick", help="train, calibrate and measure one network (a few minutes; goes on after a kill)"
    )
    _add_run(quick, "RUN/model.safetensors")
    _add_size(quick)
    quick.add_argument(
        "--align", action=argparse.BooleanOptionalAction, default=False,
        help="align with the 12-lead teacher first (default: no; it gains nothing on few records)",
    )  # fmt: skip
    _add_device(quick, "train on lead I as a patch gives it")
    qat = verbs.add_parser(
        "qat", help="train a checkpoint further in int8 arithmetic, ranges included (goes on after a kill)"
    )
    qat.add_argument(
        "checkpoint",
        nargs="?",
        type=Path,
        metavar="CHECKPOINT",
        help="checkpoint (default: the one that ships)",
    )
    _add_run(qat, "RUN/qat.safetensors")
    qat.add_argument("--epochs", type=int, default=10, metavar="N", help="epochs to add (default: 10)")
    polarity = verbs.add_parser(
        "polarity",
        help="give a checkpoint the check for swapped arm electrodes (train quick does so by itself)",
    )
    polarity.add_argument(
        "checkpoint",
        nargs="?",
        type=Path,
        metavar="CHECKPOINT",
        help="checkpoint (default: the one that ships)",
    )
    _add_data(polarity)
    polarity.add_argument(
        "--out", type=Path, required=True, metavar="CHECKPOINT", help="file to write, also the same one"
    )
    polarity.add_argument(
        "--run", type=Path, default=Path("runs/quick"), metavar="DIR", help="store (default: runs/quick)"
    )
    polarity.add_argument("--folds", default="1-8", help="folds to learn on (default: 1-8)")
    polarity.add_argument("--json", action="store_true", help="one JSON document as the last line")
    cv = verbs.add_parser("cv", help="cross-validate the recipe on folds 1-9")
    _add_data(cv)
    cv.add_argument("--out", type=Path, required=True, metavar="RESULTS", help="JSON file to write")
    cv.add_argument(
        "--run", type=Path, default=Path("runs/cv"), metavar="DIR", help="finished parts (default: runs/cv)"
    )
    cv.add_argument("--seeds", type=int, default=3, metavar="N", help="networks to average over (default: 3)")
    _add_size(cv)
    cv.add_argument(
        "--against", choices=SIZES, help="train this size as well and measure the difference, in pairs"
    )
    cv.add_argument(
        "--align", action=argparse.BooleanOptionalAction, default=False, help="measure alignment as well"
    )
    _add_device(cv, "measure training on lead I as a patch gives it as well")
    reproduce = verbs.add_parser(
        "reproduce",
        help="compare alignment with its rivals: configuration to table and plots (goes on after a kill)",
    )
    reproduce.add_argument(
        "config", type=Path, metavar="CONFIG", help="TOML file, such as examples/reproduce.toml"
    )
    reproduce.add_argument("--data", type=Path, metavar="DIR", help=_DATA_HELP)
    reproduce.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    reproduce.add_argument(
        "--run",
        type=Path,
        default=Path("runs/reproduce"),
        metavar="DIR",
        help="finished parts (default: runs/reproduce)",
    )
    reproduce.add_argument("--json", action="store_true", help="one JSON document as the last line")


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size",
        choices=SIZES,
        default=SHIPPED_SIZE,
        help=f"parameters of the network (default: {SHIPPED_SIZE})",
    )


def _add_device(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--device-simulation", action=argparse.BooleanOptionalAction, default=False,
        help=f"{what}: clock, converter, gain, noise (default: no)",
    )  # fmt: skip
    parser.add_argument(
        "--noise", type=Path, metavar="DIR",
        help="folder of NSTDB, or `synthetic` for noise that is made up (default: nstdb beside PTB-XL, where it is)",
    )  # fmt: skip


def _add_run(parser: argparse.ArgumentParser, out: str) -> None:
    """What the two verbs share that make a checkpoint."""
    _add_data(parser)
    parser.add_argument("--out", type=Path, metavar="CHECKPOINT", help=f"file to write (default: {out})")
    parser.add_argument(
        "--run",
        type=Path,
        default=Path("runs/quick"),
        metavar="DIR",
        help="finished parts (default: runs/quick)",
    )
    parser.add_argument("--folds", default="1-8", help="folds to train on (default: 1-8)")
    parser.add_argument(
        "--test-fold", type=int, default=9, metavar="N", help="fold to print figures for (default: 9)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help=_DATA_HELP)
    parser.add_argument(
        "--rate", type=int, choices=(100, 500), default=100, help="records to read, Hz (default: 100)"
    )


def run(args: argparse.Namespace) -> int:
    for module in ("torch", "scipy", "safetensors"):
        require(module, extra="train")
    commands: Any = import_module("edge_mi.train.commands")
    verbs = {
        "quick": commands.quick,
        "qat": commands.qat,
        "polarity": commands.polarity,
        "cv": commands.cv,
        "reproduce": commands.reproduce,
    }
    return int(verbs[args.verb](args, args.data or data_folder("ptbxl")))
