"""PTB-XL in its published layout, the full download or a part of it.

Folds 1 to 9 only: fold 10 is kept for a last look that nobody takes here (contract C12). Published by
Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset", Scientific Data 7, 154 (2020).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError, StoreError
from edge_mi.files import file_sha256
from edge_mi.records import read_signals
from edge_mi.records.leads import TWELVE_LEADS, lead_rows
from edge_mi.store import Stage, StoredRecord

from .collection import ABSENT, HELD_BACK, REPEATED, CollectionInfo, LabelRule, ListedRecord
from .folds import FOLDS
from .headers import age_years, inside
from .labels import Label, describe, judge
from .tables import table_rows

NAME: Final = "ptbxl"

# the source's stages I (acute) to III (old); between II and III the scar has begun
_STAGES: Final[dict[str, Stage]] = {
    "Stadium I": "recent",
    "Stadium I-II": "recent",
    "Stadium II": "recent",
    "Stadium II-III": "old",
    "Stadium III": "old",
}
_COLUMN_OF_RATE: Final = {100: "filename_lr", 500: "filename_hr"}
_SEXES: Final = {"0": False, "1": True}
_DATABASE: Final = "ptbxl_database.csv"
_VERSIONS: Final = "1.0.1 to 1.0.3"
# 1.0.3 left out 38 records that were there twice
_VERSION_OF_ROWS: Final = {21_837: "1.0.1 or 1.0.2", 21_799: "1.0.3"}
# SHA-256 of the table: as published, and the part of it that the figures of this repository were made on
_VERSION_OF_TABLE: Final = {
    "cd9bf4e6445c5e022605857c4d6f90c90ff0e62df847da52efaebe94de786156": "1.0.1",
    "88465f61f090115315b6eaea2a862d468d57aac690341d7c20970a2b5dd1fd30": "1.0.3",
}
_EXPECTED: Final = (
    f"the tables of PTB-XL {_VERSIONS} (--data, or EDGE_MI_DATA for the folder that holds ptbxl)"
)


class PtbXl:
    """PTB-XL at `rate_hz`, 100 or 500, a Collection; the likelihood of NORM is not asked for.

    Raises RecordError for another rate.
    """

    def __init__(self, folder: Path, rule: LabelRule | None = None, *, rate_hz: int = 100) -> None:
        if rate_hz not in _COLUMN_OF_RATE:
            raise RecordError(f"PTB-XL has no records at {rate_hz} Hz; choose 100 or 500")
        self._folder = folder
        self._rule = rule or LabelRule()
        self._column = _COLUMN_OF_RATE[rate_hz]
        self.left_out: Counter[str] = Counter()

    @property
    def info(self) -> CollectionInfo:
        """What a store says of PTB-XL."""
        return CollectionInfo(
            name="PTB-XL",
            version=self._version,
            licence="CC-BY-4.0",
            leads=TWELVE_LEADS,
            label_rule=describe(
                self._rule,
                infarction="any code whose diagnostic_class in scp_statements.csv is MI",
                normal="the code NORM, at any likelihood",
            ),
        )

    @cached_property
    def _version(self) -> str:
        """The version where the table tells it, else all that are read."""
        table = self._folder / _DATABASE
        try:
            if (known := _VERSION_OF_TABLE.get(file_sha256(table))) is not None:
                return known
            rows = sum(1 for _ in table_rows(table, ("ecg_id",), _EXPECTED))
        except (OSError, RecordError):  # the listing says what is wrong with it
            return _VERSIONS
        return _VERSION_OF_ROWS.get(rows, _VERSIONS)

    def records(self) -> Iterator[ListedRecord]:
        """The records of folds 1 to 9 whose files are here, in the order of the table."""
        self.left_out.clear()
        infarction = _infarction_codes(self._folder / "scp_statements.csv")
        table = self._folder / _DATABASE
        seen = set[int]()
        needed = ("ecg_id", "patient_id", "scp_codes", "strat_fold", self._column)
        for line, row in table_rows(table, needed, _EXPECTED):
            fold, ecg_id = _fold(row), int(_number(row, "ecg_id"))
            if ecg_id in seen:
                self.left_out[REPEATED] += 1
                continue
            seen.add(ecg_id)
            if fold not in FOLDS:
                self.left_out[HELD_BACK] += 1
                continue
            path = inside(self._folder, row[self._column], f"{table}, line {line},")
            if not path.with_suffix(".hea").is_file():
                self.left_out[ABSENT] += 1
                continue
            codes = _codes(row)
            label = judge(codes, self._rule, infarction=infarction, normal="NORM" in codes)
            if not isinstance(label, Label):
                self.left_out[label.reason] += 1
                continue
            yield ListedRecord(record=_record(row, fold, codes, label), path=path)

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """The twelve leads of one record, millivolts float64 (12, samples), and its rate."""
        return _twelve_leads(listed.path)


def patients_of(folder: Path) -> dict[int, tuple[str, int]]:
    """ecg_id -> patient and fold of every record of the table, for copies of PTB-XL in other collections.

    Raises RecordError as the table's reader does.
    """
    rows = table_rows(folder / _DATABASE, ("ecg_id", "patient_id", "strat_fold"), _EXPECTED)
    return {int(_number(row, "ecg_id")): (_patient(row), _fold(row)) for _, row in rows}


@dataclass(frozen=True, slots=True)
class PtbXlTable:
    """Records whose signals are here, with their paths and label rule, and how many listed ones are not."""

    records: tuple[StoredRecord, ...]
    paths: tuple[Path, ...]
    absent: int
    label_rule: str


def read_table(folder: Path, rate_hz: int = 100) -> PtbXlTable:
    """The records of folds 1 to 9 whose files at `rate_hz`, 100 or 500, are in `folder`.

    Raises RecordError where a table is missing or not as published, StoreError where no signal is left.
    """
    collection = PtbXl(folder, rate_hz=rate_hz)
    listed = tuple(collection.records())
    absent = collection.left_out[ABSENT]
    if not listed:
        raise StoreError(
            f"{folder}: the table lists {absent} records of folds 1 to 9 and none of their {rate_hz} Hz files is here: "
            f"download records{rate_hz} or choose the other rate"
        )
    return PtbXlTable(
        tuple(item.record for item in listed),
        tuple(item.path for item in listed),
        absent,
        collection.info.label_rule,
    )


def _twelve_leads(path: Path) -> tuple[NDArray[np.float64], float]:
    signals = read_signals(path)
    return signals.samples_mv[lead_rows(str(path), signals.leads, TWELVE_LEADS)], signals.rate_hz


def _infarction_codes(path: Path) -> frozenset[str]:
    codes = frozenset(
        row[""]
        for _, row in table_rows(path, ("", "diagnostic_class"), _EXPECTED)
        if row["diagnostic_class"] == "MI"
    )
    if not codes:
        raise RecordError(f"{path}: no statement of the class MI; expected the statements of PTB-XL")
    return codes


def _record(row: dict[str, str], fold: int, codes: dict[str, float], label: Label) -> StoredRecord:
    return StoredRecord(
        record_id=f"{int(_number(row, 'ecg_id')):05d}",
        patient_id=_patient(row),
        fold=fold,
        mi=label.mi,
        norm=label.norm,
        codes=codes,
        age_years=age_years(row.get("age", "")),
        female=_SEXES.get(row.get("sex", "").partition(".")[0]),
        stage=_STAGES.get(row.get("infarction_stadium1", "").strip()),
    )


def _patient(row: dict[str, str]) -> str:
    return f"{NAME}/{int(_number(row, 'patient_id'))}"


def _fold(row: dict[str, str]) -> int:
    fold = int(_number(row, "strat_fold"))
    if not 1 <= fold <= 10:
        raise RecordError(f"record {row['ecg_id']} of the PTB-XL table is in fold {fold}; expected 1 to 10")
    return fold


def _number(row: dict[str, str], column: str) -> float:
    """A whole number; some editions of the table write it with a decimal point."""
    try:
        value = float(row[column])
        if value.is_integer():
            return value
    except ValueError:
        pass
    raise RecordError(
        f"record {row['ecg_id']} of the PTB-XL table has the {column} {row[column][:40]!a}; expected a whole number"
    )


def _codes(row: dict[str, str]) -> dict[str, float]:
    try:
        return {
            str(code): float(likelihood) for code, likelihood in ast.literal_eval(row["scp_codes"]).items()
        }
    except (ValueError, SyntaxError, AttributeError, TypeError, MemoryError, RecursionError) as exc:
        raise RecordError(f"record {row['ecg_id']} of the PTB-XL table cannot be parsed: {exc}") from exc
