"""A store that is being built: it may be left at any moment, and is gone on from what is certain.

Beside the store that is to be lies `.<name>.part`: signals and labels grow there, and a journal says after each
part how far both are good. A part counts once its line is in the journal, which is written last; on the way back
in, every part is compared with its hash, and from the first that differs on all is done again.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_mi import strict
from edge_mi.errors import OutputError
from edge_mi.files import publish
from edge_mi.signal_design import SignalDesign
from edge_mi.store import Manifest, RecordTable, StoredRecord, StoreSource
from edge_mi.store.manifest import SIGNALS_FILE
from edge_mi.store.write import SignalsFile, finish_store, read_up_to, write_all

from .prepare import Counts, StorePart

_JOURNAL, _LINES, _STORE, _OLD = "journal.jsonl", "labels.jsonl", "store", "old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The first line of a journal: a hash of all that decides what is built."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A part in the journal; sha256 is that of its codes and lines, one after the other."""

    listed: int
    listed_sha256: str
    records: int
    line_bytes: int
    sha256: str
    left_out: dict[str, int]
    rates_hz: dict[str, int]
    clipped: int
    missing: int
    damaged: tuple[str, ...]

    @classmethod
    def of(cls, part: StorePart) -> Entry:
        """What the journal says of `part`."""
        counts = part.counts
        return cls(
            listed=part.listed,
            listed_sha256=part.listed_sha256,
            records=len(part.codes),
            line_bytes=len(part.lines),
            sha256=_sha256(part.codes.astype("<i2").tobytes(), part.lines),
            left_out=dict(counts.left_out),
            rates_hz=dict(counts.rates_hz),
            clipped=counts.clipped,
            missing=counts.missing,
            damaged=tuple(counts.damaged),
        )

    def counts(self) -> Counts:
        """What became of its records."""
        return Counts(
            Counter(self.left_out), Counter(self.rates_hz), self.clipped, self.missing, list(self.damaged)
        )


class UnfinishedStore:
    """The store at `path` on its way, begun with `key` or gone on with.

    `parts` are the listings of the parts that are done: how many records, and their hash. `counts` is what became
    of them. Raises OutputError where another process builds it, or where it was begun with another key and `force`
    is not set; OSError as files do.
    """

    def __init__(self, path: Path, key: str, leads: int, samples: int, *, force: bool = False) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a link that force must replace
        self.folder = _folder_of(self.path)
        self.counts = Counts()
        self.parts: list[tuple[int, str]] = []
        self._shape = (leads, samples)
        (self.folder / _STORE).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._journal = _open(self.folder / _JOURNAL)
        self._lines = _open(self.folder / _LINES)
        self._signals = SignalsFile(self.folder / _STORE / SIGNALS_FILE, leads, samples)
        self._line_end = 0
        try:
            self._lock()
            self._recover(key, force)
        except BaseException:
            self.close()
            raise

    def append(self, part: StorePart) -> None:
        """Put `part` behind the others: content first, and when that is on the disk the journal."""
        entry = Entry.of(part)
        self._signals.append(part.codes)
        self._lines.seek(self._line_end)
        write_all(self._lines, part.lines)
        self._signals.sync()
        os.fsync(self._lines.fileno())
        self._line_end += len(part.lines)
        self._note(entry)
        self._count(entry)

    def finish(
        self,
        *,
        design: SignalDesign,
        source: StoreSource,
        leads: tuple[str, ...],
        left_out: Mapping[str, int],
    ) -> Manifest:
        """Write labels and manifest and put the store in its place. Raises StoreError as `finish_store` does."""
        self._lines.truncate(self._line_end)
        manifest = finish_store(
            self.folder / _STORE, self._signals, RecordTable.of(self._records()), design=design, source=source,
            leads=leads, samples_per_record=self._shape[1], clipped_samples=self.counts.clipped,
            missing_samples=self.counts.missing, left_out=left_out,
        )  # fmt: skip
        old = self.folder / _OLD
        shutil.rmtree(old, ignore_errors=True)
        try:
            publish(self.folder / _STORE, self.path, old, mode=0o700)
        finally:
            if old.exists() and not self.path.exists():
                old.rename(self.path)
        self.discard()
        return manifest

    def discard(self) -> None:
        """Forget what was done; nobody else can begin in the folder before it is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Leave it as it is, to be gone on with."""
        for file in (self._signals, self._lines, self._journal):
            file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise OutputError(f"{self.path} is being built by another process; wait for it") from exc
        # the one who held it may have removed the folder between our opening of the file and our lock
        if not self._journal_is_there():
            raise OutputError(
                f"{self.path} was just built or given up by another process; repeat the command"
            )

    def _journal_is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._journal.fileno()), (self.folder / _JOURNAL).stat())
        except FileNotFoundError:
            return False

    def _recover(self, key: str, force: bool) -> None:
        lines = iter(_whole_lines(self._journal.readall()))
        end = 0
        first = next(lines, b"")
        try:
            begun = strict.loads(first.decode(), Begun).key if first else None
        except (strict.DocumentError, UnicodeDecodeError):
            begun = "damaged"
        if begun not in (None, key) and not force:
            raise OutputError(
                f"{self.folder} holds what is done of another store (another collection, rule, filter or version): "
                "repeat the command that began it, or add --force to begin anew"
            )
        if begun == key:
            end = len(first)
            for line in lines:
                entry = self._certain(line)
                if entry is None:
                    break
                end += len(line)
                self._count(entry)
        self._journal.truncate(end)
        self._journal.seek(end)
        if end == 0:
            self._note(Begun(key=key))

    def _certain(self, line: bytes) -> Entry | None:
        """The entry of a line of the journal, if what it says is there."""
        try:
            entry = strict.loads(line.decode(), Entry)
        except (strict.DocumentError, UnicodeDecodeError):
            return None
        codes = self._signals.peek(entry.records)
        self._lines.seek(self._line_end)
        labels = read_up_to(self._lines, entry.line_bytes)
        if _sha256(codes, labels) != entry.sha256:
            return None
        self._signals.take(codes)
        self._line_end += len(labels)
        return entry

    def _count(self, entry: Entry) -> None:
        self.parts.append((entry.listed, entry.listed_sha256))
        self.counts.add(entry.counts())

    def _note(self, document: Begun | Entry) -> None:
        write_all(self._journal, f"{json.dumps(strict.encode(document))}\n".encode())
        os.fsync(self._journal.fileno())

    def _records(self) -> Iterator[StoredRecord]:
        with (self.folder / _LINES).open("rb") as file:
            for line in file:
                yield StoredRecord(**json.loads(line))


def sweep(path: Path) -> None:
    """Remove what a kill left beside a store after it came to its place."""
    folder = _folder_of(path)
    with suppress(OSError):  # who may not look there is told when something is to be written
        if path.exists() and folder.is_dir() and not (folder / _STORE).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _folder_of(path: Path) -> Path:
    return path.parent / f".{path.name}.part"


def _open(path: Path) -> io.FileIO:
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)  # noqa: PTH123


def _whole_lines(content: bytes) -> list[bytes]:
    """The lines that have an end."""
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def _sha256(*contents: bytes) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()
