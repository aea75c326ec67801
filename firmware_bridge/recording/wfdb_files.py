"""Text and bytes of the WFDB files of a recording.

Source: https://wfdb.io/spec/header-files.html and https://wfdb.io/spec/annotation-files.html (the MIT format).
"""

from __future__ import annotations

import re
import struct
from datetime import datetime
from typing import Final

import numpy as np

from .layout import RECORD, SIGNAL, Beginning
from .timeline import Event

ANNOTATIONS_END: Final = b"\0\0"

_NOTE, _QUALITY, _SKIP, _AUX = 22, 14, 59, 63
_MAX_STEP = 1024
_MAX_SKIP = (1 << 31) - 1
_MAX_AUX_BYTES = 250
_QUALITY_KINDS = frozenset({"gap", "contact", "range", "undetermined"})
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]+")


def header_text(
    beginning: Beginning,
    start: datetime,
    *,
    n_samples: int = 0,
    first_code: int = 0,
    checksum: int = 0,
) -> str:
    """The header. Without `n_samples` it says no length, so that it is right while the signal grows.

    start: time of the first sample, UTC. checksum: sum of all codes.
    """
    meta, layout = beginning.meta, beginning.meta.format
    record = f"{RECORD} 1 {_plain(layout.rate_hz)}"
    if n_samples:  # the format has no time without a length before it
        record += f" {n_samples} {start:%H:%M:%S.%f} {start:%d/%m/%Y}"
    signal = (
        f"{SIGNAL} {layout.bits} {_plain(layout.codes_per_mv)}(0)/mV {layout.bits} 0 {first_code} "
        f"{_signed(checksum)} 0 {one_line(meta.signal_name)}"
    )
    comments = (
        meta.notice,
        f"recording: schema {beginning.schema}",
        f"start: {start:%Y-%m-%dT%H:%M:%S.%f}Z",
        f"rate: {_plain(layout.rate_hz)} Hz nominal",
        f"placement: {meta.placement}",
        f"profile: {meta.profile}",
        f"device: {meta.device}",
        f"format: {layout.bits} bits, {_plain(layout.codes_per_mv)} codes per mV, losses seen by {layout.grade}",
        f"missing: code {meta.invalid_code}",
    )
    return "\n".join([record, signal, *(f"# {one_line(each)}" for each in comments)]) + "\n"


class AnnotationEncoder:
    """Events to annotations; they come in the order of their samples."""

    def __init__(self) -> None:
        self._sample = 0

    def encode(self, event: Event) -> bytes:
        """One annotation: a change of signal quality or a note, with the event's text."""
        step, self._sample = event.sample - self._sample, event.sample
        # readers take a note at sample 0 for a definition of their own
        code = _QUALITY if event.kind in _QUALITY_KINDS or event.sample == 0 else _NOTE
        skip = b""
        while step >= _MAX_STEP:
            # an interval of 32 bits with a sign, its high half first
            part = min(step, _MAX_SKIP)
            skip += struct.pack("<HHH", _SKIP << 10, part >> 16, part & 0xFFFF)
            step -= part
        aux = one_line(event.text).encode("ascii", "replace")[:_MAX_AUX_BYTES]
        return (
            skip + struct.pack("<HH", code << 10 | step, _AUX << 10 | len(aux)) + aux + b"\0" * (len(aux) % 2)
        )


def one_line(text: str) -> str:
    """`text` without line breaks and other control characters."""
    return _BLANK.sub(" ", text).strip()


def _plain(number: float) -> str:
    """A number without exponent that reads back to the same float64."""
    return np.format_float_positional(number, trim="-")


def _signed(checksum: int) -> int:
    return (checksum + 32768) % 65536 - 32768
