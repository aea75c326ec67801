"""Reading a window store."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.errors import StoreError
from edge_mi.signal_design import SignalDesign
from edge_mi.store.codes import to_millivolts
from edge_mi.store.labels import LabelledRecords, RecordTable, check_patients
from edge_mi.store.manifest import (
    LABELS_FILE,
    MANIFEST_FILE,
    SCHEMA,
    SIGNALS_FILE,
    Manifest,
    filter_sha256,
)
from edge_mi.store.signals import open_codes, verify_signals

# every process of a training run opens the store; this much is hashed in a quarter of a second
VERIFIED_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class WindowStore(LabelledRecords):
    """An opened store: `codes` int16 (records, leads, samples), memory-mapped, and `records` in that order."""

    manifest: Manifest
    records: RecordTable
    codes: NDArray[np.int16]
    path: Path

    def __len__(self) -> int:
        return len(self.records)

    @property
    def digest(self) -> str:
        """A hash of the whole content, files included through theirs."""
        return self.manifest.digest

    def rows_of(self, folds: Iterable[int]) -> NDArray[np.int64]:
        """Ascending row numbers of the records in `folds`, int64 (n,)."""
        return np.flatnonzero(np.isin(self.folds, list(folds))).astype(np.int64)

    def lead_index(self, lead: str) -> int:
        """Position of `lead`, without regard to case. Raises StoreError where the store has no such lead."""
        for index, name in enumerate(self.manifest.leads):
            if name.lower() == lead.lower():
                return index
        raise StoreError(f"no lead {lead} in this store; it has {', '.join(self.manifest.leads)}")

    def signals_mv(
        self, rows: NDArray[np.int64], lead: str = "I", *, missing_mv: float = np.nan
    ) -> NDArray[np.float32]:
        """Filtered millivolts of one lead, float32 (len(rows), samples); `missing_mv` where a sample is missing."""
        return to_millivolts(self.codes[rows, self.lead_index(lead)], missing_mv)

    def check_filter(self, design: SignalDesign) -> None:
        """Raises StoreError where the records were filtered with anything but `design`."""
        if self.manifest.rate_hz != design.rate_hz:
            raise StoreError(
                f"the store is at {self.manifest.rate_hz} Hz, expected {design.rate_hz} Hz: build it again"
            )
        if self.manifest.filter_sha256 != filter_sha256(design):
            raise StoreError("the store was filtered with another design than expected: build it again")

    def verify(self) -> Iterator[int]:
        """Compare all signals with their hashes, block by block; yields how many records a block holds.

        Raises StoreError at the first block that was changed.
        """
        return verify_signals(self.path / SIGNALS_FILE, self.manifest)

    @classmethod
    def open(cls, path: Path) -> WindowStore:
        """Open and validate a store; signals above 256 MiB by their size only, see `verify`.

        Raises StoreError, naming the folder, for whatever is not as written.
        """
        manifest = read_manifest(path / MANIFEST_FILE)
        records = _read_labels(path / LABELS_FILE, manifest)
        store = cls(manifest, records, open_codes(path / SIGNALS_FILE, manifest), path)
        if store.codes.nbytes <= VERIFIED_BYTES:
            for _ in store.verify():
                pass
        return store


def read_manifest(path: Path) -> Manifest:
    """The document of a store. Raises StoreError where it is missing or not as written."""
    try:
        text = path.read_text(encoding="utf-8")
        if (schema := strict.other_schema(text, SCHEMA)) is not None:
            raise StoreError(
                f"{path}: schema {schema}, this version of edge-mi reads schema {SCHEMA}; build the store again"
            )
        return strict.loads(text, Manifest)
    except FileNotFoundError as exc:
        raise StoreError(
            f"{path} is missing: {path.parent} is no window store; make one with edge-mi data build"
        ) from exc
    except (OSError, UnicodeDecodeError, strict.DocumentError) as exc:
        raise StoreError(f"{path}: {exc}") from exc


def _read_labels(path: Path, manifest: Manifest) -> RecordTable:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise StoreError(f"{path} cannot be read ({exc.strerror}): build the store again") from exc
    if hashlib.sha256(content).hexdigest() != manifest.files[LABELS_FILE]:
        raise StoreError(f"{path} was changed since the store was written: build the store again")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            table = RecordTable.from_columns({name: archive[name] for name in archive.files})
    except (ValueError, EOFError, BadZipFile) as exc:
        raise StoreError(f"{path}: {exc}") from exc
    if len(table) != manifest.records:
        raise StoreError(
            f"{path}: {len(table)} records, the manifest says {manifest.records}: build the store again"
        )
    check_patients(table)
    return table
