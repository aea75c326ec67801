"""A window store: filtered records of many patients in one folder, ready for training and measurement.

`manifest.json` says what the store is and holds the hash of the other files; `signals.npy` is int16
(records, leads, samples) on a grid of 2^-12 mV, opened memory-mapped; `records.jsonl` has one line a record.
These are health data: folder and files are for their owner only (contract C10), and a patient lies in one
fold only (contract C12).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.errors import StoreError
from edge_mi.files import new_folder
from edge_mi.signal_design import SignalDesign

SCHEMA: Final = 2
CODES_PER_MV: Final = 4096
LARGEST_CODE: Final = 32767

Stage: TypeAlias = Literal["recent", "old"]

_MANIFEST, _SIGNALS, _RECORDS = "manifest.json", "signals.npy", "records.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """One record's labels; `mi` and `norm` are None where the source gives no labels at all.

    codes: statement -> likelihood in percent, 0 where the source does not know it. age_years: 90 stands for
    90 and over; None where unknown. female: None where unknown. stage: age of the infarction, None where unknown.
    """

    record_id: str
    patient_id: str
    fold: int
    mi: bool | None
    norm: bool | None
    codes: dict[str, float]
    age_years: float | None
    female: bool | None
    stage: Stage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSource:
    """Where the records come from, and the rule that makes `mi` and `norm` of their codes."""

    name: str
    version: str
    licence: str
    selection: str
    source_rate_hz: int
    label_rule: str
    records_absent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The document of a store; `clipped_samples` counts samples beyond what int16 holds (8 mV)."""

    schema: int
    source: StoreSource
    rate_hz: int
    leads: tuple[str, ...]
    samples_per_record: int
    codes_per_mv: int
    clipped_samples: int
    filter_sha256: str
    records: int
    files: dict[str, str]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, this version of edge-mi reads schema {SCHEMA}")
        if self.codes_per_mv != CODES_PER_MV:
            raise ValueError(f"{self.codes_per_mv} codes per mV, expected {CODES_PER_MV}")
        if set(self.files) != {_SIGNALS, _RECORDS}:
            raise ValueError(f"files {sorted(self.files)}, expected {_RECORDS} and {_SIGNALS}")


def filter_sha256(design: SignalDesign) -> str:
    """The hash that stands for a filter design."""
    return hashlib.sha256(strict.dumps(design).encode()).hexdigest()


class LabelledRecords:
    """What `records` say of their patients, as arrays in their order."""

    __slots__ = ()
    records: tuple[StoredRecord, ...]

    @property
    def patients(self) -> NDArray[np.str_]:
        """Patient ids, (records,)."""
        return np.array([record.patient_id for record in self.records])

    @property
    def folds(self) -> NDArray[np.int64]:
        """Folds, int64 (records,)."""
        return np.array([record.fold for record in self.records], dtype=np.int64)

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 for a pattern of myocardial infarction, else 0; int64 (records,). Raises StoreError without labels."""
        return self._known([record.mi for record in self.records])

    @property
    def norms(self) -> NDArray[np.int64]:
        """1 for a normal ECG, else 0; int64 (records,). Raises StoreError without labels."""
        return self._known([record.norm for record in self.records])

    @property
    def ages_years(self) -> NDArray[np.float64]:
        """Ages, float64 (records,), NaN where unknown; 90 stands for 90 and over."""
        ages = [np.nan if record.age_years is None else record.age_years for record in self.records]
        return np.array(ages, dtype=np.float64)

    def _known(self, values: Sequence[bool | None]) -> NDArray[np.int64]:
        unknown = values.count(None)
        if unknown:
            raise StoreError(
                f"{unknown} of {len(values)} records have no label; they can be aligned on, not taught or judged with"
            )
        return np.array(values, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class WindowStore(LabelledRecords):
    """An opened store: `codes` int16 (records, leads, samples), memory-mapped, and `records` in that order."""

    manifest: Manifest
    records: tuple[StoredRecord, ...]
    codes: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def digest(self) -> str:
        """A hash of the whole content, files included through theirs."""
        return hashlib.sha256(strict.dumps(self.manifest).encode()).hexdigest()

    def rows_of(self, folds: Iterable[int]) -> NDArray[np.int64]:
        """Ascending row numbers of the records in `folds`, int64 (n,)."""
        return np.flatnonzero(np.isin(self.folds, list(folds))).astype(np.int64)

    def lead_index(self, lead: str) -> int:
        """Position of `lead`, without regard to case. Raises StoreError where the store has no such lead."""
        for index, name in enumerate(self.manifest.leads):
            if name.lower() == lead.lower():
                return index
        raise StoreError(f"no lead {lead} in this store; it has {', '.join(self.manifest.leads)}")

    def signals_mv(self, rows: NDArray[np.int64], lead: str = "I") -> NDArray[np.float32]:
        """Filtered millivolts of one lead, float32 (len(rows), samples)."""
        signals: NDArray[np.float32] = self.codes[rows, self.lead_index(lead)].astype(np.float32)
        signals /= np.float32(CODES_PER_MV)
        return signals

    def check_filter(self, design: SignalDesign) -> None:
        """Raises StoreError where the records were filtered with anything but `design`."""
        if self.manifest.rate_hz != design.rate_hz:
            raise StoreError(
                f"the store is at {self.manifest.rate_hz} Hz, expected {design.rate_hz} Hz: build it again"
            )
        if self.manifest.filter_sha256 != filter_sha256(design):
            raise StoreError("the store was filtered with another design than expected: build it again")

    @classmethod
    def open(cls, path: Path) -> WindowStore:
        """Open and validate a store. Raises StoreError, naming the folder, for whatever is not as written."""
        manifest = _read(path / _MANIFEST, Manifest)
        for name, expected in manifest.files.items():
            found = _sha256(path / name)
            if found != expected:
                raise StoreError(
                    f"{path / name} was changed since the store was written: build the store again"
                )
        codes = np.load(path / _SIGNALS, mmap_mode="r", allow_pickle=False)
        shape = (manifest.records, len(manifest.leads), manifest.samples_per_record)
        if codes.dtype != np.int16 or codes.shape != shape:
            raise StoreError(
                f"{path / _SIGNALS}: {codes.dtype} {codes.shape}, the manifest says int16 {shape}: build the store again"
            )
        records = _parse_records(path / _RECORDS)
        if len(records) != manifest.records:
            raise StoreError(
                f"{path / _RECORDS}: {len(records)} records, the manifest says {manifest.records}: build the store again"
            )
        check_patients(records)
        return cls(manifest, records, codes)


def check_patients(records: Sequence[StoredRecord]) -> None:
    """Raises StoreError, naming the patient, where one lies in more than one fold (contract C12)."""
    folds: dict[str, int] = {}
    for record in records:
        first = folds.setdefault(record.patient_id, record.fold)
        if first != record.fold:
            raise StoreError(
                f"patient {record.patient_id} is in folds {first} and {record.fold}; a patient may be in one only: "
                "correct the folds of the source"
            )


def to_codes(signals_mv: NDArray[np.float64]) -> tuple[NDArray[np.int16], int]:
    """Millivolts of any shape as int16 codes of 2^-12 mV, half to even, and how many had to be clipped.

    Raises StoreError for a sample that is no number.
    """
    if not np.isfinite(signals_mv).all():
        raise StoreError(
            f"{int((~np.isfinite(signals_mv)).sum())} samples are not numbers; a store holds whole records"
        )
    scaled = np.rint(signals_mv * float(CODES_PER_MV))
    clipped = int((np.abs(scaled) > LARGEST_CODE).sum())
    return np.clip(scaled, -LARGEST_CODE, LARGEST_CODE).astype(np.int16), clipped


def write_store(
    path: Path,
    *,
    design: SignalDesign,
    source: StoreSource,
    leads: Sequence[str],
    records: Sequence[StoredRecord],
    signals_mv: Iterable[NDArray[np.float64]],
    samples_per_record: int,
    force: bool = False,
) -> Manifest:
    """Write a store, whole or not at all; `signals_mv` gives float64 (leads, samples) for each of `records`.

    Raises StoreError for a patient in two folds or a record of another shape, OutputError where `path` exists
    and `force` is not set, or cannot be written.
    """
    check_patients(records)
    shape = (len(records), len(leads), samples_per_record)
    with new_folder(path, ours=(_MANIFEST, _SIGNALS, _RECORDS), force=force) as folder:
        clipped = _write_signals(folder / _SIGNALS, shape, records, signals_mv)
        lines = [json.dumps(strict.encode(record), allow_nan=False) for record in records]
        (folder / _RECORDS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        manifest = Manifest(
            schema=SCHEMA,
            source=source,
            rate_hz=design.rate_hz,
            leads=tuple(leads),
            samples_per_record=samples_per_record,
            codes_per_mv=CODES_PER_MV,
            clipped_samples=clipped,
            filter_sha256=filter_sha256(design),
            records=len(records),
            files={name: _sha256(folder / name) for name in (_SIGNALS, _RECORDS)},
        )
        (folder / _MANIFEST).write_text(strict.dumps(manifest), encoding="utf-8")
        for file in folder.iterdir():
            file.chmod(0o600)
    path.chmod(0o700)
    return manifest


def _write_signals(
    path: Path,
    shape: tuple[int, int, int],
    records: Sequence[StoredRecord],
    signals_mv: Iterable[NDArray[np.float64]],
) -> int:
    codes: Any = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=shape)
    clipped = 0
    for row, (record, signals) in enumerate(zip(records, signals_mv, strict=True)):
        if signals.shape != shape[1:]:
            raise StoreError(
                f"record {record.record_id} has shape {signals.shape}, expected {shape[1:]} (leads, samples)"
            )
        codes[row], over = to_codes(signals)
        clipped += over
    codes.flush()
    return clipped


def _read(path: Path, kind: type[Manifest]) -> Manifest:
    try:
        return strict.loads(path.read_text(encoding="utf-8"), kind)
    except FileNotFoundError as exc:
        raise StoreError(
            f"{path} is missing: {path.parent} is no window store; make one with edge-mi train store"
        ) from exc
    except (OSError, UnicodeDecodeError, strict.DocumentError) as exc:
        raise StoreError(f"{path}: {exc}") from exc


def _parse_records(path: Path) -> tuple[StoredRecord, ...]:
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            records.append(strict.loads(line, StoredRecord))
        except strict.DocumentError as exc:
            raise StoreError(f"{path}, line {number}: {exc}") from exc
    return tuple(records)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise StoreError(f"{path} cannot be read ({exc.strerror}): build the store again") from exc
