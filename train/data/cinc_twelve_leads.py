"""The PhysioNet/CinC challenges of 2020 and 2021: twelve leads of several hospitals, SNOMED CT codes in the headers.

Both hold copies of collections that have loaders of their own, and 2021 holds 2020. So a record goes by the name of
its source, not of the edition: in either it has the same patient and fold. Published by Perez Alday et al.,
Physiological Measurement 41, 124003 (2020), and Reyna et al., Computing in Cardiology 48 (2021).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_mi.errors import RecordError
from edge_mi.records.wfdb_header import Header

from .collection import CollectionInfo, LabelRule
from .header_collection import HeaderCollection, Said
from .headers import age_years, female, fields
from .labels import STATED, describe, judge, stage_of
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


class CincTwelveLeads(HeaderCollection):
    """The challenge of 2020 or 2021, a Collection.

    ptbxl: the folder of PTB-XL; with it the copies of its records are given, under PTB-XL's patients and folds.
    """

    def __init__(
        self, folder: Path, rule: LabelRule | None = None, *, year: int = 2021, ptbxl: Path | None = None
    ) -> None:
        super().__init__(folder, rule)
        self._edition = EDITIONS[year]
        self._ptbxl = ptbxl
        self._known: Mapping[int, tuple[str, int]] = {}

    @property
    def info(self) -> CollectionInfo:
        """What a store says of the challenge."""
        return CollectionInfo(
            name=self._edition.name,
            version=self._edition.version,
            licence="CC-BY-4.0",
            leads=self.leads,
            label_rule=describe(
                self._rule,
                infarction="one of the SNOMED CT codes "
                + ", ".join(f"{code} ({words})" for code, words in INFARCTION.items()),
                normal=f"{SINUS_RHYTHM} (sinus rhythm) as the only code, since there is none of a normal ECG",
                likelihoods=False,
            ),
        )

    def _begin(self) -> None:
        self._known = {} if self._ptbxl is None else patients_of(self._ptbxl)

    def _patient_id(self, path: Path) -> str:
        return f"{_SOURCES[_source(path)[0]]}/{path.stem}"

    def _patient(self, path: Path) -> tuple[str, int] | None:
        source, number = _source(path)
        if source not in self._edition.sources:
            raise RecordError(
                f"{path} is of no source of {self._edition.name}; expected a name that begins with "
                f"{', '.join(self._edition.sources)}: give the folder of one challenge"
            )
        if source in _SOURCES:
            return super()._patient(path)
        if source == _PTBXL and self._ptbxl is not None:
            if int(number) in self._known:
                return self._known[int(number)]
            self.left_out[UNKNOWN_ECG] += 1
        else:
            self.left_out[_NOT_USED[source]] += 1
        return None

    def _said(self, path: Path, header: Header) -> Said:
        del path
        said = fields(header.comments)
        codes = diagnoses(said)
        return Said(
            codes=codes,
            label=judge(codes, self._rule, infarction=INFARCTION, normal=set(codes) == {SINUS_RHYTHM}),
            age_years=age_years(said.get("age", "")),
            female=female(said.get("sex", "")),
            stage=stage_of(recent=_ACUTE in codes, old=_OLD in codes),
        )


def diagnoses(said: Mapping[str, str]) -> dict[str, float]:
    """The SNOMED CT codes of the field Dx; empty where it names none."""
    codes = (code.strip() for code in said.get("dx", "").split(","))
    return dict.fromkeys((code for code in codes if code.isdecimal()), STATED)


def _source(path: Path) -> tuple[str, str]:
    """Beginning and number of a record's name; empty for a name of another form."""
    match = re.fullmatch(r"([A-Z]{1,2})(\d+)", path.stem)
    return (match[1], match[2]) if match else ("", "")
