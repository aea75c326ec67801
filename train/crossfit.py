"""The stages that every training shares: soft labels from inner teachers, alignment, students.

A student is taught by soft labels of its own training folds only, and each of these comes from teachers that saw
neither that record nor what the student is asked afterwards. So its predictions are out of fold in every respect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import StoreError
from edge_mi.store import WindowStore

from .align import AlignRequest, align_part
from .config import AugmentConfig, Recipe
from .device.noise import NoiseTracks, load_noise
from .finetune import StudentRequest, student_part
from .parts import Arrays, RunFolder
from .splits import Folds, pairs, span, split_by_folds, without
from .teacher import TeacherRequest, teacher_part

Split = tuple[Folds, Folds]  # folds to train on, folds to predict
# how deep folds are held out inside the training folds of cross-validation: for students, and for the teachers of each
INNER: Final = 2


def all_folds(groups: Iterable[Folds]) -> Folds:
    """The folds of all groups, in order."""
    return tuple(sorted(fold for group in groups for fold in group))


def outer_splits(groups: Sequence[Folds]) -> list[Split]:
    """Each group held out once from the folds of all."""
    folds = all_folds(groups)
    return [(without(folds, group), group) for group in groups]


def inner_splits(folds: Folds) -> list[Split]:
    """Each pair of `folds` held out once."""
    return [(without(folds, pair), pair) for pair in pairs(folds)]


def with_inner(splits: Sequence[Split]) -> list[Split]:
    """`splits`, and behind them the inner splits of each one's training folds: those that need soft labels."""
    return [*splits, *(inner for train, _ in splits for inner in inner_splits(train))]


def check_groups(store: WindowStore, groups: Sequence[Folds], *, inner: int) -> None:
    """Raises StoreError, naming the folds, where `groups`, held out in turn, cannot all be trained and judged on.

    Each needs records of both classes, and the pairs of folds that are held out inside the training folds, `inner`
    times over, need records. Raises what `split_by_folds` does too. To be asked before work that takes hours.
    """
    splits = outer_splits(groups)
    for train, group in splits:
        split_by_folds(store, train=train, test=group)
    store.check_labelled()
    asked = dict.fromkeys(groups)
    nested = splits
    for _ in range(inner):
        nested = [each for train, _ in nested for each in inner_splits(train)]
        asked.update(dict.fromkeys(held_out for _, held_out in nested))
    there = set(np.unique(store.folds).tolist())
    if (empty := next((group for group in asked if there.isdisjoint(group)), None)) is not None:
        missing = tuple(fold for fold in all_folds(groups) if fold not in there)
        raise StoreError(
            f"the store has no record of folds {span(missing)}, and {span(empty)} are held out together: give one with "
            "records of all folds"
        )
    for group in groups:
        labels = store.labels[store.rows_of(group)]
        if not 0 < labels.sum() < len(labels):
            raise StoreError(
                f"folds {span(group)}: all {len(labels)} records are of one class; both are needed"
            )


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


def soft_labels(
    run: RunFolder, recipe: Recipe, splits: Sequence[Split], label: str
) -> list[NDArray[np.float32]]:
    """For each split the soft labels of its training folds, float32 (records,), NaN elsewhere.

    They come from teachers of inner splits of these folds, so the folds that a split predicts have no part in
    them. A teacher serves every split that asks for its training folds.
    """
    inner = [inner_splits(train) for train, _ in splits]
    asked: dict[Folds, Folds] = {}
    for train, held_out in (each for group in inner for each in group):
        asked[train] = tuple(sorted({*asked.get(train, ()), *held_out}))
    teachers = dict(zip(asked, train_teachers(run, recipe, list(asked.items()), label), strict=True))
    return [
        merge_folds(run.store, [(held_out, _mean_logits(teachers[train])) for train, held_out in group])
        for group in inner
    ]


def merge_folds(
    store: WindowStore, predictions: Iterable[tuple[Folds, NDArray[np.float32]]]
) -> NDArray[np.float32]:
    """One prediction a record, float32 (records, ...): of each group of folds its own, NaN in folds without.

    Of several outputs some may be NaN. Raises ValueError where two groups hold one fold, or where a group was not predicted.
    """
    merged: NDArray[np.float32] | None = None
    seen: set[int] = set()
    for folds, predicted in predictions:
        if not seen.isdisjoint(folds):
            raise ValueError(f"folds {folds}: a record was predicted by networks of two groups")
        seen.update(folds)
        if merged is None:
            merged = np.full(predicted.shape, np.nan, dtype=np.float32)
        rows = store.rows_of(folds)
        if np.isnan(predicted[rows]).reshape(len(rows), -1).all(axis=1).any():
            raise ValueError(f"folds {folds}: a record was not predicted")
        merged[rows] = predicted[rows]
    if merged is None:
        raise ValueError("no predictions to merge")
    return merged


def _mean_logits(ensemble: Sequence[Arrays]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.mean(np.stack([part["logits"] for part in ensemble]), axis=0)
    return mean


def train_students(
    run: RunFolder,
    recipe: Recipe,
    splits: Sequence[Split],
    soft: Sequence[NDArray[np.float32]],
    seeds: Sequence[int],
    frames: tuple[int, ...],
    label: str,
    encoders: Sequence[Arrays] = (),
) -> list[list[Arrays]]:
    """For each seed the results of one student a split, aligned first where the recipe says so.

    soft: what `soft_labels` gives for `splits`. frames: window lengths to predict with. encoders: the states that the
    students of `splits` begin with; none for fresh weights.
    """
    student = recipe.student
    noise = _training_noise(recipe)
    jobs = [(seed, i) for seed in seeds for i in range(len(splits))]
    initial: list[Arrays | None] = [encoders[i] if encoders else None for _, i in jobs]
    began = "-encoder" if encoders else "-aligned" if recipe.align else ""
    if recipe.align is not None:
        if encoders:
            raise ValueError("an encoder to begin with is already aligned")
        aims = train_teachers(run, recipe, splits, "12-lead teachers to align with")
        aligns = []
        for seed, i in jobs:
            request = AlignRequest(
                config=recipe.align,
                net=student.net,
                dropout=student.dropout,
                train_folds=splits[i][0],
                seed=seed,
            )
            aligns.append(align_part(request, aims[i][0]["embedding"], noise(recipe.align.augment)))
        initial = list(run.compute(aligns, f"{label}, alignment"))
    parts = []
    for (seed, i), state in zip(jobs, initial, strict=True):
        train, test = splits[i]
        request_student = StudentRequest(
            config=student, train_folds=train, predict_folds=test, frames=frames, seed=seed
        )
        parts.append(student_part(request_student, soft[i], state, noise(student.augment), began))
    results, count = run.compute(parts, label), len(splits)
    return [results[start : start + count] for start in range(0, len(results), count)]


def _training_noise(recipe: Recipe) -> Callable[[AugmentConfig], Arrays]:
    """The noise that an augmentation needs, read once and only if any does."""

    @cache
    def tracks() -> NoiseTracks:
        return load_noise(recipe.noise).part("train")

    def inputs(augment: AugmentConfig) -> Arrays:
        kinds = () if augment.device is None else augment.device.kinds
        return tracks().arrays(kinds) if kinds else {}

    return inputs
