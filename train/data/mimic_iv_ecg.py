"""MIMIC-IV-ECG in its published layout: 800,000 records without a label that is used here.

The reports in machine_measurements.csv may name an infarction and are not read: what is trained without labels
must not have seen any. The list of records is read row by row and the tree never walked. Published by Gow et al.,
"MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset", PhysioNet, version 1.0 (2023).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import StoredRecord

from .collection import ABSENT, HELD_BACK, REPEATED, CollectionInfo, LabelRule, ListedRecord
from .folds import FOLDS, fold_of
from .headers import inside
from .labels import UNLABELLED
from .pieces import read_piece
from .tables import table_rows

NAME: Final = "mimic-iv-ecg"
_COLUMNS: Final = ("subject_id", "study_id", "path")
_EXPECTED: Final = "the record_list.csv of MIMIC-IV-ECG 1.0"


class MimicIvEcg:
    """MIMIC-IV-ECG, a Collection without labels; the rule has nothing to decide."""

    def __init__(self, folder: Path, rule: LabelRule | None = None) -> None:
        self._folder = folder
        self.left_out: Counter[str] = Counter()

    @property
    def info(self) -> CollectionInfo:
        """What a store says of MIMIC-IV-ECG."""
        return CollectionInfo(
            name="MIMIC-IV-ECG",
            version="1.0",
            licence="ODbL-1.0",
            leads=TWELVE_LEADS,
            label_rule=UNLABELLED,
        )

    def records(self) -> Iterator[ListedRecord]:
        """The records of folds 1 to 9 whose files are here, in the order of record_list.csv."""
        self.left_out.clear()
        table = self._folder / "record_list.csv"
        last_subject, studies = "", set[str]()
        for line, row in table_rows(table, _COLUMNS, _EXPECTED):
            subject, study, where = row["subject_id"], row["study_id"], f"{table}, line {line},"
            if not (subject.isdecimal() and study.isdecimal()):
                raise RecordError(
                    f"{where} has subject {subject[:20]!a} and study {study[:20]!a}; expected numbers: "
                    "download it again"
                )
            path = inside(self._folder, row["path"], where)
            if f"p{subject}" not in path.parts or f"s{study}" not in path.parts:
                raise RecordError(
                    f"{where} has the path {row['path'][:80]!a} for subject {subject} and study {study}; expected "
                    f"one with p{subject} and s{study} in it: download it again"
                )
            if subject != last_subject:  # the list goes by subject, so this stays small
                last_subject, studies = subject, set()
            if study in studies:
                self.left_out[REPEATED] += 1
                continue
            studies.add(study)
            patient_id = f"{NAME}/{subject}"
            fold = fold_of(patient_id)
            if fold not in FOLDS:
                self.left_out[HELD_BACK] += 1
            elif not path.with_name(f"{path.name}.hea").is_file():
                self.left_out[ABSENT] += 1
            else:
                record = StoredRecord(
                    record_id=study,
                    patient_id=patient_id,
                    fold=fold,
                    mi=None,
                    norm=None,
                    codes={},
                    age_years=None,
                    female=None,
                )
                yield ListedRecord(record=record, path=path)

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """The twelve leads by name (headers have aVF before aVL), millivolts float64 (12, samples), and the rate."""
        return read_piece(listed.path, listed.start_s, TWELVE_LEADS)
