"""How much of a recording is whole: every check of its journal, and those of the signal file that stand there."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edge_mi.errors import RecordError

from .journal import ChunkEntry, EndEntry, Entry, decode_beginning, entries, is_settled_behind
from .layout import JOURNAL, SIGNAL, Beginning, RecordingMeta
from .tape import fill_blocks
from .timeline import Timeline

Read: TypeAlias = Callable[[int, int], bytes]  # from a place in the signal file, at most so many bytes
_Found: TypeAlias = Literal["right", "wrong", "short"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What is whole: the journal from `start` to `stop`, `n_samples` of the signal file.

    ended: whether the journal says that the recording was closed. problem: one sentence on what is missing or may be,
    None for a recording that was closed and is whole.
    """

    beginning: Beginning
    start: int
    stop: int
    n_samples: int
    ended: bool
    problem: str | None


def scan(journal: bytes, read: Read) -> Scan:
    """Check a recording, up to where it is whole.

    A tail that is torn, or was not written yet, is left out. Missing samples of a gap are no loss: they can be written
    again. Raises RecordError where something is damaged that had been on the disk, or the journal is none of this
    version.
    """
    beginning, start = decode_beginning(journal, JOURNAL)
    timeline = Timeline(beginning)
    stop, ended, problem, is_short = start, False, None, False
    for entry, end in entries(journal, start):
        at = timeline.n_samples
        timeline.take(entry)
        n = timeline.n_samples - at
        found = _find(entry, beginning.meta, read, at, n)
        if found != "right":
            is_chunk = isinstance(entry, ChunkEntry)
            beyond_repair = is_chunk or (found == "short" and not is_short)
            if beyond_repair and is_settled_behind(journal, end):
                raise _damage(found, at, n)
            words = "cut short" if found == "short" else "not what its journal says"
            problem = problem or f"{SIGNAL} is {words} from sample {at} on"
            if is_chunk:
                return _scan(beginning, start, stop, at, ended, problem)
            is_short = is_short or found == "short"
        if isinstance(entry, EndEntry) and entry.n_samples != at:
            raise RecordError(
                f"{JOURNAL} is damaged: it was closed at sample {entry.n_samples}, and what it lists ends at {at}"
            )
        stop, ended = end, isinstance(entry, EndEntry)
    if stop < len(journal):
        if is_settled_behind(journal, stop):
            raise RecordError(
                f"{JOURNAL} is damaged at byte {stop}: what follows has no place; {SIGNAL} can only be read as a "
                "plain record"
            )
        problem = problem or f"{JOURNAL} is torn at byte {stop}"
    elif not ended:
        problem = problem or "it was not closed, or is still being recorded"
    elif read(timeline.n_samples * beginning.meta.format.bits // 8, 1):
        problem = (
            problem or f"{SIGNAL} does not end at sample {timeline.n_samples}, where the recording was closed"
        )
    return _scan(beginning, start, stop, timeline.n_samples, ended, problem)


def _find(entry: Entry, meta: RecordingMeta, read: Read, at: int, n: int) -> _Found:
    """Whether the `n` samples of the signal file from `at` on are those of `entry`."""
    width = meta.format.bits // 8
    if isinstance(entry, ChunkEntry):
        raw = read(at * width, n * width)
        if len(raw) < n * width:
            return "short"
        return "right" if zlib.crc32(raw) == entry.crc else "wrong"
    place = at * width
    for block in fill_blocks(n, meta.invalid_code, meta.format.bits):
        raw = read(place, len(block))
        if raw != block:
            return "short" if len(raw) < len(block) else "wrong"
        place += len(block)
    return "right"


def _damage(found: _Found, at: int, n: int) -> RecordError:
    if found == "short":
        return RecordError(
            f"{SIGNAL} is damaged: it ends before sample {at + n}, and its journal says that more was on the disk; if "
            "this is a copy, copy it again, else it can only be read as a plain record"
        )
    return RecordError(
        f"{SIGNAL} is damaged at sample {at}: it is not what its journal says, and can only be read as a plain record"
    )


def _scan(
    beginning: Beginning, start: int, stop: int, n_samples: int, ended: bool, problem: str | None
) -> Scan:
    return Scan(
        beginning=beginning, start=start, stop=stop, n_samples=n_samples, ended=ended, problem=problem
    )
