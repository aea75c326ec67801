"""Settings of a training run: the measured recipe is the default.

Which element of it bought what, with intervals, is in the docs; each value here was chosen on
cross-validated folds 1 to 9 of a part of PTB-XL, never on a fold that a figure is printed for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_mi.netspec import PATCHNET_S, NetSpec
from edge_mi.range_search import DEFAULT, RangeMethod
from edge_mi.records.leads import TWELVE_LEADS

from .device.config import DeviceConfig
from .limits import MOST_STEPS, check_at_least, check_below_one, check_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """AdamW under a one-cycle schedule.

    steps: how many in all, instead of `epochs`; the last epoch is left where they are done.
    ema_decay: weight of the past in the running average of the whole state, a step; 0 for none.
    ema_from: share of the training after which the average starts.
    """

    epochs: int = 30
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    ema_decay: float = 0.0
    ema_from: float = 0.5
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ValueError(f"at least 1 epoch of batches of 2, found {self.epochs} and {self.batch}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"at least 1 step, found {self.steps}")
        if (most := max(self.epochs, self.batch, self.steps or 1)) > MOST_STEPS:
            raise ValueError(f"at most {MOST_STEPS} epochs, steps or records of a batch, found {most}")
        check_positive(learning_rate=self.learning_rate)
        check_at_least(0, weight_decay=self.weight_decay)
        check_below_one(ema_decay=self.ema_decay)
        if not 0 <= self.ema_from <= 1:
            raise ValueError(f"ema_from is {self.ema_from}; expected 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Random crop of crop_samples, gain exp(U(-log_gain, log_gain)), white noise of sd U(0, noise_mv).

    device: the patch that the signal passes through afterwards; None for none.
    """

    crop_samples: int = 800
    log_gain: float = 0.2
    noise_mv: float = 0.02
    device: DeviceConfig | None = None

    def __post_init__(self) -> None:
        check_at_least(1, crop_samples=self.crop_samples)
        check_at_least(0, log_gain=self.log_gain, noise_mv=self.noise_mv)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskConfig:
    """Weights of the terms of the fine-tuning loss beside the MI term, which has weight 1.

    code_min_records: statements with fewer training records get no side head.
    """

    distil: float = 1.0
    codes: float = 0.1
    person: float = 0.3
    code_min_records: int = 15

    def __post_init__(self) -> None:
        check_at_least(0, distil=self.distil, codes=self.codes, person=self.person)
        check_at_least(1, code_min_records=self.code_min_records)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """The 12-lead teacher: (kernel, stride, channels) of its convolutions, and how many to average."""

    layers: tuple[tuple[int, int, int], ...] = (
        (16, 5, 48), (8, 2, 64), (5, 2, 96), (3, 1, 96), (3, 1, 128), (3, 1, 128),
    )  # fmt: skip
    embedding: int = 128
    dropout: float = 0.3
    ensemble: int = 2
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=25))
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    task: TaskConfig = field(default_factory=lambda: TaskConfig(distil=0.0))

    def __post_init__(self) -> None:
        if not self.layers or min(number for layer in self.layers for number in layer) < 1:
            raise ValueError(
                f"layers are {list(map(list, self.layers))}; expected at least one of kernel, stride and channels, each at "
                "least 1"
            )
        check_at_least(1, embedding=self.embedding, ensemble=self.ensemble)
        check_below_one(dropout=self.dropout)

    @property
    def receptive_field(self) -> int:
        """Samples that its convolutions need for one frame."""
        samples = 1
        for kernel, stride, _ in reversed(self.layers):
            samples = (samples - 1) * stride + kernel
        return samples


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignConfig:
    """Alignment of a single-lead encoder with the teacher; scale and bias are the loss's starting values.

    leads: what segments are cut from, each time one lead of a record; lead I alone is the paper's form, and gains
    nothing on few records. weight: of the loss over pairs. task: labels that are learned from the same segments
    beside it, None for none.
    """

    leads: tuple[str, ...] = TWELVE_LEADS
    projection: int = 64
    scale: float = 1 / 0.07
    bias: float | None = -10.0
    weight: float = 1.0
    task: TaskConfig | None = None
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=60, batch=128))
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if not self.leads:
            raise ValueError("alignment cuts its segments from one lead at least")
        check_at_least(1, projection=self.projection)
        check_positive(scale=self.scale)
        check_at_least(0, weight=self.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentConfig:
    """The lead-I network and its fine-tuning."""

    net: NetSpec = PATCHNET_S
    dropout: float = 0.3
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=18, ema_decay=0.99))
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    task: TaskConfig = field(default_factory=TaskConfig)

    def __post_init__(self) -> None:
        check_below_one(dropout=self.dropout)


@dataclass(frozen=True, slots=True, kw_only=True)
class QatConfig:
    """Going on with a trained network in int8 arithmetic; the learning rate was best on fold 8 of three.

    warmup: share of the epochs during which ranges follow the batches, before the scales are learned.
    """

    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=10, learning_rate=1e-3, ema_decay=0.95))
    warmup: float = 0.3

    def __post_init__(self) -> None:
        # an average over states before and after freezing would mix two kinds of scale
        if not 0 < self.warmup <= self.fit.ema_from:
            raise ValueError(
                f"warmup must lie in (0, {self.fit.ema_from}], where averaging starts, found {self.warmup}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the weights and their ranges, apart from data, folds and seed.

    align: None to leave it out. ranges: how activation ranges are chosen after training. noise: folder of NSTDB for
    the patches in `augment`; None for the stand-in.
    """

    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    align: AlignConfig | None = field(default_factory=AlignConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    ranges: RangeMethod = DEFAULT
    noise: Path | None = None

    def with_device(self, device: DeviceConfig | None, noise: Path | None = None) -> Recipe:
        """The same recipe with lead I, and it alone, seen through a patch; None for without."""
        student = replace(self.student, augment=replace(self.student.augment, device=device))
        align = self.align
        if align is not None:
            align = replace(align, augment=replace(align.augment, device=device))
        return replace(self, student=student, align=align, noise=noise)
