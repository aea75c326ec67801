"""Groups of folds, and splits that cannot leak: a patient is on one side only, in one store or in several (C12)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError, StoreError
from edge_mi.store import LabelledRecords

from .data.folds import FOLDS

Folds = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SplitRows:
    """Ascending row numbers of a store, int64 (n,), for each side; made by `split_by_folds`, so no patient is on two."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


CROSS_VALIDATION_GROUPS: tuple[Folds, ...] = ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def parse_folds(text: str) -> Folds:
    """Folds written as `1-8` or `1,3,5-7`, ascending. Raises ConfigError for anything but folds 1 to 9."""
    folds: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if match is None:
            raise ConfigError(f"folds {_shown(text)}; expected for example 1-8 or 1,2,5")
        first, last = int(match[1]), int(match[2] or match[1])
        check_folds((first, last))  # before whatever lies between them is written out
        if last < first:
            raise ConfigError(f"folds {_shown(text)}: {first}-{last} goes down; expected the lower one first")
        folds.update(range(first, last + 1))
    return tuple(sorted(folds))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def check_folds(folds: Iterable[int]) -> None:
    """Raises ConfigError for a fold that no training may read."""
    for fold in sorted(folds):
        if fold == 10:
            raise ConfigError("fold 10 is kept for a last look and is not read here; choose folds 1 to 9")
        if fold not in FOLDS:
            raise ConfigError(f"fold {fold}; expected folds 1 to 9")


def pairs(folds: Folds) -> tuple[Folds, ...]:
    """Inner groups of two neighbouring folds each (a last one may be single); at least two groups.

    Raises ConfigError for fewer than two folds.
    """
    if len(folds) < 2:
        raise ConfigError(f"{len(folds)} training fold; cross-fitting needs at least two")
    size = 2 if len(folds) > 2 else 1
    return tuple(folds[start : start + size] for start in range(0, len(folds), size))


def without(folds: Folds, held_out: Folds) -> Folds:
    """`folds` that are not in `held_out`."""
    return tuple(fold for fold in folds if fold not in held_out)


def span(folds: Folds) -> str:
    """Folds as a person writes them: `1-8`, or `1,2,5`."""
    if len(folds) > 1 and folds == tuple(range(folds[0], folds[-1] + 1)):
        return f"{folds[0]}-{folds[-1]}"
    return ",".join(map(str, folds))


def split_by_folds(
    records: LabelledRecords, *, train: Folds, validation: Folds = (), test: Folds = ()
) -> SplitRows:
    """The rows of `records` on each side, by their folds.

    Raises ConfigError for a fold on two sides or one that nobody may read, StoreError, naming the patient, where
    one is on two sides all the same.
    """
    sides = {"train": train, "validation": validation, "test": test}
    side_of: dict[int, str] = {}
    for side, folds in sides.items():
        check_folds(folds)
        for fold in folds:
            if side_of.setdefault(fold, side) != side:
                raise ConfigError(
                    f"fold {fold} is in {side_of[fold]} and in {side}; a fold may be on one side only"
                )
    rows = {
        side: np.flatnonzero(np.isin(records.folds, list(folds))).astype(np.int64)
        for side, folds in sides.items()
    }
    check_apart({side: records.patients[rows[side]].tolist() for side in sides})
    return SplitRows(**rows)


def check_apart(patients: Mapping[str, Iterable[str]]) -> None:
    """Raises StoreError, naming the patient, where one is on two sides; side -> patient ids of its records."""
    side_of: dict[str, str] = {}
    for side, ids in patients.items():
        for patient in ids:
            if side_of.setdefault(patient, side) != side:
                raise StoreError(
                    f"patient {patient} is in {side_of[patient]} and in {side}; a patient may be on one side only: "
                    "leave the records of this patient out on one side"
                )


def names_source(patient: str) -> bool:
    """Whether an id is "<source>/<patient>", so that it means the same in every store."""
    return re.fullmatch(r"[^/]+/.+", patient) is not None


def check_stores_apart(sides: Mapping[str, Sequence[LabelledRecords]]) -> None:
    """Raises StoreError where a patient is on two sides, whatever store or collection the records are in.

    Also where an id names no source ("<source>/<patient>"): ids of two stores could not be compared.
    """
    for side, stores in sides.items():
        for store in stores:
            for patient in np.unique(store.patients).tolist():
                if not names_source(patient):
                    raise StoreError(
                        f"patient {patient} in {side} is named without its source, so stores cannot be "
                        "compared; expected <source>/<patient>: build the store again"
                    )
    check_apart(
        {
            side: [patient for store in stores for patient in np.unique(store.patients).tolist()]
            for side, stores in sides.items()
        }
    )
