"""The journal: entries in the order in which things happened, each with a check of its own.

The file starts with `MAGIC`. An entry is its kind (uint8), the length of its content (uint32), the content, and the CRC-32
of all three (uint32), little-endian. Text is UTF-8. Journals are only ever appended to, so an entry that is not whole
can only be the last one, unless the file was damaged.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias, cast

from edge_mi.decision import Decision, Reason, State
from edge_mi.errors import ConfigError, RecordError
from edge_mi.strict import DocumentError, encode, loads, other_schema

from .layout import MAX_FILL_S, MAX_RATE_HZ, SCHEMA, Beginning

MAGIC: Final = b"\x89EMIJ\r\n\x1a"

_FRAME = struct.Struct("<BI")
_CRC = struct.Struct("<I")
_CHUNK = struct.Struct("<dQIdbI")
_EXCEPTION = struct.Struct("<Ii")
_GAP = struct.Struct("<dqd")
_COUNT = struct.Struct("<Q")
_DECISION = struct.Struct("<ddddd")
_NOTE = struct.Struct("<d")
_MAX_FILL = int(MAX_FILL_S * MAX_RATE_HZ)
_CONTACT: Final = {None: -1, False: 0, True: 1}
_TOUCH: Final = {code: contact for contact, code in _CONTACT.items()}


class _Kind(IntEnum):
    BEGINNING = 1
    CHUNK = 2
    GAP = 3
    FILL = 4
    DECISION = 5
    NOTE = 6
    SYNC = 7
    END = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkEntry:
    """A chunk without its samples, which are the next `n` of the signal file.

    crc: of their bytes there. exceptions: place in the chunk and code of samples that the signal file cannot hold.
    """

    t_s: float
    index: int
    n: int
    host_s: float | None
    contact: bool | None
    crc: int
    exceptions: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEntry:
    """A gap; one of known length takes that many samples of the signal file, or a day if that is less."""

    t_s: float
    n_samples: int | None
    cause: str
    host_s: float | None


@dataclass(frozen=True, slots=True)
class FillEntry:
    """Samples of the signal file that stand for the gap of unknown length before."""

    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteEntry:
    """Something that somebody wanted to be remembered."""

    kind: str
    text: str
    host_s: float | None


@dataclass(frozen=True, slots=True)
class SyncEntry:
    """All before it is on the disk: what does not fit together there was damaged, not torn."""


@dataclass(frozen=True, slots=True)
class EndEntry:
    """The recording was closed with this many samples in its signal file."""

    n_samples: int


Entry: TypeAlias = ChunkEntry | GapEntry | FillEntry | Decision | NoteEntry | SyncEntry | EndEntry


def encode_beginning(beginning: Beginning) -> bytes:
    """How a journal starts."""
    document = json.dumps(encode(beginning), allow_nan=False, ensure_ascii=False)
    return MAGIC + _framed(_Kind.BEGINNING, document.encode())


def decode_beginning(journal: bytes, name: str) -> tuple[Beginning, int]:
    """What a journal says of the whole recording, and where its entries start; `name` is for errors.

    Raises RecordError where it is damaged, of another schema, or no journal.
    """
    if not journal.startswith(MAGIC):
        raise RecordError(
            f"{name} is no journal of a recording: it starts with {journal[:8].hex() or 'nothing'}"
        )
    end = intact(journal, len(MAGIC))
    if end is None or journal[len(MAGIC)] != _Kind.BEGINNING:
        raise RecordError(f"{name} is damaged at its beginning: what was recorded cannot be known")
    content = journal[len(MAGIC) + _FRAME.size : end - _CRC.size]
    try:
        schema = other_schema(content, SCHEMA)
        if schema is not None:
            raise RecordError(f"{name} is of schema {schema}; this version reads {SCHEMA}")
        beginning = loads(content.decode(), Beginning)
        beginning.wall_time(beginning.host_s)
    except (DocumentError, UnicodeDecodeError, ConfigError, RecursionError) as exc:
        raise RecordError(f"{name} has a wrong beginning: {exc}") from exc
    return beginning, end


def encode_entry(entry: Entry) -> bytes:
    """An entry as it is appended."""
    match entry:
        case ChunkEntry():
            head = _CHUNK.pack(
                entry.t_s, entry.index, entry.n, _number(entry.host_s), _CONTACT[entry.contact], entry.crc
            )
            return _framed(_Kind.CHUNK, head + b"".join(_EXCEPTION.pack(*each) for each in entry.exceptions))
        case GapEntry():
            head = _GAP.pack(entry.t_s, entry.n_samples or 0, _number(entry.host_s))
            return _framed(_Kind.GAP, head + entry.cause.encode())
        case FillEntry():
            return _framed(_Kind.FILL, _COUNT.pack(entry.n))
        case Decision():
            return _framed(_Kind.DECISION, _decision_content(entry))
        case NoteEntry():
            text = "\0".join((entry.kind, entry.text))
            return _framed(_Kind.NOTE, _NOTE.pack(_number(entry.host_s)) + text.encode())
        case SyncEntry():
            return _framed(_Kind.SYNC, b"")
        case EndEntry():
            return _framed(_Kind.END, _COUNT.pack(entry.n_samples))


def intact(journal: bytes, at: int) -> int | None:
    """Where the entry at `at` ends; None where there is no whole one with the right check."""
    if at + _FRAME.size > len(journal):
        return None
    kind, length = _FRAME.unpack_from(journal, at)
    end = at + _FRAME.size + length + _CRC.size
    if not _Kind.BEGINNING <= kind <= _Kind.END or end > len(journal):
        return None
    (crc,) = _CRC.unpack_from(journal, end - _CRC.size)
    return end if zlib.crc32(memoryview(journal)[at : end - _CRC.size]) == crc else None


def entries(journal: bytes, start: int, stop: int | None = None) -> Iterator[tuple[Entry, int]]:
    """The entries from `start` on, each with where it ends, up to `stop` or the first that is not intact.

    Raises RecordError for an intact one that this version does not know, or that says what cannot be.
    """
    at = start
    while stop is None or at < stop:
        end = intact(journal, at)
        if end is None:
            return
        yield _decode(_Kind(journal[at]), journal[at + _FRAME.size : end - _CRC.size]), end
        at = end


def is_settled_behind(journal: bytes, at: int) -> bool:
    """Whether an intact entry behind `at` says that all before it was on the disk."""
    while at < len(journal):
        end = intact(journal, at)
        if end is None:
            at += 1
        elif journal[at] in (_Kind.SYNC, _Kind.END):
            return True
        else:
            at = end
    return False


def _framed(kind: _Kind, content: bytes) -> bytes:
    whole = _FRAME.pack(kind, len(content)) + content
    return whole + _CRC.pack(zlib.crc32(whole))


def _decode(kind: _Kind, content: bytes) -> Entry:
    try:
        match kind:
            case _Kind.CHUNK:
                return _chunk(content)
            case _Kind.GAP:
                t_s, n, host_s = _GAP.unpack_from(content)
                _expect(math.isfinite(t_s) and n >= 0, f"a gap of {n} samples at {t_s} s")
                cause = content[_GAP.size :].decode()
                return GapEntry(t_s=t_s, n_samples=n or None, cause=cause, host_s=_known(host_s))
            case _Kind.FILL:
                (n,) = _COUNT.unpack(content)
                _expect(n <= _MAX_FILL, f"{n} samples for a gap")
                return FillEntry(n)
            case _Kind.DECISION:
                return _decision(content)
            case _Kind.NOTE:
                (host_s,) = _NOTE.unpack_from(content)
                name, _, text = content[_NOTE.size :].decode().partition("\0")
                return NoteEntry(kind=name, text=text, host_s=_known(host_s))
            case _Kind.SYNC:
                return SyncEntry()
            case _Kind.END:
                return EndEntry(*_COUNT.unpack(content))
    except (struct.error, UnicodeDecodeError, KeyError, ValueError) as exc:
        raise RecordError(f"an entry of the journal, kind {kind}, is none of this version: {exc}") from exc
    raise RecordError("a journal begins twice: two recordings were joined")


def _chunk(content: bytes) -> ChunkEntry:
    t_s, index, n, host_s, contact, crc = _CHUNK.unpack_from(content)
    exceptions = tuple(_EXCEPTION.iter_unpack(memoryview(content)[_CHUNK.size :]))
    _expect(math.isfinite(t_s) and n > 0, f"a chunk of {n} samples at {t_s} s")
    _expect(all(place < n for place, _ in exceptions), f"a code behind the {n} samples of its chunk")
    return ChunkEntry(
        t_s=t_s,
        index=index,
        n=n,
        host_s=_known(host_s),
        contact=_TOUCH[contact],
        crc=crc,
        exceptions=exceptions,
    )


def _decision_content(decision: Decision) -> bytes:
    numbers = (decision.probability, decision.quality, decision.heart_rate_bpm, decision.latency_ms)
    words = "\0".join((decision.state, decision.reason or "", decision.model_id))
    return _DECISION.pack(decision.t_s, *map(_number, numbers)) + words.encode()


def _decision(content: bytes) -> Decision:
    t_s, *numbers = _DECISION.unpack_from(content)
    _expect(math.isfinite(t_s), f"a decision at {t_s} s")
    probability, quality, heart_rate_bpm, latency_ms = map(_known, numbers)
    state, reason, model_id = content[_DECISION.size :].decode().split("\0")
    return Decision(
        t_s=t_s,
        probability=probability,
        state=cast(State, state),
        reason=cast(Reason, reason) if reason else None,
        quality=quality,
        heart_rate_bpm=heart_rate_bpm,
        latency_ms=latency_ms,
        model_id=model_id,
    )


def _expect(holds: bool, words: str) -> None:
    if not holds:
        raise ValueError(f"{words} cannot be")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
