"""The PhysioNet/CinC challenges of 2020 and 2021: twelve leads of several hospitals, SNOMED CT codes in the headers.

Both hold copies of collections that have loaders of their own, and 2021 holds 2020. So a record goes by the name of
its source, not of the edition: in either it has the same patient and fold. Published by Perez Alday et al.,
Physiological Measurement 41, 124003 (2020), and Reyna et al., Computing in Cardiology 48 (2021).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import Stage, StoredRecord

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
from .headers import age_years, female, fields, list_headers, open_header
from .labels import STATED, Label, describe, judge
from .pieces import pieces_of, read_piece
from .ptbxl import patients_of

# dx_mapping_scored.csv and dx_mapping_unscored.csv of physionetchallenges/evaluation-2020 and evaluation-2021
INFARCTION: Final = {
    "164865005": "myocardial infarction",
    "54329005": "anterior myocardial infarction",
    "57054005": "acute myocardial infarction",
    "164867002": "old myocardial infarction",
}
SINUS_RHYTHM: Final = "426783006"
_ACUTE, _OLD = "57054005", "164867002"

# beginning of a record's name -> source; neither challenge names patients, so a record is a patient
_SOURCES: Final = {
    "A": "cpsc2018",
    "Q": "cpsc2018-extra",
    "E": "georgia",
    "JS": "chapman-shaoxing-ningbo",
}
_PTBXL: Final = "HR"
PTBXL_COPY: Final = "copy of PTB-XL (HR), whose patients and fold 10 only its table knows"
UNKNOWN_ECG: Final = "copy of a PTB-XL record that its table does not have"
_NOT_USED: Final = {
    _PTBXL: PTBXL_COPY,
    "S": "copy of PTBDB (S), whose patients the challenge does not name",
    "I": "St Petersburg (I), several records of one patient and no name of the patient",
}


@dataclass(frozen=True, slots=True)
class Edition:
    """One of the two challenges; `sources` are the beginnings of its records' names."""

    name: str
    version: str
    sources: tuple[str, ...]


EDITIONS: Final = {
    2020: Edition("CinC 2020", "1.0.2", ("A", "Q", "I", "S", "HR", "E")),
    2021: Edition("CinC 2021", "1.0.3", ("A", "Q", "I", "S", "HR", "E", "JS")),
}


class CincTwelveLeads:
    """The challenge of 2020 or 2021, a Collection.

    ptbxl: the folder of PTB-XL; with it the copies of its records are given, under PTB-XL's patients and folds.
    """

    def __init__(
        self, folder: Path, rule: LabelRule | None = None, *, year: int = 2021, ptbxl: Path | None = None
    ) -> None:
        self._folder = folder
        self._rule = rule or LabelRule()
        self._edition = EDITIONS[year]
        self._ptbxl = ptbxl
        self.left_out: Counter[str] = Counter()

    @property
    def info(self) -> CollectionInfo:
        """What a store says of the challenge."""
        return CollectionInfo(
            name=self._edition.name,
            version=self._edition.version,
            licence="CC-BY-4.0",
            leads=TWELVE_LEADS,
            label_rule=describe(
                self._rule,
                infarction="one of the SNOMED CT codes "
                + ", ".join(f"{code} ({words})" for code, words in INFARCTION.items()),
                normal=f"{SINUS_RHYTHM} (sinus rhythm) as the only code, since there is none of a normal ECG",
                likelihoods=False,
            ),
        )

    def records(self) -> Iterator[ListedRecord]:
        """The pieces of every record with a diagnosis, folds 1 to 9, in the order of RECORDS or of their names."""
        self.left_out.clear()
        known = {} if self._ptbxl is None else patients_of(self._ptbxl)
        seen = set[str]()
        for path in list_headers(self._folder):
            if path.stem in seen:
                self.left_out[REPEATED] += 1
                continue
            seen.add(path.stem)
            found = self._patient(path, known)
            if found is None:
                continue
            patient_id, fold = found
            if fold not in FOLDS:
                self.left_out[HELD_BACK] += 1
            elif not path.is_file():
                self.left_out[ABSENT] += 1
            else:
                yield from self._pieces(path, patient_id, fold)

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """The twelve leads of a piece, millivolts float64 (12, samples), and the rate."""
        return read_piece(listed.path, listed.start_s, TWELVE_LEADS)

    def _patient(self, path: Path, known: Mapping[int, tuple[str, int]]) -> tuple[str, int] | None:
        """Patient and fold of a record; None, counted, where its patient is not known."""
        match = re.fullmatch(r"([A-Z]{1,2})(\d+)", path.stem)
        source, number = match.groups() if match else ("", "")
        if source not in self._edition.sources:
            raise RecordError(
                f"{path} is of no source of {self._edition.name}; expected a name that begins with "
                f"{', '.join(self._edition.sources)}: give the folder of one challenge"
            )
        if source in _SOURCES:
            patient_id = f"{_SOURCES[source]}/{path.stem}"
            return patient_id, fold_of(patient_id)
        if source == _PTBXL and self._ptbxl is not None:
            if int(number) in known:
                return known[int(number)]
            self.left_out[UNKNOWN_ECG] += 1
        else:
            self.left_out[_NOT_USED[source]] += 1
        return None

    def _pieces(self, path: Path, patient_id: str, fold: int) -> Iterator[ListedRecord]:
        header = open_header(path)
        said = fields(header.comments)
        codes = diagnoses(said)
        if not codes:
            self.left_out[NO_DIAGNOSIS] += 1
            return
        label = judge(codes, self._rule, infarction=INFARCTION, normal=set(codes) == {SINUS_RHYTHM})
        if not isinstance(label, Label):
            self.left_out[label.reason] += 1
            return
        record = StoredRecord(
            record_id=path.stem,
            patient_id=patient_id,
            fold=fold,
            mi=label.mi,
            norm=label.norm,
            codes=codes,
            age_years=age_years(said.get("age", "")),
            female=female(said.get("sex", "")),
            stage=_stage(codes),
        )
        pieces = pieces_of(path, header, record)
        if not pieces:
            self.left_out[SHORT] += 1
        yield from pieces


def diagnoses(said: Mapping[str, str]) -> dict[str, float]:
    """The SNOMED CT codes of the field Dx; empty where it names none."""
    codes = (code.strip() for code in said.get("dx", "").split(","))
    return dict.fromkeys((code for code in codes if code.isdecimal()), STATED)


def _stage(codes: Mapping[str, float]) -> Stage | None:
    acute, old = _ACUTE in codes, _OLD in codes
    if acute == old:
        return None
    return "recent" if acute else "old"
