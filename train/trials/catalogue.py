"""What was tried: each trial is one change of the recipe, on the same records, splits, teachers and seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ..config import AlignConfig, Recipe, TaskConfig
from .change import UNCHANGED, Change

SCRATCH: Final = "scratch"
ALIGNED: Final = "aligned"
LONGER: Final = "30-epochs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """`words` say what is tried; `against` names what it is compared with; `of` makes its recipe from the shipped one."""

    words: str
    against: str
    of: Callable[[Recipe], Recipe] = lambda recipe: recipe
    change: Change = UNCHANGED


def _task(**weights: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(
        recipe, student=replace(recipe.student, task=replace(recipe.student.task, **weights))
    )


def _fit(**settings: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(
        recipe, student=replace(recipe.student, fit=replace(recipe.student.fit, **settings))
    )


def _crop(samples: int) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(
        recipe,
        student=replace(recipe.student, augment=replace(recipe.student.augment, crop_samples=samples)),
    )


def _align(**settings: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, align=replace(recipe.align or AlignConfig(), **settings))


def _align_crop(samples: int) -> Callable[[Recipe], Recipe]:
    augment = replace(AlignConfig().augment, crop_samples=samples)
    return _align(augment=augment)


_LABELS: Final = TaskConfig(distil=0.0)

TRIALS: Final[dict[str, Trial]] = {
    ALIGNED: Trial(words="SelfMIS on segments of every lead before lead I", against=SCRATCH, of=_align()),
    "no-soft-labels": Trial(words="no soft labels of the 12-lead teachers", against=SCRATCH, of=_task(distil=0.0)),
    "no-statements": Trial(words="no SCP statements as targets", against=SCRATCH, of=_task(codes=0.0)),
    "no-person": Trial(words="neither age nor sex as targets", against=SCRATCH, of=_task(person=0.0)),
    "superclasses": Trial(
        words="the five diagnostic superclasses as targets", against=SCRATCH, change=Change(superclasses=0.3)
    ),
    "places": Trial(words="the place of the infarction as targets", against=SCRATCH, change=Change(places=0.3)),
    "beats": Trial(
        words="the median beat in all twelve leads as target", against=SCRATCH, change=Change(beats=0.3)
    ),
    "hard-negatives": Trial(
        words="MI against other abnormal records once more in the loss", against=SCRATCH, change=Change(hard_negatives=1.0)
    ),
    "ranking": Trial(
        words="pairs of infarctions and other abnormal records ranked", against=SCRATCH, change=Change(ranking=0.5)
    ),
    "mixup": Trial(words="mixup, alpha 0.2", against=SCRATCH, change=Change(mixup=0.2)),
    "mixed-leads": Trial(
        words="other leads mixed into lead I with weights of deviation 0.3", against=SCRATCH, change=Change(mixed_leads=0.3)
    ),
    "mean-max": Trial(words="mean and maximum of the frames pooled", against=SCRATCH, change=Change(pooling="mean_max")),
    "mean-deviation": Trial(
        words="mean and deviation of the frames pooled", against=SCRATCH, change=Change(pooling="mean_deviation")
    ),
    "no-weight-decay": Trial(words="no weight decay", against=SCRATCH, of=_fit(weight_decay=0.0)),
    "weight-decay": Trial(words="weight decay 0.1, ten times as much", against=SCRATCH, of=_fit(weight_decay=0.1)),
    LONGER: Trial(words="30 epochs instead of 18", against=SCRATCH, of=_fit(epochs=30)),
    "aligned-30-epochs": Trial(
        words="SelfMIS on segments of every lead, then 30 epochs instead of 18", against=LONGER,
        of=lambda recipe: _fit(epochs=30)(_align()(recipe)),
    ),
    "views-5s": Trial(words="views of 5 s instead of 8 s", against=SCRATCH, of=_crop(500)),
    "lead-i-only": Trial(
        words="SelfMIS on segments of lead I alone, as the paper has it", against=SCRATCH, of=_align(leads=("I",))
    ),
    "labels": Trial(
        words="labels instead of SelfMIS, on the same segments of every lead", against=ALIGNED,
        of=_align(weight=0.0, task=_LABELS),
    ),
    "labels-beside": Trial(
        words="labels beside SelfMIS, on the same segments of every lead", against=ALIGNED,
        of=_align(task=_LABELS),
    ),
    "segments-4s": Trial(words="segments of 4 s instead of 8 s aligned", against=ALIGNED, of=_align_crop(400)),
    "segments-10s": Trial(words="whole records of 10 s aligned", against=ALIGNED, of=_align_crop(1000)),
}  # fmt: skip
