"""What a crash left, made consistent on the disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_mi.errors import OutputError
from edge_mi.files import output_error, write_file

from .journal import EndEntry, SyncEntry, encode_entry
from .layout import FILE_MODE, JOURNAL, SIGNAL, folder_of
from .reader import Recording
from .tape import fill_blocks


def recover(path: str | Path) -> Recording:
    """Cut off what is torn, write the annotations and the header, and close it; the recording as it then is.

    A recording that was closed and is whole stays as it is, and nothing that is whole is ever removed. Raises
    RecordError where it is damaged rather than torn, and OutputError where it is still being recorded or cannot be
    written.
    """
    folder = folder_of(Path(path))
    recording = Recording.open(folder)
    if recording.problem is None:
        return recording
    try:
        with _locked(folder / JOURNAL):
            recording = Recording.open(folder)  # it may have grown before the lock was ours
            _fit_journal(recording)
            _fit_signal(recording)
            for name, content in recording.derived_files().items():
                write_file(folder / name, content, mode=FILE_MODE)
            _end(recording)
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


def _fit_journal(recording: Recording) -> None:
    with (recording.folder / JOURNAL).open("r+b") as file:
        file.truncate(recording.journal_bytes)
        os.fsync(file.fileno())


def _fit_signal(recording: Recording) -> None:
    """Give the signal file the samples that the journal has: those of a gap may not have been written."""
    path, bits = recording.folder / SIGNAL, recording.meta.format.bits
    path.touch(mode=FILE_MODE)
    with path.open("r+b") as file:
        file.truncate(recording.n_samples * bits // 8)
        for at, n in recording.fills():
            file.seek(at * bits // 8)
            for block in fill_blocks(n, recording.meta.invalid_code, bits):
                file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _end(recording: Recording) -> None:
    """Say in the journal that all is whole, one step after the other, so that a cut of power tears only the last."""
    if recording.ended:
        return
    with (recording.folder / JOURNAL).open("ab") as file:
        for entry in (SyncEntry(), EndEntry(recording.n_samples)):
            file.write(encode_entry(entry))
            file.flush()
            os.fsync(file.fileno())
