"""Writing a window store: signals as they come, then labels, then the manifest."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.errors import StoreError
from edge_mi.files import new_folder
from edge_mi.signal_design import SignalDesign
from edge_mi.store.codes import CODES_PER_MV, MISSING_CODE, to_codes
from edge_mi.store.labels import RecordTable, StoredRecord, check_patients
from edge_mi.store.manifest import (
    FILES,
    LABELS_FILE,
    MANIFEST_FILE,
    SCHEMA,
    SIGNALS_FILE,
    Manifest,
    StoreSource,
    filter_sha256,
    software_versions,
)
from edge_mi.store.signals import BLOCK_RECORDS, BlockHashes, npy_header


class SignalsFile:
    """A `signals.npy` that grows record by record, for its owner only, and is hashed on the way.

    One that is there already is gone through from its start with `peek` and `take`, as far as the caller trusts
    it; `append` then goes on behind what was taken, whatever lay there. Raises OSError as files do.
    """

    def __init__(self, path: Path, leads: int, samples: int) -> None:
        self._shape = (leads, samples)
        self._record_bytes = leads * samples * 2
        # unbuffered, so that a full disk is met where something can be done about it
        self._file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)  # noqa: SIM115, PTH123
        self._hashes = BlockHashes(BLOCK_RECORDS * self._record_bytes)
        self._end = len(npy_header((0, *self._shape)))
        self.records = 0

    def peek(self, records: int) -> bytes:
        """The next `records` records behind what was taken; less where the file ends before."""
        self._file.seek(self._end)
        return read_up_to(self._file, records * self._record_bytes)

    def take(self, data: bytes) -> None:
        """Take what `peek` gave."""
        self._hashes.update(data)
        self._end += len(data)
        self.records += len(data) // self._record_bytes

    def append(self, codes: NDArray[np.int16]) -> None:
        """Append int16 (n, leads, samples)."""
        data = np.ascontiguousarray(codes, dtype="<i2").tobytes()
        self._file.seek(self._end)
        write_all(self._file, data)
        self.take(data)

    def sync(self) -> None:
        """Make what was appended survive a power cut."""
        os.fsync(self._file.fileno())

    def finish(self) -> tuple[str, ...]:
        """Write the header, cut off what was not taken, and close; the hashes of the blocks."""
        self._file.truncate(self._end)
        self._file.seek(0)
        write_all(self._file, npy_header((self.records, *self._shape)))
        self._file.close()
        return self._hashes.digests()

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()


def write_all(file: io.FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file, which may take a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def read_up_to(file: io.FileIO, n_bytes: int) -> bytes:
    """The next `n_bytes` of an unbuffered file; less only where it ends."""
    parts = []
    while n_bytes > 0 and (part := file.read(n_bytes)):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)


def finish_store(
    folder: Path,
    signals: SignalsFile,
    table: RecordTable,
    *,
    design: SignalDesign,
    source: StoreSource,
    leads: Sequence[str],
    samples_per_record: int,
    clipped_samples: int,
    missing_samples: int,
    left_out: Mapping[str, int],
) -> Manifest:
    """Close `signals`, which lies in `folder`, and write labels and manifest beside it.

    Raises StoreError for a patient in two folds or a store without a record.
    """
    check_patients(table)
    if not len(table):
        raise StoreError("no record is left to put into the store")
    buffer = io.BytesIO()
    np.savez(buffer, **table.columns())  # type: ignore[arg-type]  # numpy 2 knows one more keyword
    labels = buffer.getvalue()
    manifest = Manifest(
        schema=SCHEMA,
        source=source,
        rate_hz=design.rate_hz,
        leads=tuple(leads),
        samples_per_record=samples_per_record,
        codes_per_mv=CODES_PER_MV,
        clipped_samples=clipped_samples,
        missing_samples=missing_samples,
        left_out=dict(sorted(left_out.items())),
        filter_sha256=filter_sha256(design),
        versions=software_versions(),
        records=len(table),
        block_records=BLOCK_RECORDS,
        signals_sha256=signals.finish(),
        files={LABELS_FILE: hashlib.sha256(labels).hexdigest()},
    )
    for name, content in ((LABELS_FILE, labels), (MANIFEST_FILE, strict.dumps(manifest).encode())):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    return manifest


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

    NaN is a missing sample. Raises StoreError for a patient in two folds or a record of another shape,
    OutputError where `path` exists and `force` is not set, or cannot be written.
    """
    table = RecordTable.of(records)
    check_patients(table)
    shape = (len(leads), samples_per_record)
    clipped = missing = 0
    with new_folder(path, ours=FILES, force=force) as folder:
        signals = SignalsFile(folder / SIGNALS_FILE, *shape)
        try:
            for row, signal_mv in zip(range(len(table)), signals_mv, strict=True):
                if signal_mv.shape != shape:
                    raise StoreError(
                        f"record {table.record_id(row)} has shape {signal_mv.shape}, expected {shape} (leads, samples)"
                    )
                codes, over = to_codes(signal_mv)
                clipped += over
                missing += int((codes == MISSING_CODE).sum())
                signals.append(codes[None])
            manifest = finish_store(
                folder, signals, table, design=design, source=source, leads=leads,
                samples_per_record=samples_per_record, clipped_samples=clipped, missing_samples=missing, left_out={},
            )  # fmt: skip
        finally:
            signals.close()
    path.chmod(0o700)
    return manifest
