"""A reproduction as a TOML file: data, network, budget and methods; what is not given has the default here.

An unknown key is an error that names it. Every method has the encoder, the fine-tuning and, where it is pre-trained, the
steps of pre-training of the same sections, so that the file cannot favour one.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge_mi import strict
from edge_mi.errors import ConfigError

from ..config import AugmentConfig, FitConfig, TaskConfig, TeacherConfig
from ..limits import check_at_least, check_below_one, check_positive, check_seeds
from ..splits import CROSS_VALIDATION_GROUPS, Folds, check_folds
from .encoders import ENCODERS, ZSCORE, samples_needed
from .methods import METHODS
from .result import REGIMES, Regime


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSection:
    """rate_hz: which of the source's files to read. label_rule: the sentence that the store must state, or empty."""

    rate_hz: Literal[100, 500] = 100
    label_rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSection:
    """Encoders that are given, files of `edge-mi train pretrain` or of ECGFounder: one for all groups, or one for each.

    student: what `network` begins with in every method, instead of fresh weights. teacher: a frozen encoder of twelve
    leads, of the network `teacher_network`, instead of the teachers that are trained.
    """

    student: str | tuple[str, ...] = ()
    teacher: str | tuple[str, ...] = ()
    teacher_network: str = "net1d"

    def __post_init__(self) -> None:
        if self.teacher_network not in ENCODERS:
            raise ValueError(f"teacher_network {self.teacher_network!r}; choose among {', '.join(ENCODERS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSection:
    """Budget and settings of pre-training.

    projection, scale, bias: dimension of the space of alignment, and starting values of its losses.
    weight: of the loss over pairs where labels are learned beside it, and task: those labels, which other methods
    are pre-trained with alone. masked_share, patch_samples: how much of lead I masked reconstruction hides, and in
    what pieces.
    """

    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=60, batch=128))
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    dropout: float = 0.3
    projection: int = 64
    scale: float = 1 / 0.07
    bias: float = -10.0
    weight: float = 0.5
    task: TaskConfig = field(default_factory=lambda: TaskConfig(distil=0.0))
    masked_share: float = 0.5
    patch_samples: int = 40

    def __post_init__(self) -> None:
        if not 0 < self.masked_share < 1 or self.patch_samples < 1:
            raise ValueError(
                f"masked_share lies in (0, 1) and patch_samples is at least 1, found {self.masked_share} and "
                f"{self.patch_samples}"
            )
        check_below_one(dropout=self.dropout)
        check_at_least(1, projection=self.projection)
        check_positive(scale=self.scale)
        check_at_least(0, weight=self.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneSection:
    """Budget and settings of fine-tuning; the nine types have the weight of the other statements, task.codes.

    lead_i_only: share of the views in which lead masking leaves lead I alone.
    """

    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=18, ema_decay=0.99))
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    dropout: float = 0.3
    task: TaskConfig = field(default_factory=TaskConfig)
    lead_i_only: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.lead_i_only <= 1:
            raise ValueError(f"lead_i_only is a share, found {self.lead_i_only}")
        check_below_one(dropout=self.dropout)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveSection:
    """Learning curve over records: fractions of the training patients, drawn anew by each seed; no methods, no curve."""

    fractions: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if any(not 0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"fractions lie in (0, 1], found {self.fractions}")
        if self.methods and not (self.fractions and self.seeds):
            raise ValueError("a curve needs fractions and seeds")
        _check_methods(self.methods)
        for name in self.methods:
            if not METHODS[name].scales:
                able = ", ".join(other for other, method in METHODS.items() if method.scales)
                raise ValueError(f"method {name!r} has no learning curve; choose among {able}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolConfig:
    """Everything that decides a table, apart from the data.

    groups: held-out folds of each split. ridge: penalty of the linear probe, fixed before it was tried: half
    of it times the squared weights is added to the summed loss, features having unit variance.
    """

    data: DataSection = field(default_factory=DataSection)
    network: str = "patchnet-67k"
    groups: tuple[Folds, ...] = CROSS_VALIDATION_GROUPS
    seeds: tuple[int, ...] = (0, 1, 2)
    methods: tuple[str, ...] = tuple(METHODS)
    regimes: tuple[Regime, ...] = REGIMES
    ridge: float = 1.0
    encoder: EncoderSection = field(default_factory=EncoderSection)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    pretrain: PretrainSection = field(default_factory=PretrainSection)
    finetune: FinetuneSection = field(default_factory=FinetuneSection)
    curve: CurveSection = field(default_factory=CurveSection)

    def __post_init__(self) -> None:
        if self.network not in ENCODERS:
            raise ValueError(f"network {self.network!r}; choose among {', '.join(ENCODERS)}")
        _check_methods(self.methods)
        for name, values in (("methods", self.methods), ("seeds", self.seeds), ("regimes", self.regimes)):
            if not values:
                raise ValueError(f"{name} is empty; name at least one")
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names one twice")
        check_seeds((*self.seeds, *self.curve.seeds), "seeds")
        if not self.ridge > 0:
            raise ValueError(f"ridge is positive, found {self.ridge}")
        _check_groups(self.groups)
        self._check_views()
        self._check_encoders()

    @property
    def samples_needed(self) -> int:
        """Samples that a record needs for one frame of every network."""
        return max(samples_needed(self.network), self.teacher.receptive_field)

    def _check_views(self) -> None:
        """Networks get views that they can see, and none of a patch."""
        encoder = samples_needed(self.network)
        for name, augment, network, needed in (
            ("teacher", self.teacher.augment, "the teacher", self.teacher.receptive_field),
            ("pretrain", self.pretrain.augment, self.network, encoder),
            ("finetune", self.finetune.augment, self.network, encoder),
        ):
            if augment.crop_samples < needed:
                raise ValueError(
                    f"{name}.augment.crop_samples is {augment.crop_samples}; expected at least {needed}, which is what "
                    f"{network} sees at a time"
                )
            if augment.device is not None:
                raise ValueError(
                    f"{name}.augment.device is given; a table is made of records without a patch, so expected none: "
                    "edge-mi train cv --device-simulation measures training on lead I as a patch gives it"
                )

    def _check_encoders(self) -> None:
        for name, files in (("student", self.encoder.student), ("teacher", self.encoder.teacher)):
            if not isinstance(files, str) and len(files) not in (0, 1, len(self.groups)):
                raise ValueError(
                    f"encoder.{name}: {len(files)} files; one for all groups, or {len(self.groups)}"
                )
        if self.curve.methods and (self.encoder.student or self.encoder.teacher):
            raise ValueError(
                "curve.methods beside an encoder that is given, which has learned from all its records: leave one of "
                "them out"
            )
        for name in dict.fromkeys((*self.methods, *self.curve.methods)):
            method = METHODS[name]
            if self.encoder.student and method.lead_masking:
                raise ValueError(
                    f"method {name!r} has twelve leads, encoder.student has one: leave one of them out"
                )
            if self.encoder.teacher and (method.response or method.kind == "generative"):
                raise ValueError(
                    f"method {name!r} needs a teacher that is trained: leave it or encoder.teacher out"
                )
            if self.network.endswith(ZSCORE) and (
                method.kind == "generative" or method.pretraining == "reconstruction"
            ):
                raise ValueError(f"method {name!r} writes signals, which {self.network} cannot; leave it out")


def load_config(path: Path) -> tuple[ProtocolConfig, str]:
    """The configuration in `path`, and its text as it stands there.

    Raises ConfigError, naming the file, where it cannot be read, is not TOML, or says what a section does not
    know or cannot be.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return parse_config(text), text
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except (ConfigError, ValueError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def parse_config(text: str) -> ProtocolConfig:
    """The configuration that `text` describes. Raises ConfigError as `load_config` does."""
    try:
        given = tomllib.loads(text)
        return strict.decode(_over(strict.encode(ProtocolConfig()), given), ProtocolConfig)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"not TOML: {exc}") from exc
    except strict.DocumentError as exc:
        raise ConfigError(str(exc)) from exc


def _over(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`given` laid over `defaults`, section by section; what the defaults do not know is kept, to be refused."""
    merged = dict(defaults)
    for key, value in given.items():
        known = defaults.get(key)
        merged[key] = _over(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _check_methods(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in METHODS:
            raise ValueError(f"method {name!r}; choose among {', '.join(METHODS)}")


def _check_groups(groups: tuple[Folds, ...]) -> None:
    folds = [fold for group in groups for fold in group]
    try:
        check_folds(folds)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    if len(groups) < 2 or not all(groups) or len(set(folds)) != len(folds):
        raise ValueError(f"groups are at least two sets of folds without a fold in common, found {groups}")
    if any(len(folds) - len(group) < 2 for group in groups):
        raise ValueError("each group leaves at least two folds to train on")
