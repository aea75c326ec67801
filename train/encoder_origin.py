"""What an encoder has seen, and that nothing of it is judged on (contract C12).

An encoder goes from hand to hand: a teacher was trained on one store, a student on another, a network begins with
the student. What each saw is handed on with it, patients as hashes of their ids, so that the last one can be asked
whether it, or anything that taught it, has met a record that it is to be judged on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_mi.checkpoint import DataSource
from edge_mi.errors import ConfigError
from edge_mi.store import WindowStore

from .splits import Folds, names_source, span


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Records that weights were trained on.

    store: its digest. patients: a key of each, see `patient_keys`. named: whether their ids name the source, so that
    they can be compared with those of any other store.
    """

    data: DataSource
    store: str
    folds: Folds
    named: bool
    patients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Everything that an encoder and its teachers saw; `unknown`: files of weights of which nothing is known."""

    seen: tuple[Seen, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What was seen, in words."""
        seen = [f"{each.data.name} {each.data.version}, {each.data.selection}" for each in self.seen]
        return ", ".join(
            [*seen, *(f"what is behind {name}, of which nothing is known" for name in self.unknown)]
        )

    def and_then(self, other: Origin) -> Origin:
        """What both saw, each once."""
        return Origin(
            seen=tuple(dict.fromkeys((*self.seen, *other.seen))),
            unknown=tuple(dict.fromkeys((*self.unknown, *other.unknown))),
        )


def said_of_file(file: Path, sha256: str) -> str:
    """An encoder in a few words: its file and hash."""
    return f"{file.name} (sha256 {sha256})"


def origin_of(store: WindowStore, rows: NDArray[np.int64]) -> Origin:
    """The origin of weights that are trained on `rows` of `store`."""
    source = store.manifest.source
    folds = tuple(np.unique(store.folds[rows]).tolist())
    patients = np.unique(store.patients[rows]).tolist()
    seen = Seen(
        data=DataSource(
            name=source.name,
            version=source.version,
            licence=source.licence,
            records=len(rows),
            patients=len(patients),
            selection=f"folds {span(folds)} of: {source.selection}",
        ),
        store=store.digest,
        folds=folds,
        named=all(map(names_source, patients)),
        patients=tuple(sorted(patient_keys(store, patients).values())),
    )
    return Origin(seen=(seen,))


def patient_keys(store: WindowStore, patients: Iterable[str]) -> dict[str, str]:
    """Patient id -> 64 bits of a hash; an id that names no source has one of its store alone."""
    return {
        patient: _hash(patient if names_source(patient) else f"{store.digest}\0{patient}")
        for patient in patients
    }


def check_unseen(file: Path, origin: Origin, store: WindowStore, folds: Folds) -> tuple[str, ...]:
    """Raises ConfigError, naming the folds, where the encoder in `file` saw what `folds` of `store` are judged on.

    Returns what could not be checked, a sentence each.
    """
    rows = store.rows_of(folds)
    keys = patient_keys(store, np.unique(store.patients[rows]).tolist())
    source = store.manifest.source.name
    doubts = [
        f"nothing is known of the data behind {name}, so whether they hold patients of {source} could not be checked"
        for name in origin.unknown
    ]
    for seen in origin.seen:
        met = set(keys.values()) & set(seen.patients)
        shared = [patient for patient, key in keys.items() if key in met]
        if shared:
            here = store.folds[rows[np.isin(store.patients[rows], shared)]]
            _refuse(
                file, np.unique(here).tolist(), source, f"{len(shared)} patients, one of them {shared[0]}"
            )
        if seen.store == store.digest or (seen.named and all(map(names_source, keys))):
            continue
        if seen.data.name == source and (both := sorted(set(seen.folds) & set(folds))):
            _refuse(file, both, source, "in another store of that collection")
        doubts.append(
            f"{file.name} saw {seen.data.name} {seen.data.version} (store {seen.store[:12]}), this is {source} "
            f"{store.manifest.source.version} (store {store.digest[:12]}): patients are named without their source, so "
            "whether the two share one could not be checked"
        )
    return tuple(doubts)


def saw(origin: Origin, store: WindowStore, rows: NDArray[np.int64]) -> bool:
    """Whether a patient of `rows` is among those that are known to have been seen."""
    keys = set(patient_keys(store, np.unique(store.patients[rows]).tolist()).values())
    return any(not keys.isdisjoint(seen.patients) for seen in origin.seen)


def _refuse(file: Path, folds: list[int], source: str, what: str) -> None:
    raise ConfigError(
        f"{file} saw fold {span(tuple(folds))} of {source} ({what}), which is to be judged on: hold out other folds, or "
        "pre-train again with --folds that leave it out"
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
