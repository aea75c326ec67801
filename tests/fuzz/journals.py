"""The journal of a recording, torn, damaged or made up, under the fuzzer of `decoders.py`: what it says, or RecordError.

What is read is written again to the same bytes that it is read from, and a tail that is torn costs nothing before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import atheris
from edge_mi.firmware_bridge.frames import StreamFormat
from edge_mi.firmware_bridge.recording.journal import (
    MAGIC,
    ChunkEntry,
    decode_beginning,
    encode_beginning,
    encode_entry,
    entries,
    is_settled_behind,
)
from edge_mi.firmware_bridge.recording.layout import SCHEMA, Beginning, RecordingMeta
from edge_mi.firmware_bridge.recording.scan import scan
from edge_mi.firmware_bridge.recording.timeline import Timeline

from edge_mi.errors import RecordError

_KINDS = (1, 8)  # of an entry
_BEGINNING: Final = Beginning(
    schema=SCHEMA,
    meta=RecordingMeta(
        format=StreamFormat(rate_hz=130, codes_per_mv=1000.0, bits=24, stamped="last"),
        placement="lead-i",
        profile="h10",
        device="Polar H10",
    ),
    wall_s=1.7e9,
    host_s=1000.0,
)
_HEAD: Final = encode_beginning(_BEGINNING)


def _sealed(kind: int, content: bytes) -> bytes:
    """An entry with the checksum that it should have, which no fuzzer finds by itself."""
    whole = struct.pack("<BI", kind, len(content)) + content
    return whole + struct.pack("<I", zlib.crc32(whole))


def _written(given: Any) -> bytes:
    """Entries with any content, each intact or damaged."""
    parts = []
    while given.remaining_bytes():
        part = _sealed(given.ConsumeIntInRange(*_KINDS), given.ConsumeBytes(given.ConsumeIntInRange(0, 90)))
        damage = given.ConsumeIntInRange(0, 15)
        parts.append(part[:-1] if damage == 0 else part + b"\0" if damage == 1 else part)
    return b"".join(parts)


def _entry(data: bytes) -> None:
    """One intact entry: whatever it says is written to the bytes that say it."""
    if not data:
        return
    written = _sealed(1 + data[0] % _KINDS[1], data[1:])
    try:
        found = list(entries(written, 0))
    except RecordError:
        return
    ((entry, end),) = found
    assert end == len(written)
    again = encode_entry(entry)
    ((second, _),) = entries(again, 0)
    assert encode_entry(second) == again, "what is written differs from what was read"


def _journal(data: bytes) -> None:
    """A whole journal beside a signal file of zeros."""
    given = atheris.FuzzedDataProvider(data)
    limit = given.ConsumeIntInRange(0, 1 << 12)
    journal = _HEAD + _written(given)
    try:
        found = scan(journal, lambda at, n: bytes(max(0, min(n, limit - at))))
    except RecordError:
        return
    assert len(_HEAD) == found.start <= found.stop <= len(journal)
    timeline = Timeline(found.beginning)
    for entry, _ in entries(journal, found.start, found.stop):
        timeline.take(entry)
    timeline.finish()
    assert timeline.n_samples == found.n_samples


def _torn(data: bytes) -> None:
    """A journal that ends anywhere: what was whole before its end is still read."""
    given = atheris.FuzzedDataProvider(data)
    cut = given.ConsumeIntInRange(0, 200)
    journal = _HEAD + _written(given)
    try:
        whole = [end for _, end in entries(journal, len(_HEAD))]
        torn = journal[: max(len(_HEAD), len(journal) - cut)]
        kept = [end for _, end in entries(torn, len(_HEAD))]
    except RecordError:
        return
    assert kept == [end for end in whole if end <= len(torn)]
    is_settled_behind(torn, kept[-1] if kept else len(_HEAD))


def _beginning(data: bytes) -> None:
    """A first entry with any text."""
    for journal in (data, MAGIC + data, MAGIC + _sealed(1, data)):
        with suppress(RecordError):
            decode_beginning(journal, "a journal")


def _chunk(data: bytes) -> None:
    """An entry of a chunk with any numbers, exceptions and contact."""
    try:
        ((entry, _),) = entries(_sealed(2, data), 0)
    except RecordError:
        return
    assert isinstance(entry, ChunkEntry)
    Timeline(_BEGINNING).take(entry)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "journal-entry": _entry,
    "journal-chunk": _chunk,
    "journal-beginning": _beginning,
    "journal-torn": _torn,
    "journal": _journal,
}
