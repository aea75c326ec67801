"""PTBDB, the PTB Diagnostic ECG Database: labels, site and age of an infarction from the comments of its headers.

Records of up to two minutes at 1000 Hz are given as pieces of 10 s; the Frank leads vx, vy, vz, in files of their
own (.xyz), are not used. Published by Bousseljot, Kreiseler and Schnabel, PhysioNet, version 1.0.0 (2004).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from edge_mi.errors import RecordError
from edge_mi.records.wfdb_header import Header
from edge_mi.store import Stage

from .collection import CollectionInfo
from .header_collection import HeaderCollection, Said
from .headers import age_years, female, fields
from .labels import STATED, describe, judge

NAME: Final = "ptbdb"
HEALED_DAYS: Final = (
    29  # Thygesen et al., Universal definition of myocardial infarction, 2007: healed from day 29 on
)

_MI: Final = "MI"
_MENTIONED: Final = "MI, mentioned"
_HEALTHY: Final = "healthy control"
_NOTHING: Final = frozenset(("", "no", "none", "n/a", "unknown", "-"))
# the code of PTB-XL for each site, so that a type means the same in both; other sites have the code MI alone
_SITE_PARTS: Final = {"ant": "A", "sept": "S", "inf": "I", "post": "P", "lat": "L"}
_TYPES: Final = {
    "A": "AMI",
    "AS": "ASMI",
    "AL": "ALMI",
    "I": "IMI",
    "IL": "ILMI",
    "IP": "IPMI",
    "IPL": "IPLMI",
    "L": "LMI",
    "P": "PMI",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class PtbDb(HeaderCollection):
    """PTBDB, a Collection."""

    @property
    def info(self) -> CollectionInfo:
        """What a store says of PTBDB."""
        return CollectionInfo(
            name="PTBDB",
            version="1.0.0",
            licence="ODC-By-1.0",
            leads=self.leads,
            label_rule=describe(
                self._rule,
                infarction="reason for admission myocardial infarction, or the site of an acute or former one",
                normal="healthy control",
                possible="an infarction among the additional diagnoses",
                likelihoods=False,
            ),
        )

    def _name(self, path: Path) -> str:
        patient = path.parent.name
        if re.fullmatch(r"patient\d+", patient) is None:
            raise RecordError(
                f"{path} is in no folder of a patient; expected patientNNN/ as in PTBDB, since the folder is the "
                "only name of the patient"
            )
        return f"{patient}/{path.stem}"

    def _patient_id(self, path: Path) -> str:
        return f"{NAME}/{path.parent.name}"

    def _said(self, path: Path, header: Header) -> Said:
        del path
        said = fields(header.comments)
        codes = statements(said)
        return Said(
            codes=codes,
            label=judge(
                codes, self._rule, infarction=(_MI,), possible=(_MENTIONED,), normal=_HEALTHY in codes
            ),
            age_years=age_years(said.get("age", "")),
            female=female(said.get("sex", "")),
            stage=stage(said),
        )


def statements(said: Mapping[str, str]) -> dict[str, float]:
    """The codes of a header's fields: the reason for admission, MI, and the type of PTB-XL of each site.

    Empty where the header gives neither a reason nor a site.
    """
    reason = said.get("reason for admission", "").strip().lower()
    sites = [site for site in (_site(said, "acute"), _site(said, "former")) if site]
    codes = [] if reason in _NOTHING else [reason]
    if sites or "myocardial infarction" in reason:
        codes.append(_MI)
    elif codes and "infarct" in said.get("additional diagnoses", "").lower():
        codes.append(_MENTIONED)
    codes += [code for site in sites if (code := infarction_type(site)) is not None]
    return dict.fromkeys(codes, STATED)


def infarction_type(site: str) -> str | None:
    """PTB-XL's code for a site such as `infero-lateral`, which headers also cut short; None for any other."""
    letters = "".join(
        next((letter for part, letter in _SITE_PARTS.items() if word.startswith(part)), "?")
        for word in re.split(r"[\s-]+", site.lower().strip())
    )
    return _TYPES.get(letters)


def stage(said: Mapping[str, str]) -> Stage | None:
    """Recent up to 28 days after the acute infarction, else old; old also where only a former one is stated.

    None where the dates do not tell.
    """
    if not _site(said, "acute") and _site(said, "former"):
        return "old"
    recorded, infarcted = _day(said.get("ecg date", "")), _day(said.get("infarction date (acute)", ""))
    if recorded is None or infarcted is None or recorded < infarcted:
        return None
    return "recent" if (recorded - infarcted).days < HEALED_DAYS else "old"


def _site(said: Mapping[str, str], when: str) -> str | None:
    site = said.get(f"{when} infarction (localization)", "").strip().lower()
    return None if site in _NOTHING else site


def _day(text: str) -> date | None:
    """A day written as 01/10/1990 (day first) or 29-Sep-90; None for anything else."""
    match = re.fullmatch(r"(\d{1,2})[/-](\d{1,2}|[A-Za-z]{3})[/-](\d{2}|\d{4})", text.strip())
    if match is None:
        return None
    day, month, year = match.groups()
    if month.isdigit():
        number = int(month)
    elif month.lower() in _MONTHS:
        number = 1 + _MONTHS.index(month.lower())
    else:
        return None
    try:
        return date(int(year) + (1900 if len(year) == 2 else 0), number, int(day))
    except ValueError:
        return None
