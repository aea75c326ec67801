"""The files of a recording that its journal and its signal make: header and annotations, as a closed recording has them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edge_mi.records.wfdb_codes import unpack

from .journal import Entry
from .layout import ANNOTATIONS, DECISIONS, HEADER, Beginning
from .timeline import OF_DECISIONS, Event, Timeline
from .wfdb_files import ANNOTATIONS_END, AnnotationEncoder, header_text


def derived_files(
    beginning: Beginning, entries: Iterable[Entry], signal: Iterable[bytes]
) -> dict[str, bytes]:
    """Content by name. entries: all of the journal; signal: the signal file in blocks of whole samples."""
    timeline = Timeline(beginning)
    events = [event for entry in entries for event in timeline.take(entry)]
    events += timeline.finish()
    first, checksum = None, 0
    for block in signal:
        codes = unpack(np.frombuffer(block, dtype=np.uint8), beginning.meta.format.bits, len(block))
        first = int(codes[0]) if first is None else first
        checksum += int(codes.sum(dtype=np.int64))
    header = header_text(
        beginning,
        beginning.start_time(timeline.start_host_s),
        n_samples=timeline.n_samples,
        first_code=first or 0,
        checksum=checksum,
    )
    return {
        HEADER: header.encode(),
        ANNOTATIONS: _annotations(event for event in events if event.kind not in OF_DECISIONS),
        DECISIONS: _annotations(event for event in events if event.kind in OF_DECISIONS),
    }


def is_as_derived(name: str, found: bytes, derived: bytes) -> bool:
    """Whether a file says what it should; a header may have other comments, which no reader of signals looks at."""
    if name != HEADER:
        return found == derived
    return _without_comments(found) == _without_comments(derived)


def _annotations(events: Iterable[Event]) -> bytes:
    encoder = AnnotationEncoder()
    return b"".join(map(encoder.encode, events)) + ANNOTATIONS_END


def _without_comments(header: bytes) -> list[bytes]:
    return [line for line in header.splitlines() if not line.startswith(b"#")]
