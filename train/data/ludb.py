"""LUDB, the Lobachevsky University Electrocardiography Database: one record a person, diagnoses in its headers.

Published by Kalyakulina et al., "LUDB: a new open-access validation tool for electrocardiogram delineation
algorithms", IEEE Access 8 (2020); PhysioNet, version 1.0.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from edge_mi.records.wfdb_header import Header

from .collection import CollectionInfo
from .header_collection import HeaderCollection, Said
from .headers import age_years, female, fields
from .labels import STATED, describe, judge, stage_of

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


class Ludb(HeaderCollection):
    """LUDB, a Collection."""

    @property
    def info(self) -> CollectionInfo:
        """What a store says of LUDB."""
        return CollectionInfo(
            name="LUDB",
            version="1.0.1",
            licence="ODC-By-1.0",
            leads=self.leads,
            label_rule=describe(
                self._rule,
                infarction="a diagnosis STEMI or scar formation",
                normal="no diagnosis but sinus rhythm and a normal, vertical or horizontal axis",
                possible="undefined ischemia, scar or supposed NSTEMI",
                likelihoods=False,
            ),
        )

    def _patient_id(self, path: Path) -> str:
        return f"{NAME}/{path.stem}"

    def _said(self, path: Path, header: Header) -> Said:
        del path
        said, codes = fields(header.comments), diagnoses(header.comments)
        return Said(
            codes=codes,
            label=judge(
                codes,
                self._rule,
                infarction=_of_kind(codes, _ACUTE) + _of_kind(codes, _SCAR),
                possible=_of_kind(codes, _UNDEFINED),
                normal=set(codes) <= _NORMAL,
            ),
            age_years=age_years(said.get("age", "")),
            female=female(said.get("sex", "")),
            stage=stage_of(recent=bool(_of_kind(codes, _ACUTE)), old=bool(_of_kind(codes, _SCAR))),
        )


def diagnoses(comments: Iterable[str]) -> dict[str, float]:
    """The sentences after the line `<diagnoses>:` of a header, in lower case and without their full stop."""
    text = "\n".join(comments).lower().partition("<diagnoses>:")[2]
    sentences = (sentence.strip() for sentence in re.split(r"\.(?=\s|$)|\n", text))
    return dict.fromkeys((sentence for sentence in sentences if sentence), STATED)


def _of_kind(codes: Mapping[str, float], kind: str) -> list[str]:
    return [code for code in codes if code.startswith(kind)]
