"""A recording read back: the stream as it was, what happened in it, and what the detector said. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_mi.decision import Decision
from edge_mi.errors import RecordError
from edge_mi.records.wfdb_codes import unpack
from edge_mi.samples import Chunk, Gap, Item

from .derived import derived_files, is_as_derived
from .journal import ChunkEntry, Entry, GapEntry, entries
from .layout import JOURNAL, SIGNAL, RecordingMeta, folder_of, is_recording
from .scan import Read, Scan, scan
from .tape import samples_of
from .timeline import Event, Timeline

_BLOCK_BYTES = 3 << 18  # a whole number of samples of every format


class Recording:
    """What is whole of a recording at the moment it is opened; it may still be growing, or have been cut off.

    meta: what is recorded. n_samples: of the signal file. problem: what is missing or may be; None for a recording
    that was closed and is whole. ended: whether its journal says that it was closed.
    """

    def __init__(self, folder: Path, journal: bytes, found: Scan) -> None:
        self.folder = folder
        self.meta: RecordingMeta = found.beginning.meta
        self.n_samples = found.n_samples
        self.problem = found.problem
        self.ended = found.ended
        self.beginning = found.beginning
        self._journal, self._found = journal, found
        self.journal_bytes = found.stop

    @classmethod
    def open(cls, path: str | Path) -> Recording:
        """Read the recording that `path` means: its folder, or one of its files.

        Raises RecordError where there is none, it cannot be read, or something in it is damaged.
        """
        folder = Path(path)
        try:
            folder = folder_of(folder)
            if not is_recording(folder):
                raise RecordError(f"no recording: {folder} holds no {JOURNAL}")
            journal = (folder / JOURNAL).read_bytes()  # before the signal, which is always ahead of it
            with _signal_file(folder) as read:
                recording = cls(folder, journal, scan(journal, read))
            recording.problem = recording.problem or recording._problem_beside()
            return recording
        except OSError as exc:
            raise RecordError(f"cannot read the recording {folder}: {exc.strerror or exc}") from exc

    @property
    def start(self) -> datetime:
        """Date and time in UTC of the first sample of the signal file."""
        timeline = Timeline(self.beginning)
        for entry in self._entries():
            timeline.take(entry)
            if isinstance(entry, ChunkEntry) and entry.host_s is not None:
                break
        return self.beginning.start_time(timeline.start_host_s)

    def items(self) -> Iterator[Item]:
        """The chunks and gaps of the stream, equal to the live ones to the bit. Raises RecordError."""
        for _, item in self.placed_items():
            yield item

    def placed_items(self) -> Iterator[tuple[int, Item]]:
        """As `items`, each with the sample of the signal file where it begins."""
        timeline = Timeline(self.beginning)
        try:
            with _signal_file(self.folder) as read:
                for entry in self._entries():
                    timeline.take(entry)
                    if isinstance(entry, ChunkEntry):
                        at = timeline.n_samples - entry.n
                        yield at, self._chunk(entry, at, read)
                    elif isinstance(entry, GapEntry):
                        n = 0 if entry.n_samples is None else timeline.fill_of(entry.n_samples)
                        gap = Gap(t_s=entry.t_s, n_samples=entry.n_samples, cause=entry.cause)
                        yield timeline.n_samples - n, gap
        except OSError as exc:
            raise RecordError(f"cannot read the recording {self.folder}: {exc.strerror or exc}") from exc

    def events(self) -> Iterator[Event]:
        """What happened, in the order in which it was recorded: what the annotations say."""
        timeline = Timeline(self.beginning)
        for entry in self._entries():
            yield from timeline.take(entry)
        yield from timeline.finish()

    def decisions(self) -> Iterator[Decision]:
        """What the detector said while it was recorded."""
        return (entry for entry in self._entries() if isinstance(entry, Decision))

    def fills(self) -> Iterator[tuple[int, int]]:
        """Where the signal file has samples that stand for a gap, and how many."""
        timeline = Timeline(self.beginning)
        for entry in self._entries():
            at = timeline.n_samples
            timeline.take(entry)
            if not isinstance(entry, ChunkEntry) and timeline.n_samples > at:
                yield at, timeline.n_samples - at

    def derived_files(self) -> dict[str, bytes]:
        """Header and annotations as they are once a recording is closed, by name. Raises OSError."""
        with _signal_file(self.folder) as read:
            return derived_files(self.beginning, self._entries(), self._blocks(read))

    def _blocks(self, read: Read) -> Iterator[bytes]:
        size = self.n_samples * self.meta.format.bits // 8
        for at in range(0, size, _BLOCK_BYTES):
            yield read(at, min(_BLOCK_BYTES, size - at))

    def _problem_beside(self) -> str | None:
        """What is wrong with the files that follow from the journal. Raises OSError where they cannot be read."""
        for name, derived in self.derived_files().items():
            try:
                found = (self.folder / name).read_bytes()
            except FileNotFoundError:
                return f"{name} is missing"
            if not is_as_derived(name, found, derived):
                return f"{name} is not what {JOURNAL} says"
        return None

    def _entries(self) -> Iterator[Entry]:
        return (entry for entry, _ in entries(self._journal, self._found.start, self._found.stop))

    def _chunk(self, entry: ChunkEntry, at: int, read: Read) -> Chunk:
        layout = self.meta.format
        width = layout.bits // 8
        raw = np.frombuffer(read(at * width, entry.n * width), dtype=np.uint8)
        codes = unpack(raw, layout.bits, entry.n).astype(np.int64)
        if len(codes) != entry.n:
            raise RecordError(f"{SIGNAL} was cut since the recording was opened, at sample {at}")
        missing = codes == self.meta.invalid_code
        for place, code in entry.exceptions:
            codes[place], missing[place] = code, False
        return Chunk(
            t_s=entry.t_s,
            samples_mv=samples_of(codes, missing, layout.codes_per_mv),
            rate_hz=layout.rate_hz,
            index=entry.index,
            contact=entry.contact,
        )


@contextmanager
def _signal_file(folder: Path) -> Iterator[Read]:
    """Reads of the signal file; one that is not there has no bytes."""
    try:
        file: BinaryIO = (folder / SIGNAL).open("rb")
    except FileNotFoundError:
        yield lambda at, n: b""
        return
    with file:

        def read(at: int, n: int) -> bytes:
            left = os.fstat(file.fileno()).st_size - at  # a journal may ask for more than any memory has
            if left <= 0:
                return b""
            file.seek(at)
            return file.read(min(n, left))

        yield read
