"""The PhysioNet/CinC challenge of 2017: lead I of a hand-held device, 300 Hz, rhythm labels only.

A normal rhythm is no normal ECG, so `mi` and `norm` are unknown; the label is kept as a code (N, A, O, ~).
Published by Clifford et al., "AF classification from a short single lead ECG recording", CinC 44 (2017).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from edge_mi.errors import RecordError
from edge_mi.records.wfdb_header import Header

from .collection import NO_DIAGNOSIS, CollectionInfo, LabelRule, ListedRecord
from .header_collection import HeaderCollection, Said
from .labels import STATED, UNLABELLED

NAME: Final = "cinc2017"
LEADS: Final[tuple[str, ...]] = ("I",)
RHYTHMS: Final = ("N", "A", "O", "~")
# corrected three times; the last one where it is there
_REFERENCES: Final = ("REFERENCE-v3.csv", "REFERENCE.csv")
_FOLDERS: Final = ("", "training", "training2017")


class Cinc2017(HeaderCollection):
    """The challenge of 2017, a Collection; the source does not say who was recorded twice: a record is a patient."""

    leads = LEADS

    def __init__(self, folder: Path, rule: LabelRule | None = None) -> None:
        super().__init__(folder, rule)
        self._rhythms: Mapping[str, str] = {}

    @property
    def info(self) -> CollectionInfo:
        """What a store says of the challenge."""
        return CollectionInfo(
            name="CinC 2017", version="1.0.0", licence="ODC-By-1.0", leads=LEADS, label_rule=UNLABELLED
        )

    def _begin(self) -> None:
        self._rhythms = _reference(self._folder)

    def _patient_id(self, path: Path) -> str:
        return f"{NAME}/{path.stem}"

    def _pieces(self, path: Path, patient_id: str, fold: int) -> Iterator[ListedRecord]:
        if path.stem not in self._rhythms:
            self.left_out[NO_DIAGNOSIS] += 1
            return
        yield from super()._pieces(path, patient_id, fold)

    def _said(self, path: Path, header: Header) -> Said:
        del header
        return Said(codes={self._rhythms[path.stem]: STATED}, label=None)


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
