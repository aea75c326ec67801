"""LUDB, the Lobachevsky University Electrocardiography Database: one record a person, diagnoses in its headers.

Published by Kalyakulina et al., "LUDB: a new open-access validation tool for electrocardiogram delineation
algorithms", IEEE Access 8 (2020); PhysioNet, version 1.0.1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

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

NAME: Final = "ludb"
_ACUTE: Final = "stemi"
_SCAR: Final = "scar formation"
_UNDEFINED: Final = "undefined ischemia/scar/supp.nstemi"
_NORMAL: Final = frozenset(
    (
        "rhythm: sinus rhythm",
        *(f"electric axis of the heart: {axis}" for axis in ("normal", "vertical", "horizontal")),
    )
)


class Ludb:
    """LUDB, a Collection."""

    def __init__(self, folder: Path, rule: LabelRule | None = None) -> None:
        self._folder = folder
        self._rule = rule or LabelRule()
        self.left_out: Counter[str] = Counter()

    @property
    def info(self) -> CollectionInfo:
        """What a store says of LUDB."""
        return CollectionInfo(
            name="LUDB",
            version="1.0.1",
            licence="ODC-By-1.0",
            leads=TWELVE_LEADS,
            label_rule=describe(
                self._rule,
                infarction="a diagnosis STEMI or scar formation",
                normal="no diagnosis but sinus rhythm and a normal, vertical or horizontal axis",
                possible="undefined ischemia, scar or supposed NSTEMI",
                likelihoods=False,
            ),
        )

    def records(self) -> Iterator[ListedRecord]:
        """Every record with diagnoses, folds 1 to 9, in the order of RECORDS."""
        self.left_out.clear()
        seen = set[str]()
        for path in list_headers(self._folder):
            patient_id = f"{NAME}/{path.stem}"
            fold = fold_of(patient_id)
            if path.stem in seen:
                self.left_out[REPEATED] += 1
                continue
            seen.add(path.stem)
            if fold not in FOLDS:
                self.left_out[HELD_BACK] += 1
            elif not path.is_file():
                self.left_out[ABSENT] += 1
            else:
                yield from self._listed(path, patient_id, fold)

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """The twelve leads of a record, millivolts float64 (12, samples), and the rate."""
        return read_piece(listed.path, listed.start_s, TWELVE_LEADS)

    def _listed(self, path: Path, patient_id: str, fold: int) -> Iterator[ListedRecord]:
        header = open_header(path)
        codes = diagnoses(header.comments)
        label = judge(
            codes,
            self._rule,
            infarction=_of_kind(codes, _ACUTE) + _of_kind(codes, _SCAR),
            possible=_of_kind(codes, _UNDEFINED),
            normal=set(codes) <= _NORMAL,
        )
        if not codes:
            self.left_out[NO_DIAGNOSIS] += 1
            return
        if not isinstance(label, Label):
            self.left_out[label.reason] += 1
            return
        said = fields(header.comments)
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


def diagnoses(comments: Iterable[str]) -> dict[str, float]:
    """The sentences after the line `<diagnoses>:` of a header, in lower case and without their full stop."""
    text = "\n".join(comments).lower().partition("<diagnoses>:")[2]
    sentences = (sentence.strip() for sentence in re.split(r"\.(?=\s|$)|\n", text))
    return dict.fromkeys((sentence for sentence in sentences if sentence), STATED)


def _of_kind(codes: Mapping[str, float], kind: str) -> list[str]:
    return [code for code in codes if code.startswith(kind)]


def _stage(codes: Mapping[str, float]) -> Stage | None:
    """Recent for an ST elevation infarction, old for a scar, None for both or neither."""
    acute, scar = bool(_of_kind(codes, _ACUTE)), bool(_of_kind(codes, _SCAR))
    if acute == scar:
        return None
    return "recent" if acute else "old"
