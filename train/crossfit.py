"""The stages that `quick` and `cv` share: soft labels from inner teachers, alignment, students."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .align import AlignRequest, align_part
from .config import AugmentConfig, Recipe
from .device.noise import NoiseTracks, load_noise
from .finetune import StudentRequest, student_part
from .parts import Arrays, RunFolder
from .splits import Folds, pairs, without
from .teacher import TeacherRequest, merge_out_of_fold, teacher_part

Split = tuple[Folds, Folds]  # folds to train on, folds to predict


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentJob:
    """One student: where it trains and predicts, its seed, its soft labels, and for alignment an embedding.

    initial: the state that it begins with where nothing is aligned; None for fresh weights.
    """

    split: Split
    seed: int
    soft_logits: NDArray[np.float32]
    embedding: NDArray[np.float32] | None = None
    initial: Arrays | None = None


def inner_splits(folds: Folds) -> list[Split]:
    """Each pair of `folds` held out once."""
    return [(without(folds, pair), pair) for pair in pairs(folds)]


def train_teachers(run: RunFolder, recipe: Recipe, splits: Sequence[Split], label: str) -> list[list[Arrays]]:
    """Results of the teachers of each split, one for each seed of the ensemble."""
    count = recipe.teacher.ensemble
    parts = [
        teacher_part(TeacherRequest(config=recipe.teacher, train_folds=train, predict_folds=test, seed=seed))
        for train, test in splits
        for seed in range(count)
    ]
    results = run.compute(parts, label)
    return [results[start : start + count] for start in range(0, len(results), count)]


def soft_labels(teachers: Sequence[Sequence[Arrays]]) -> NDArray[np.float32]:
    """Out-of-fold logits float32 (records,) of the teachers of inner splits."""
    return merge_out_of_fold([[part["logits"] for part in seeds] for seeds in teachers])


def train_students(
    run: RunFolder, recipe: Recipe, jobs: Sequence[StudentJob], frames: tuple[int, ...], label: str
) -> list[Arrays]:
    """Results of the students, aligned first where the recipe says so."""
    student = recipe.student
    noise = _training_noise(recipe)
    initial = [job.initial for job in jobs]
    if recipe.align is not None:
        aligns = []
        for job in jobs:
            if job.initial is not None:
                raise ValueError("an encoder to begin with is already aligned")
            if job.embedding is None:
                raise ValueError("alignment needs the embedding of a teacher of the same split")
            request = AlignRequest(
                config=recipe.align,
                net=student.net,
                dropout=student.dropout,
                train_folds=job.split[0],
                seed=job.seed,
            )
            aligns.append(align_part(request, job.embedding, noise(recipe.align.augment)))
        initial = list(run.compute(aligns, f"{label}, alignment"))
    parts = []
    for job, state in zip(jobs, initial, strict=True):
        train, test = job.split
        request_student = StudentRequest(
            config=student, train_folds=train, predict_folds=test, frames=frames, seed=job.seed
        )
        began = "" if state is None else "-encoder" if job.initial is not None else "-aligned"
        parts.append(student_part(request_student, job.soft_logits, state, noise(student.augment), began))
    return run.compute(parts, label)


def _training_noise(recipe: Recipe) -> Callable[[AugmentConfig], Arrays]:
    """The noise that an augmentation needs, read once and only if any does."""

    @cache
    def tracks() -> NoiseTracks:
        return load_noise(recipe.noise).part("train")

    def inputs(augment: AugmentConfig) -> Arrays:
        kinds = () if augment.device is None else augment.device.kinds
        return tracks().arrays(kinds) if kinds else {}

    return inputs
