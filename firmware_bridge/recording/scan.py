"""How much of a recording is whole: every check of its journal, and those of the signal file that stand there."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edge_mi.errors import RecordError

from .journal import ChunkEntry, EndEntry, decode_beginning, entries, is_settled_behind
from .layout import JOURNAL, SIGNAL, Beginning
from .timeline import Timeline

Read: TypeAlias = Callable[[int, int], bytes]  # from a place in the signal file, at most so many bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What is whole: the journal from `start` to `stop`, `n_samples` of the signal file.

    problem: one sentence on what is missing or may be, None for a recording that was closed and is whole.
    """

    beginning: Beginning
    start: int
    stop: int
    n_samples: int
    problem: str | None


def scan(journal: bytes, read: Read) -> Scan:
    """Check a recording, up to where it is whole.

    A tail that is torn, or was not written yet, is left out. Raises RecordError where something is damaged that had
    been on the disk, or the journal is none of this version.
    """
    beginning, start = decode_beginning(journal, JOURNAL)
    width = beginning.meta.format.bits // 8
    timeline = Timeline(beginning)
    stop, ended = start, False
    for entry, end in entries(journal, start):
        if isinstance(entry, ChunkEntry):
            at = timeline.n_samples
            raw = read(at * width, entry.n * width)
            if zlib.crc32(raw) != entry.crc:
                whole = len(raw) == entry.n * width
                if whole and is_settled_behind(journal, end):
                    raise RecordError(
                        f"{SIGNAL} is damaged at sample {at}: it is not what its journal says, and can only be read "
                        "as a plain record"
                    )
                words = "not what its journal says" if whole else "cut short"
                return _scan(beginning, start, stop, at, f"{SIGNAL} is {words} from sample {at} on")
        timeline.take(entry)
        stop, ended = end, isinstance(entry, EndEntry)
    if stop < len(journal):
        if is_settled_behind(journal, stop):
            raise RecordError(
                f"{JOURNAL} is damaged at byte {stop}: what follows has no place; {SIGNAL} can only be read as a "
                "plain record"
            )
        return _scan(beginning, start, stop, timeline.n_samples, f"{JOURNAL} is torn at byte {stop}")
    problem = None if ended else "it was not closed, or is still being recorded"
    if ended and not _ends_at(timeline.n_samples * width, read):
        problem = f"{SIGNAL} does not end at sample {timeline.n_samples}, where the recording was closed"
    return _scan(beginning, start, stop, timeline.n_samples, problem)


def _ends_at(n_bytes: int, read: Read) -> bool:
    before = min(n_bytes, 1)
    return len(read(n_bytes - before, 2)) == before


def _scan(beginning: Beginning, start: int, stop: int, n_samples: int, problem: str | None) -> Scan:
    return Scan(beginning=beginning, start=start, stop=stop, n_samples=n_samples, problem=problem)
