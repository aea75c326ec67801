"""What a crash left, made consistent on the disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from edge_mi.errors import ConfigError, OutputError
from edge_mi.files import output_error, write_file
from edge_mi.records.wfdb_codes import unpack

from .layout import ANNOTATIONS, DECISIONS, FILE_MODE, HEADER, JOURNAL, SIGNAL, folder_of
from .reader import Recording
from .tape import fill_blocks
from .timeline import OF_DECISIONS
from .wfdb_files import ANNOTATIONS_END, AnnotationEncoder, header_text

_BLOCK_BYTES = 3 << 18  # a whole number of samples of every format


def recover(path: str | Path) -> Recording:
    """Cut off what is torn, and write the annotations and the header that a closed recording has; as it then is.

    A recording that is whole stays as it is, and nothing that is whole is ever removed. Raises RecordError where it is
    damaged rather than torn, and OutputError where it is still being recorded or cannot be written.
    """
    folder = folder_of(Path(path))
    recording = Recording.open(folder)
    if recording.problem is None:
        return recording
    try:
        with _locked(folder / JOURNAL):
            recording = Recording.open(folder)  # it may have grown before the lock was ours
            _cut(folder / JOURNAL, recording.journal_bytes)
            _fit_signal(recording)
            _write_annotations(recording)
            write_file(folder / HEADER, _header(recording).encode(), mode=FILE_MODE)
    except OSError as exc:
        raise output_error(folder, exc) from exc
    return Recording.open(folder)


@contextmanager
def _locked(journal: Path) -> Iterator[None]:
    handle = os.open(journal, os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"{journal.parent} is still being recorded: stop that first") from None
        yield
    finally:
        os.close(handle)


def _cut(path: Path, n_bytes: int) -> None:
    if path.stat().st_size > n_bytes:
        with path.open("r+b") as file:
            file.truncate(n_bytes)
            os.fsync(file.fileno())


def _fit_signal(recording: Recording) -> None:
    """Give the signal file the samples that the journal has: a gap at its end may not have been written."""
    path, bits = recording.folder / SIGNAL, recording.meta.format.bits
    n_bytes = recording.n_samples * bits // 8
    path.touch(mode=FILE_MODE)
    there = path.stat().st_size // (bits // 8)
    _cut(path, min(n_bytes, there * bits // 8))
    if there < recording.n_samples:
        with path.open("ab") as file:
            for block in fill_blocks(recording.n_samples - there, recording.meta.invalid_code, bits):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())


def _write_annotations(recording: Recording) -> None:
    encoders = {ANNOTATIONS: AnnotationEncoder(), DECISIONS: AnnotationEncoder()}
    content: dict[str, list[bytes]] = {name: [] for name in encoders}
    for event in recording.events():
        name = DECISIONS if event.kind in OF_DECISIONS else ANNOTATIONS
        content[name].append(encoders[name].encode(event))
    for name, parts in content.items():
        write_file(recording.folder / name, b"".join([*parts, ANNOTATIONS_END]), mode=FILE_MODE)


def _header(recording: Recording) -> str:
    bits = recording.meta.format.bits
    first, checksum = None, 0
    with (recording.folder / SIGNAL).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            codes = unpack(np.frombuffer(block, dtype=np.uint8), bits, len(block))
            first = int(codes[0]) if first is None else first
            checksum += int(codes.sum(dtype=np.int64))
    beginning, n_samples = recording.beginning, recording.n_samples
    start = beginning.wall_time(beginning.host_s)
    with suppress(ConfigError):  # a clock that no wall has
        start = recording.start
    return header_text(beginning, start, n_samples=n_samples, first_code=first or 0, checksum=checksum)
