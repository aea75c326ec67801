"""edge-mi train: from PTB-XL to a checkpoint, and what it is worth in cross-validation."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edge_mi.data_folder import DATA_VARIABLE, DEFAULT_DATA, data_folder
from edge_mi.netspec import SHIPPED_SIZE, SIZES
from edge_mi.optional import require

_DATA_HELP: Final = (
    f"folder of PTB-XL, or a window store (default: ptbxl in ${DATA_VARIABLE} or in {DEFAULT_DATA})"
)
NET1D: Final = ("net1d", "net1d-small")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    quick = verbs.add_parser(
        "quick", help="train, calibrate and measure one network (a few minutes; goes on after a kill)"
    )
    _add_run(quick, "RUN/model.safetensors")
    _add_size(quick)
    quick.add_argument(
        "--encoder", type=Path, metavar="FILE", help="begin with a student-I.safetensors of train pretrain"
    )
    _add_align(quick)
    _add_device(quick, "train on lead I as a patch gives it")
    qat = verbs.add_parser(
        "qat", help="train a checkpoint further in int8 arithmetic, ranges included (goes on after a kill)"
    )
    _add_checkpoint(qat)
    _add_run(qat, "RUN/qat.safetensors")
    _add_align(qat)
    _add_device(qat, "as the checkpoint was trained")
    qat.add_argument("--epochs", type=int, default=10, metavar="N", help="epochs to add (default: 10)")
    polarity = verbs.add_parser(
        "polarity",
        help="give a checkpoint the check for swapped arm electrodes (train quick does so by itself)",
    )
    _add_checkpoint(polarity)
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
        "--encoder", type=Path, nargs="+", metavar="FILE",
        help="begin with a student-I.safetensors of train pretrain, one for all or one for each of the three groups",
    )  # fmt: skip
    cv.add_argument(
        "--against", choices=SIZES, help="train this size as well and measure the difference, in pairs"
    )
    _add_align(cv)
    cv.add_argument(
        "--scratch", action="store_true", help="measure the same networks without alignment as well"
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
    _add_pretrain(
        verbs.add_parser("pretrain", help="SelfMIS in the paper's form, at scale (goes on after a kill)")
    )


def _add_pretrain(parser: argparse.ArgumentParser) -> None:
    """At scale: torchrun starts the same command on several processes."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="STORE", help="window store of several leads"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for encoders and reports"
    )
    learned = parser.add_argument_group("what is learned")
    learned.add_argument("--net", choices=(*NET1D, *SIZES), default="net1d", help="student (default: net1d)")
    learned.add_argument(
        "--teacher-net", choices=NET1D, help="teacher (default: net1d for net1d, else net1d-small)"
    )
    learned.add_argument("--leads", default="I", metavar="I,II", help="one student for each (default: I)")
    learned.add_argument(
        "--teacher", type=Path, metavar="CHECKPOINT", help="multi-lead encoder; else one is trained"
    )
    learned.add_argument(
        "--student", type=Path, metavar="CHECKPOINT", help="single-lead encoder to begin with"
    )
    learned.add_argument("--loss", choices=("sigmoid", "infonce"), default="sigmoid")
    learned.add_argument("--no-bias", action="store_true", help="leave out the bias of the sigmoid loss")
    learned.add_argument(
        "--cut-s", type=float, default=8.0, metavar="S", help="self-cut segment (default: 8)"
    )
    learned.add_argument(
        "--input", choices=("mv", "zscore"), default="mv",
        help="millivolts, or ECGFounder's convention: mean 0, deviation 1, at 500 Hz (default: mv)",
    )  # fmt: skip
    learned.add_argument(
        "--folds", metavar="1-8", help="folds to learn from; must be said where the store has labels"
    )
    learned.add_argument("--epochs", type=int, default=20, metavar="N", help="(default: 20)")
    learned.add_argument("--teacher-epochs", type=int, metavar="N", help="(default: as --epochs)")
    learned.add_argument(
        "--batch", type=int, default=128, metavar="B", help="of all processes (default: 128)"
    )
    learned.add_argument("--lr", type=float, metavar="X", help="highest learning rate (default: by network)")
    learned.add_argument("--seed", type=int, default=0)
    way = parser.add_argument_group("how it is computed")
    way.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    way.add_argument("--precision", choices=("32", "bf16", "16"), default="32")
    way.add_argument("--compile", action="store_true", help="torch.compile; needs a C++ compiler")
    way.add_argument("--threads", type=int, default=1, metavar="N", help="of a processor (default: 1)")
    way.add_argument("--readers", type=int, default=2, metavar="N", help="threads that load (default: 2)")
    way.add_argument(
        "--keep-every", type=int, default=200, metavar="N", help="steps between snapshots (default: 200)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def _add_align(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--align", action=argparse.BooleanOptionalAction, default=None,
        help="align segments of every lead with the 12-lead teacher before lead I (default: yes, unless --encoder is given)",
    )  # fmt: skip


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint",
        nargs="?",
        type=Path,
        metavar="CHECKPOINT",
        help="checkpoint (default: the one that ships)",
    )


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
        "--rate", type=int, choices=(100, 500), help="records of PTB-XL to read, Hz (default: 100)"
    )


def run(args: argparse.Namespace) -> int:
    for module in ("torch", "scipy", "safetensors"):
        require(module, extra="train")
    commands: Any = import_module("edge_mi.train.commands")
    verbs = ("quick", "qat", "polarity", "cv", "reproduce", "pretrain")
    work = {verb: getattr(commands, verb) for verb in verbs}
    return int(work[args.verb](args, args.data or data_folder("ptbxl")))
