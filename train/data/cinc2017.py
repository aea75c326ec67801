"""The PhysioNet/CinC challenge of 2017: lead I of a hand-held device, 300 Hz, rhythm labels only.

A normal rhythm is no normal ECG, so `mi` and `norm` are unknown; the label is kept as a code (N, A, O, ~).
Published by Clifford et al., "AF classification from a short single lead ECG recording", CinC 44 (2017).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.store import StoredRecord

from .collection import (
    ABSENT,
    HELD_BACK,
    NO_DIAGNOSIS,
    REPEATED,
    SHORT,
    CollectionInfo,
    LabelRule,
    ListedRecord,
)
from .folds import FOLDS, fold_of
from .headers import list_headers, open_header
from .labels import STATED, UNLABELLED
from .pieces import pieces_of, read_piece

NAME: Final = "cinc2017"
LEADS: Final = ("I",)
RHYTHMS: Final = ("N", "A", "O", "~")
# corrected three times; the last one where it is there
_REFERENCES: Final = ("REFERENCE-v3.csv", "REFERENCE.csv")
_FOLDERS: Final = ("", "training", "training2017")


class Cinc2017:
    """The challenge of 2017, a Collection; the source does not say who was recorded twice: a record is a patient."""

    def __init__(self, folder: Path, rule: LabelRule | None = None) -> None:
        self._folder = folder
        self.left_out: Counter[str] = Counter()

    @property
    def info(self) -> CollectionInfo:
        """What a store says of the challenge."""
        return CollectionInfo(
            name="CinC 2017", version="1.0.0", licence="ODC-By-1.0", leads=LEADS, label_rule=UNLABELLED
        )

    def records(self) -> Iterator[ListedRecord]:
        """The pieces of every record that the reference names, folds 1 to 9."""
        self.left_out.clear()
        rhythms = _reference(self._folder)
        seen = set[str]()
        for path in list_headers(self._folder):
            name, patient_id = path.stem, f"{NAME}/{path.stem}"
            fold = fold_of(patient_id)
            if name in seen:  # the sample of the challenge repeats records of the training set
                self.left_out[REPEATED] += 1
                continue
            seen.add(name)
            if fold not in FOLDS:
                self.left_out[HELD_BACK] += 1
            elif not path.is_file():
                self.left_out[ABSENT] += 1
            elif name not in rhythms:
                self.left_out[NO_DIAGNOSIS] += 1
            else:
                yield from self._pieces(path, patient_id, fold, rhythms[name])

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """The one signal of a piece as lead I, millivolts float64 (1, samples), and the rate."""
        return read_piece(listed.path, listed.start_s, LEADS)

    def _pieces(self, path: Path, patient_id: str, fold: int, rhythm: str) -> Iterator[ListedRecord]:
        record = StoredRecord(
            record_id=path.stem,
            patient_id=patient_id,
            fold=fold,
            mi=None,
            norm=None,
            codes={rhythm: STATED},
            age_years=None,
            female=None,
        )
        pieces = pieces_of(path, open_header(path), record)
        if not pieces:
            self.left_out[SHORT] += 1
        yield from pieces


def _reference(folder: Path) -> dict[str, str]:
    """Record -> rhythm of the reference in `folder`."""
    places = [folder / inner / name for inner in _FOLDERS for name in _REFERENCES]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise RecordError(f"{folder} has no REFERENCE.csv; expected the folder of the CinC challenge 2017")
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise RecordError(f"{path} cannot be read as a CSV in UTF-8: download it again") from exc
    for row in rows:
        if len(row) != 2 or row[1] not in RHYTHMS:
            raise RecordError(
                f"{path} has the line {','.join(row)[:40]!a}; expected a record and one of {', '.join(RHYTHMS)}"
            )
    return {row[0]: row[1] for row in rows}
