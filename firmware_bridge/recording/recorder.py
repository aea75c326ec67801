"""The shell that writes a recording while the stream runs, so that whatever ends the program, the files are whole.

What is pushed is handed to the system before `push` returns, so a killed program loses nothing; at the latest after a
second of signal it is forced to the disk, so a cut of power loses no more than that. Journal and signal file alone are
the recording: the annotations and the final header can be made from them again (see `recover`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn

from edge_mi.decision import Decision
from edge_mi.errors import ConfigError, OutputError
from edge_mi.files import new_file, output_error, sync_folder
from edge_mi.samples import Item

from .journal import encode_beginning
from .layout import (
    ANNOTATIONS,
    DECISIONS,
    FILE_MODE,
    FOLDER_MODE,
    HEADER,
    JOURNAL,
    SCHEMA,
    SIGNAL,
    Beginning,
    RecordingMeta,
)
from .tape import Portion, Tape, fill_blocks
from .timeline import NOTE_KINDS, NoteKind
from .wfdb_files import ANNOTATIONS_END

_SYNC_S: Final = 1.0


class Recorder:
    """A recording that grows, made by `open`; a context that closes it. Times are given, never taken."""

    def __init__(self, folder: Path, beginning: Beginning) -> None:
        self.folder = folder
        self._meta = beginning.meta
        self._tape = Tape(beginning)
        self._is_open = True
        self._synced_samples = 0
        self._synced_host_s = beginning.host_s
        self._signal = _Growing(folder / SIGNAL)
        self._journal = _Growing(folder / JOURNAL)
        self._annotations = _Growing(folder / ANNOTATIONS, ANNOTATIONS_END)
        self._decisions = _Growing(folder / DECISIONS, ANNOTATIONS_END)
        self._files = (self._signal, self._journal, self._annotations, self._decisions)

    @classmethod
    def open(cls, folder: str | Path, meta: RecordingMeta, *, wall_s: float, host_s: float) -> Recorder:
        """Begin a recording in the new folder `folder`.

        wall_s: Unix time. host_s: seconds of this machine's monotonic clock, at the same moment.
        Raises OutputError where the folder exists or cannot be made, ConfigError for an impossible time.
        """
        folder = Path(folder)
        beginning = Beginning(schema=SCHEMA, meta=meta, wall_s=wall_s, host_s=host_s)
        recorder = cls(folder, beginning)
        header = recorder._tape.running_header()
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            raise OutputError(f"{folder} exists; a recording replaces nothing: choose another name") from None
        except OSError as exc:
            raise output_error(folder, exc) from exc
        try:
            recorder._create(encode_beginning(beginning), header)
        except OutputError:
            recorder._discard()
            raise
        except OSError as exc:
            recorder._discard()
            raise output_error(folder, exc) from exc
        return recorder

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether anything can be added: it was not closed, and everything so far could be written."""
        return self._is_open

    def push(self, item: Item, host_s: float | None) -> None:
        """Record a chunk or gap.

        host_s: this machine's monotonic clock at its first sample, None where nothing tells it, as `Heard` has them.
        Raises OutputError where it cannot be written, and the recording has then ended with what was there before; or,
        with nothing changed, for samples that are no codes of the recording's format.
        """
        self._check_open()
        self._write(self._tape.item(item, host_s))
        self._sync_in_time(host_s)

    def decision(self, decision: Decision) -> None:
        """Record what the detector said. Raises OutputError as `push` does."""
        self._check_open()
        self._write(self._tape.decision(decision))

    def event(self, kind: NoteKind, text: str, host_s: float | None) -> None:
        """Record something else that happened. Contact needs no event where chunks carry it; it is seen there.

        Raises ConfigError for another kind, OutputError as `push` does.
        """
        if kind not in NOTE_KINDS:
            raise ConfigError(f"an event of kind {kind!r}; expected one of {', '.join(NOTE_KINDS)}")
        self._check_open()
        self._write(self._tape.note(kind, text, host_s))
        self._sync_in_time(host_s)

    def close(self) -> None:
        """Write what is left and let the files go; closing twice does nothing. Raises OutputError as `push` does."""
        if not self._is_open:
            return
        try:
            self._write(self._tape.last())
            self._sync()
            self._end()
        finally:
            self._let_go()

    def _create(self, beginning: bytes, header: str) -> None:
        for each in self._files:
            each.create()
        # recover() must not touch what still grows; the system frees the lock of a program that dies
        with suppress(OSError):  # some network file systems have none
            fcntl.flock(self._journal.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._journal.append([beginning])
        with new_file(self.folder / HEADER, mode=FILE_MODE) as file:
            file.write(header.encode())
        for each in self._files:
            each.sync()
        sync_folder(self.folder)
        sync_folder(self.folder.parent)

    def _write(self, portion: Portion) -> None:
        """Append a portion to all files; the signal first, so that what the journal has is there."""
        layout = self._meta.format
        try:
            self._signal.append(fill_blocks(portion.fill, self._meta.invalid_code, layout.bits))
            self._signal.append([portion.signal])
            self._journal.append([portion.journal])
        except OSError as exc:
            self._give_up(exc)
        try:
            self._annotations.append([portion.annotations])
            self._decisions.append([portion.decisions])
        except OSError as exc:
            self._keep()
            self._give_up(exc)
        self._keep()

    def _keep(self) -> None:
        for file in self._files:
            file.keep()

    def _sync_in_time(self, host_s: float | None) -> None:
        layout = self._meta.format
        signal_s = (self._tape.timeline.n_samples - self._synced_samples) / layout.rate_hz
        passed_s = 0.0 if host_s is None else abs(host_s - self._synced_host_s)
        if max(signal_s, passed_s) >= _SYNC_S:
            self._sync()
            self._synced_samples = self._tape.timeline.n_samples
            self._synced_host_s = self._synced_host_s if host_s is None else host_s

    def _sync(self) -> None:
        try:
            self._check_there()
            self._signal.sync()
            self._journal.sync()
        except OSError as exc:
            self._give_up(exc)
        self._write(self._tape.sync())

    def _end(self) -> None:
        """Finish the other files, and only then say in the journal that all is whole."""
        try:
            for each in self._files:
                each.sync()
            with new_file(self.folder / HEADER, mode=FILE_MODE) as file:
                file.write(self._tape.final_header().encode())
            self._write(self._tape.end())
            self._journal.sync()
        except OSError as exc:
            self._give_up(exc)

    def _check_there(self) -> None:
        """Raises OSError where the files are no longer found: the system goes on writing into what was deleted."""
        for file in (self._signal, self._journal):
            if not os.path.samestat(file.path.stat(), os.fstat(file.handle)):
                raise FileNotFoundError(None, "another file has taken its place", str(file.path))

    def _check_open(self) -> None:
        if not self._is_open:
            raise OutputError(f"the recording {self.folder} has ended; nothing can be added to it")

    def _give_up(self, exc: OSError) -> NoReturn:
        """End the recording with what is whole in it."""
        saved_s = self._signal.kept / (self._meta.format.bits // 8) / self._meta.format.rate_hz
        for file in self._files:
            with suppress(OSError):
                file.cut()
                file.sync()
        there = True
        try:
            self._check_there()
        except OSError:
            there = False
        self._let_go()
        left = f"its first {saved_s:.1f} s are saved" if there else "its files are no longer there"
        raise OutputError(f"cannot go on recording to {self.folder}: {exc.strerror or exc}; {left}") from exc

    def _let_go(self) -> None:
        self._is_open = False
        for file in self._files:
            file.close()

    def _discard(self) -> None:
        """Take back a recording that could not begin."""
        self._let_go()
        with suppress(OSError):
            for file in self._files:
                file.path.unlink(missing_ok=True)
            (self.folder / HEADER).unlink(missing_ok=True)
            self.folder.rmdir()


class _Growing:
    """A file that grows, without a buffer. `tail`: bytes that always stand behind what was appended."""

    def __init__(self, path: Path, tail: bytes = b"") -> None:
        self.path = path
        self.handle = -1
        self.kept = 0
        self._tail = tail
        self._size = 0

    def create(self) -> None:
        self.handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        if self._tail:
            self._put(self._tail, 0)

    def append(self, blocks: Iterable[bytes]) -> None:
        """Write at the end. Raises OSError, and then `cut` gives back what was `kept` before."""
        for block in blocks:
            if block:
                self._put(block + self._tail, self._size)
                self._size += len(block)

    def keep(self) -> None:
        """Let all that was appended stay."""
        self.kept = self._size

    def cut(self) -> None:
        """Take back what was appended since `keep`."""
        self._size = self.kept
        if self._tail:
            os.ftruncate(self.handle, self.kept + len(self._tail))
            self._put(self._tail, self.kept)
        else:
            os.ftruncate(self.handle, self.kept)

    def sync(self) -> None:
        os.fsync(self.handle)

    def close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _put(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:
            n = os.pwrite(self.handle, view, at)
            view, at = view[n:], at + n
