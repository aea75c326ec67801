"""The signals of a store as one .npy file: its header, and hashes of blocks that can be checked one by one."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import StoreError
from edge_mi.store.manifest import Manifest

BLOCK_RECORDS: Final = 4096  # 98 MB of twelve leads of 10 s
_DTYPE: Final = "<i2"
_CHUNK_BYTES: Final = 1 << 20


def npy_header(shape: tuple[int, int, int]) -> bytes:
    """The .npy header of int16 (records, leads, samples); as long for any number of records."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": _DTYPE, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


class BlockHashes:
    """Hashes of consecutive blocks of `block_bytes`, of bytes that come in any pieces."""

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._room = block_bytes
        self._current = hashlib.sha256()
        self._done: list[str] = []

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        rest = memoryview(data).cast("B")
        while len(rest) >= self._room:
            self._current.update(rest[: self._room])
            rest = rest[self._room :]
            self._done.append(self._current.hexdigest())
            self._current, self._room = hashlib.sha256(), self._block_bytes
        self._current.update(rest)
        self._room -= len(rest)

    def digests(self) -> tuple[str, ...]:
        """One hash a block, the last one of what there is of it."""
        last = () if self._room == self._block_bytes else (self._current.hexdigest(),)
        return (*self._done, *last)


def open_codes(path: Path, manifest: Manifest) -> NDArray[np.int16]:
    """The signals, memory-mapped, int16 (records, leads, samples); size and header are checked, not the content.

    Raises StoreError, naming the file, where it is not as the manifest says.
    """
    header = npy_header(manifest.shape)
    expected = len(header) + int(np.prod(manifest.shape, dtype=np.int64)) * 2
    try:
        found = path.stat().st_size
        with path.open("rb") as file:
            begins = file.read(len(header))
    except OSError as exc:
        raise StoreError(f"{path} cannot be read ({exc.strerror}): build the store again") from exc
    if found != expected or begins != header:
        raise StoreError(
            f"{path} was changed since the store was written: {found} bytes, the manifest says {expected} for "
            f"int16 {manifest.shape}: build the store again"
        )
    return np.memmap(path, dtype=np.int16, mode="r", offset=len(header), shape=manifest.shape)


def verify_signals(path: Path, manifest: Manifest) -> Iterator[int]:
    """Read every block and yield how many records it holds; opens nothing that is not as the manifest says.

    Raises StoreError, naming the file and the records, at the first block that was changed.
    """
    record_bytes = len(manifest.leads) * manifest.samples_per_record * 2
    done = 0
    try:
        with path.open("rb") as file:
            file.seek(len(npy_header(manifest.shape)))
            for expected in manifest.signals_sha256:
                records = min(manifest.block_records, manifest.records - done)
                if _sha256_of(file, records * record_bytes) != expected:
                    raise StoreError(
                        f"{path} was changed since the store was written, within records {done} to "
                        f"{done + records - 1}: build the store again"
                    )
                done += records
                yield records
    except OSError as exc:
        raise StoreError(f"{path} cannot be read ({exc.strerror}): build the store again") from exc


def _sha256_of(file: io.BufferedReader, n_bytes: int) -> str:
    digest = hashlib.sha256()
    while n_bytes > 0:
        chunk = file.read(min(n_bytes, _CHUNK_BYTES))
        if not chunk:
            break
        digest.update(chunk)
        n_bytes -= len(chunk)
    return digest.hexdigest()
