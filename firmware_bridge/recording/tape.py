"""What is appended to the files of a recording, in bytes: no file, no clock."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.decision import Decision
from edge_mi.errors import OutputError
from edge_mi.records.wfdb_codes import pack
from edge_mi.samples import Chunk, FloatArray, Item

from .journal import ChunkEntry, EndEntry, Entry, FillEntry, GapEntry, NoteEntry, SyncEntry, encode_entry
from .layout import Beginning
from .timeline import OF_DECISIONS, NoteKind, Timeline
from .wfdb_files import AnnotationEncoder, header_text

WideCodes: TypeAlias = NDArray[np.int64]  # what may be beyond the codes of a frame

_BLOCK_SAMPLES = 1 << 16
_CODE_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Portion:
    """What one thing that happened adds to each file, the signal file first.

    fill: missing samples that come before `signal`.
    """

    fill: int = 0
    signal: bytes = b""
    journal: bytes = b""
    annotations: bytes = b""
    decisions: bytes = b""


class Tape:
    """Items, decisions and notes to portions."""

    def __init__(self, beginning: Beginning) -> None:
        self._beginning, self._meta = beginning, beginning.meta
        self._annotations, self._decisions = AnnotationEncoder(), AnnotationEncoder()
        self._checksum = 0
        self._first_code: int | None = None
        self.timeline = Timeline(beginning)

    def item(self, item: Item, host_s: float | None) -> Portion:
        """A chunk or gap that began at `host_s` of this machine's clock.

        Raises OutputError for samples that are no codes of the recording's format, and then nothing has changed.
        """
        if not isinstance(item, Chunk):
            gap = GapEntry(t_s=item.t_s, n_samples=item.n_samples, cause=item.cause, host_s=host_s)
            before = self._settle(host_s)
            n = 0 if gap.n_samples is None else self.timeline.fill_of(gap.n_samples)
            fill = _filled(before) + n
            self._count(fill)
            return self._portion([*before, gap], fill=fill)
        layout = self._meta.format
        if item.rate_hz != layout.rate_hz:
            raise OutputError(
                f"a chunk of {item.rate_hz:g} Hz in a recording of {layout.rate_hz:g} Hz: start another recording"
            )
        codes, missing = codes_of(item.samples_mv, layout.codes_per_mv)
        stored = self._storable(codes, missing)
        signal = pack(stored, layout.bits)
        beyond = np.flatnonzero(~missing & (stored != codes))
        before = self._settle(host_s)
        chunk = ChunkEntry(
            t_s=item.t_s,
            index=item.index,
            n=len(stored),
            host_s=host_s,
            contact=item.contact,
            crc=zlib.crc32(signal),
            exceptions=tuple((int(i), int(codes[i])) for i in beyond),
        )
        fill = _filled(before)
        self._count(fill, stored)
        return self._portion([*before, chunk], fill=fill, signal=signal)

    def decision(self, decision: Decision) -> Portion:
        """What the detector said."""
        return self._portion([decision])

    def note(self, kind: NoteKind, text: str, host_s: float | None) -> Portion:
        """Something else that happened."""
        return self._portion([NoteEntry(kind=kind, text=text, host_s=host_s)])

    def sync(self) -> Portion:
        """Says that all before is on the disk."""
        return self._portion([SyncEntry()])

    def last(self) -> Portion:
        """What is still open when the stream ends."""
        before = self._settle(None)
        self._count(_filled(before))
        return self._portion(before, fill=_filled(before))

    def end(self) -> Portion:
        """Says that the recording was closed."""
        return self._portion([EndEntry(self.timeline.n_samples)])

    def running_header(self) -> str:
        """The header while the signal grows."""
        return header_text(self._beginning, self._beginning.wall_time(self._beginning.host_s))

    def final_header(self) -> str:
        """The header once nothing will be added."""
        return header_text(
            self._beginning,
            self._beginning.start_time(self.timeline.start_host_s),
            n_samples=self.timeline.n_samples,
            first_code=self._first_code or 0,
            checksum=self._checksum,
        )

    def _settle(self, host_s: float | None) -> Sequence[FillEntry]:
        """How long a gap of unknown length was, now that something came after it."""
        return [FillEntry(self.timeline.samples_until(host_s))] if self.timeline.pending else []

    def _portion(self, entries: Sequence[Entry], *, fill: int = 0, signal: bytes = b"") -> Portion:
        annotations, decisions = [], []
        for entry in entries:
            for event in self.timeline.take(entry):
                if event.kind in OF_DECISIONS:
                    decisions.append(self._decisions.encode(event))
                else:
                    annotations.append(self._annotations.encode(event))
        return Portion(
            fill=fill,
            signal=signal,
            journal=b"".join(map(encode_entry, entries)),
            annotations=b"".join(annotations),
            decisions=b"".join(decisions),
        )

    def _storable(self, codes: WideCodes, missing: NDArray[np.bool_]) -> NDArray[np.int32]:
        """What the signal file has: the invalid code where a sample is missing, else the nearest that it can hold."""
        invalid = self._meta.invalid_code
        return np.where(missing, invalid, np.clip(codes, invalid + 1, -invalid - 1)).astype(np.int32)

    def _count(self, fill: int, codes: NDArray[np.int32] | None = None) -> None:
        """Keep what the header says of the signal."""
        if self._first_code is None and (fill or codes is not None):
            self._first_code = self._meta.invalid_code if fill or codes is None else int(codes[0])
        self._checksum += fill * self._meta.invalid_code
        if codes is not None:
            self._checksum += int(codes.sum(dtype=np.int64))


def codes_of(samples_mv: FloatArray, codes_per_mv: float) -> tuple[WideCodes, NDArray[np.bool_]]:
    """The sensor's codes, int64 (n,), of float64 millivolts (n,), and where a sample is missing.

    Raises OutputError unless the codes give these very millivolts back (a negative zero as zero).
    """
    missing = np.isnan(samples_mv)
    with np.errstate(over="ignore"):
        scaled = np.where(missing, 0.0, samples_mv) * codes_per_mv
    if np.abs(scaled).max(initial=0.0) > _CODE_LIMIT:
        raise OutputError(
            f"samples of up to {np.abs(samples_mv[~missing]).max():g} mV are no codes of 32 bits at {codes_per_mv:g} "
            "codes per mV: this stream cannot be recorded"
        )
    codes = np.rint(scaled).astype(np.int64)
    if not np.array_equal((codes / codes_per_mv)[~missing], samples_mv[~missing]):
        raise OutputError(
            f"samples that are no whole codes at {codes_per_mv:g} codes per mV: this stream cannot be recorded exactly"
        )
    if codes.size and (codes.max() >= _CODE_LIMIT or codes.min() < -_CODE_LIMIT):
        raise OutputError(f"codes from {codes.min()} to {codes.max()}; a recording holds 32 bits")
    return codes, missing


def samples_of(codes: WideCodes, missing: NDArray[np.bool_], codes_per_mv: float) -> FloatArray:
    """Float64 millivolts (n,) of codes (n,), NaN where a sample is missing."""
    return np.where(missing, np.nan, codes / codes_per_mv)


def fill_blocks(n_samples: int, invalid_code: int, bits: int) -> Iterator[bytes]:
    """Bytes of `n_samples` missing samples, in blocks."""
    one = pack(np.array([invalid_code], dtype=np.int32), bits)
    while n_samples > 0:
        n = min(n_samples, _BLOCK_SAMPLES)
        yield one * n
        n_samples -= n


def _filled(entries: Sequence[FillEntry]) -> int:
    return sum(entry.n for entry in entries)
