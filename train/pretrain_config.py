"""Settings of pre-training at scale: what decides the weights, and how a run goes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from edge_mi.errors import ConfigError

from .config import FitConfig, TaskConfig
from .fit import Precision
from .limits import MOST_STEPS, MOST_THREADS, check_seed
from .pretrain_feed import READERS
from .pretrain_nets import InputForm
from .splits import Folds, parse_folds

PairLoss: TypeAlias = Literal["sigmoid", "infonce"]

# highest of the schedule; without batch norm, as in Net1D, a smaller one
LEARNING_RATES: Final = {"net1d": 2e-4, "net1d-small": 1e-3}
PATCHNET_RATE: Final = 2e-3

_MOST: Final = {
    "epochs": MOST_STEPS, "teacher_epochs": MOST_STEPS, "batch": MOST_STEPS, "threads": MOST_THREADS,
    "readers": MOST_THREADS,
}  # fmt: skip


def _fit() -> FitConfig:
    return FitConfig(epochs=20, batch=128, learning_rate=2e-4)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """What decides the weights, apart from the data; the defaults are choices, none is known to be the paper's.

    cut_s: length of the self-cut segment; the teacher sees the whole record. folds: None for all. bias: the
    sigmoid loss's starting bias, None for none. teacher_fit, task: for a teacher that is not given.
    """

    net: str = "net1d"
    teacher_net: str = "net1d"
    leads: tuple[str, ...] = ("I",)
    loss: PairLoss = "sigmoid"
    scale: float = 1 / 0.07
    bias: float | None = -10.0
    cut_s: float = 8.0
    input: InputForm = "mv"
    folds: Folds | None = None
    fit: FitConfig = field(default_factory=_fit)
    teacher_fit: FitConfig = field(default_factory=_fit)
    task: TaskConfig = field(default_factory=lambda: TaskConfig(distil=0.0))
    clip_norm: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainPlan:
    """How a run goes; `teacher` and `student` are checkpoints to begin with, `command` what was typed.

    keep_every: steps between snapshots. readers: threads that load batches, in each process. say: takes what a user
    should know, a sentence each. on_batch: told of each batch that a stage is handed, with the seconds that the stage
    has waited for data so far.
    """

    out: Path
    teacher: Path | None = None
    student: Path | None = None
    precision: Precision = "32"
    compile: bool = False
    keep_every: int = 200
    readers: int = READERS
    command: str = ""
    say: Callable[[str], None] = lambda text: None
    on_batch: Callable[[str, float], None] = lambda stage, waited_s: None


def pretrain_settings(args: argparse.Namespace) -> tuple[PretrainConfig, PretrainPlan]:
    """The settings of a command line. Raises ConfigError for those that cannot be."""
    for name, most in _MOST.items():
        option, value = f"--{name.replace('_', '-')}", getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"{option} {value}; at least 1 is needed")
        if value is not None and value > most:
            raise ConfigError(f"{option} {value}; at most {most} is possible")
    if args.batch < 2 or args.keep_every < 0:
        raise ConfigError(f"--batch {args.batch} --keep-every {args.keep_every}; at least 2 and 0 are needed")
    if args.lr is not None and not 0 < args.lr < float("inf"):
        raise ConfigError(f"--lr {args.lr}; a learning rate is positive and finite")
    teacher_net = args.teacher_net or ("net1d" if args.net == "net1d" else "net1d-small")
    leads = tuple(lead.strip() for lead in args.leads.split(","))
    if len(set(leads)) != len(leads):
        raise ConfigError(f"--leads {args.leads}: a lead is named twice")
    check_seed(args.seed)
    if not 0 < args.cut_s < float("inf"):
        raise ConfigError(f"--cut-s {args.cut_s}; expected a length in seconds")
    config = PretrainConfig(
        net=args.net,
        teacher_net=teacher_net,
        leads=leads,
        loss=args.loss,
        bias=None if args.no_bias or args.loss == "infonce" else PretrainConfig().bias,
        cut_s=args.cut_s,
        input=args.input,
        folds=None if args.folds is None else parse_folds(args.folds),
        fit=_fit_of(args, args.net, args.epochs),
        teacher_fit=_fit_of(args, teacher_net, args.teacher_epochs or args.epochs),
        seed=args.seed,
    )
    plan = PretrainPlan(
        out=args.out,
        teacher=args.teacher,
        student=args.student,
        precision=args.precision,
        compile=args.compile,
        keep_every=args.keep_every,
        readers=args.readers,
        command=_command(args, config),
    )
    return config, plan


def _fit_of(args: argparse.Namespace, net: str, epochs: int) -> FitConfig:
    rate = args.lr or LEARNING_RATES.get(net, PATCHNET_RATE)
    return FitConfig(epochs=epochs, batch=args.batch, learning_rate=rate)


def _command(args: argparse.Namespace, config: PretrainConfig) -> str:
    """What was typed, with names of files instead of places."""
    words = [
        f"edge-mi train pretrain --net {config.net} --teacher-net {config.teacher_net} --leads {','.join(config.leads)}",
        f"--loss {config.loss} --cut-s {config.cut_s:g} --input {config.input} --epochs {config.fit.epochs}",
        f"--teacher-epochs {config.teacher_fit.epochs} --batch {config.fit.batch} --seed {config.seed}",
        f"--precision {args.precision}",
    ]
    words += [f"--{name} {value.name}" for name in ("teacher", "student") if (value := getattr(args, name))]
    words += ["--no-bias"] if args.no_bias else []
    words += ["--compile"] if args.compile else []
    words += [f"--lr {args.lr:g}"] if args.lr else []
    words += [f"--folds {args.folds}"] if args.folds else []
    return " ".join(words)
