"""PTB-XL in its published layout, the full download or a part of it, into a window store.

Folds 1 to 9 only: fold 10 is kept for a last look that nobody takes here (contract C12). Published by
Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset", Scientific Data 7, 154 (2020).
"""

from __future__ import annotations

import ast
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.chain.chain import filter_segment
from edge_mi.errors import RecordError, StoreError
from edge_mi.progress import Progress
from edge_mi.records import read_signals
from edge_mi.signal_design import SignalDesign
from edge_mi.store import Manifest, Stage, StoredRecord, StoreSource, filter_sha256, write_store
from edge_mi.workers import WorkerPool

FOLDS: Final = range(1, 10)
LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
RECORD_S: Final = 10
OLDEST_YEARS: Final = 90.0  # the source writes 300 for every age above 89
LABEL_RULE: Final = (
    "mi: any code whose diagnostic_class in scp_statements.csv is MI, at any likelihood (0 means unknown); "
    "norm: the code NORM, at any likelihood"
)

# the source's stages I (acute) to III (old); between II and III the scar has begun
_STAGES: Final[dict[str, Stage]] = {
    "Stadium I": "recent",
    "Stadium I-II": "recent",
    "Stadium II": "recent",
    "Stadium II-III": "old",
    "Stadium III": "old",
}
_COLUMN_OF_RATE: Final = {100: "filename_lr", 500: "filename_hr"}


@dataclass(frozen=True, slots=True)
class PtbXlTable:
    """Records whose signals are here, with their paths, and how many listed ones are not."""

    records: tuple[StoredRecord, ...]
    paths: tuple[Path, ...]
    absent: int


def read_table(folder: Path, rate_hz: int = 100) -> PtbXlTable:
    """The records of folds 1 to 9 whose files at `rate_hz`, 100 or 500, are in `folder`.

    Raises RecordError where a table is missing or not as published, StoreError where no signal is left.
    """
    column = _COLUMN_OF_RATE.get(rate_hz)
    if column is None:
        raise RecordError(f"PTB-XL has no records at {rate_hz} Hz; choose 100 or 500")
    infarction = _infarction_codes(folder / "scp_statements.csv")
    records, paths, absent = [], [], 0
    for row in _rows(
        folder / "ptbxl_database.csv", ("ecg_id", "patient_id", "scp_codes", "strat_fold", column)
    ):
        if int(row["strat_fold"]) not in FOLDS:
            continue
        path = folder / row[column]
        if not path.with_suffix(".hea").is_file():
            absent += 1
            continue
        records.append(_record(row, infarction))
        paths.append(path)
    if not records:
        raise StoreError(
            f"{folder}: the table lists {absent} records of folds 1 to 9 and none of their {rate_hz} Hz files is here: "
            f"download records{rate_hz} or choose the other rate"
        )
    return PtbXlTable(tuple(records), tuple(paths), absent)


def build_store(
    folder: Path,
    out: Path,
    design: SignalDesign,
    *,
    rate_hz: int = 100,
    workers: int = 2,
    force: bool = False,
) -> Manifest:
    """Filter every record of `folder` with `design` and write the store `out`.

    Raises RecordError, StoreError and OutputError as `read_table`, the reader and `write_store` do.
    """
    table = read_table(folder, rate_hz)
    source = StoreSource(
        name="PTB-XL",
        version="1.0.3",
        licence="CC-BY-4.0",
        selection=f"folds 1 to 9, {len(table.records)} of {len(table.records) + table.absent} records",
        source_rate_hz=rate_hz,
        label_rule=LABEL_RULE,
        records_absent=table.absent,
    )
    with Progress(len(table.records), "filtering") as progress:
        return write_store(
            out,
            design=design,
            source=source,
            leads=LEADS,
            records=table.records,
            signals_mv=_filtered(table.paths, design, workers, progress),
            samples_per_record=RECORD_S * design.rate_hz,
            force=force,
        )


def store_name(folder: Path, design: SignalDesign, rate_hz: int = 100) -> str:
    """A folder name that changes with the table, the records that are here, the rate and the filter."""
    table = read_table(folder, rate_hz)
    content = f"{table.records}{len(table.paths)}{rate_hz}{filter_sha256(design)}"
    return f"store-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def filter_record(path: Path, design: SignalDesign) -> NDArray[np.float64]:
    """The twelve leads of one record through the signal chain, float64 (12, samples), millivolts."""
    signals = read_signals(path)
    position = {name.lower(): index for index, name in enumerate(signals.leads)}
    missing = [lead for lead in LEADS if lead.lower() not in position]
    if missing:
        raise RecordError(f"{path}: no lead {', '.join(missing)}; expected the twelve of PTB-XL")
    rows = [position[lead.lower()] for lead in LEADS]
    return filter_segment(design, signals.rate_hz, signals.samples_mv[rows])


def _filtered(
    paths: tuple[Path, ...], design: SignalDesign, workers: int, progress: Progress
) -> Iterator[NDArray[np.float64]]:
    work = partial(filter_record, design=design)
    if workers <= 1 or len(paths) < 64:  # starting a process costs more than a few records
        for path in paths:
            yield work(path)
            progress.advance()
        return
    with WorkerPool(workers) as pool:
        for signals in pool.map(work, paths, chunksize=16):
            yield signals
            progress.advance()


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or [])]
            if missing:
                raise RecordError(
                    f"{path}: no column {', '.join(missing)}; expected the table of PTB-XL 1.0.1 to 1.0.3"
                )
            yield from reader
    except OSError as exc:
        raise RecordError(
            f"{path} cannot be read ({exc.strerror}); expected the folder of PTB-XL: give --data, or set EDGE_MI_DATA to "
            "the folder that holds ptbxl"
        ) from exc


def _infarction_codes(path: Path) -> frozenset[str]:
    codes = frozenset(
        row[""] for row in _rows(path, ("", "diagnostic_class")) if row["diagnostic_class"] == "MI"
    )
    if not codes:
        raise RecordError(f"{path}: no statement of the class MI; expected the statements of PTB-XL")
    return codes


def _record(row: dict[str, str], infarction: frozenset[str]) -> StoredRecord:
    try:
        codes = {
            str(code): float(likelihood) for code, likelihood in ast.literal_eval(row["scp_codes"]).items()
        }
        record_id = f"{int(row['ecg_id']):05d}"
        patient_id = str(int(float(row["patient_id"])))
    except (ValueError, SyntaxError, AttributeError) as exc:
        raise RecordError(f"record {row['ecg_id']} of the PTB-XL table cannot be parsed: {exc}") from exc
    return StoredRecord(
        record_id=record_id,
        patient_id=patient_id,
        fold=int(row["strat_fold"]),
        mi=not infarction.isdisjoint(codes),
        norm="NORM" in codes,
        codes=codes,
        age_years=_age(row.get("age", "")),
        female=_female(row.get("sex", "")),
        stage=_stage(row.get("infarction_stadium1", "")),
    )


def _age(text: str) -> float | None:
    """Years; every age above 89, coded 300, is 90: it stays the oldest, and no side target is wild."""
    return min(float(text), OLDEST_YEARS) if text else None


def _female(text: str) -> bool | None:
    return bool(int(float(text))) if text else None


def _stage(text: str) -> Stage | None:
    return _STAGES.get(text.strip())
