"""A recording as EDF+, for viewers that read nothing else: what is lost on the way is measured and said."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import OutputError
from edge_mi.files import output_error, sync_folder
from edge_mi.optional import require
from edge_mi.samples import Chunk

from .edf_design import LONGEST_TEXT, Records, Scale, records_for, scale_for
from .layout import FILE_MODE
from .reader import Recording
from .tape import codes_of
from .timeline import Event
from .wfdb_files import one_line

_MOST_ANNOTATION_SIGNALS = 64
# the library cuts numbers off instead of rounding them, and a float may lie just below what is meant
_NUDGE = 1 + 1e-10
_NUDGE_S = 1e-7
_YEARS: Final = range(1985, 2085)  # those that two digits mean


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfReport:
    """What the export changed.

    n_samples, n_missing: of the signal; missing ones have the lowest digital value, which no other sample has. exact:
    digital values are the sensor's codes. max_error_uv: largest difference in microvolts, by the scale that the file
    states. rate_error_ppm: of the rate that the file states. n_padded: missing samples added to fill the last data
    record. n_shortened: annotations whose text was cut to 40 characters; n_dropped: those that found no room.
    start_cut_s: by how much the start time is too early, as it has whole seconds.
    """

    n_samples: int
    n_missing: int
    exact: bool
    max_error_uv: float
    rate_error_ppm: float
    n_padded: int
    n_shortened: int
    n_dropped: int
    start_cut_s: float

    def __str__(self) -> str:
        rounded = f"rounded to 16 bits, off by {self.max_error_uv:.3g} µV at most"
        scale = "the sensor's codes, exactly" if self.exact else rounded
        words = [
            f"{self.n_samples} samples, {scale}",
            f"{self.n_missing} missing, at the lowest value",
            f"start time {self.start_cut_s:.3f} s early, in UTC",
        ]
        if self.rate_error_ppm:
            words.append(f"rate off by {self.rate_error_ppm:+.2g} ppm")
        if self.n_shortened:
            words.append(f"{self.n_shortened} annotations shortened")
        if self.n_dropped:
            words.append(f"{self.n_dropped} annotations left out for want of room")
        return ", ".join(words)


def export_edf(recording: Recording, path: str | Path) -> EdfReport:
    """Write `recording` as the new EDF+ file `path`, readable by its owner only; nobody is named in it.

    Gaps, contact, battery, alarms and why nothing could be judged become annotations. Raises OutputError where the
    file exists or cannot be written, or the recording is empty or of a year that EDF does not have; MissingDependency
    without pyEDFlib.
    """
    pyedflib = require("pyedflib", extra="edf")
    path = Path(path)
    if path.exists() or path.is_symlink():
        raise OutputError(f"{path} exists; choose another name")
    if recording.n_samples == 0:
        raise OutputError(f"{recording.folder} holds no samples yet")
    start = recording.start
    if start.year not in _YEARS:
        raise OutputError(f"the recording starts in {start.year}; EDF has years {_YEARS[0]} to {_YEARS[-1]}")
    scale = scale_for(_largest_code(recording), recording.meta.format.codes_per_mv)
    try:
        with tempfile.TemporaryDirectory(prefix=".edf-", dir=path.parent) as work:
            made = Path(work) / "ecg.edf"
            report = _write(pyedflib, made, recording, scale, start)
            made.chmod(FILE_MODE)
            with made.open("rb") as file:
                os.fsync(file.fileno())
            made.rename(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise output_error(path, exc) from exc
    return report


def _largest_code(recording: Recording) -> int:
    gain = recording.meta.format.codes_per_mv
    return max(
        (
            int(np.abs(codes_of(item.samples_mv, gain)[0]).max())
            for item in recording.items()
            if isinstance(item, Chunk)
        ),
        default=0,
    )


def _write(pyedflib: Any, path: Path, recording: Recording, scale: Scale, start: datetime) -> EdfReport:
    records = records_for(recording.meta.format.rate_hz)
    n_records = -(-recording.n_samples // records.n_samples)
    events = list(recording.events())
    signals = min(max(1, -(-len(events) // n_records)), _MOST_ANNOTATION_SIGNALS)
    kept = events[: signals * n_records]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises against whatever it can work out by itself
        writer = pyedflib.EdfWriter(str(path), 1, pyedflib.FILETYPE_EDFPLUS)
        try:
            _set_header(writer, recording, scale, records, signals, start)
            n_missing, max_error_uv = _write_signal(writer, recording, scale, records)
            shortened = _write_annotations(writer, kept, records)
        finally:
            writer.close()
    _check(path, scale, records, n_records)
    return EdfReport(
        n_samples=recording.n_samples,
        n_missing=n_missing,
        exact=scale.exact,
        max_error_uv=max_error_uv,
        rate_error_ppm=records.error_ppm,
        n_padded=n_records * records.n_samples - recording.n_samples,
        n_shortened=shortened,
        n_dropped=len(events) - len(kept),
        start_cut_s=start.microsecond / 1e6,
    )


def _set_header(
    writer: Any, recording: Recording, scale: Scale, records: Records, signals: int, start: datetime
) -> None:
    name = recording.meta.signal_name
    writer.setDatarecordDuration(records.duration_s + _NUDGE_S)
    writer.setSignalHeader(
        0,
        {
            "label": _word(f"ECG {name}", 16),
            "dimension": scale.unit,
            "sample_frequency": records.n_samples / records.duration_s,
            "physical_min": -scale.physical_max * _NUDGE,
            "physical_max": scale.physical_max * _NUDGE,
            "digital_min": -scale.digital_max,
            "digital_max": scale.digital_max,
            "transducer": _word(f"{recording.meta.profile} {recording.meta.placement}", 80),
            "prefilter": "",
        },
    )
    # pyEDFlib 0.1.42 writes fractions of a second ten times too large, or not at all
    writer.setStartdatetime(start.replace(microsecond=0, tzinfo=None))
    writer.setEquipment(_word(recording.meta.profile, 20).replace(" ", "_"))
    writer.setRecordingAdditional("UTC")
    writer.set_number_of_annotation_signals(signals)


def _write_signal(writer: Any, recording: Recording, scale: Scale, records: Records) -> tuple[int, float]:
    """Missing samples, and the largest error in microvolts."""
    n_missing, max_error_uv = 0, 0.0
    block: list[NDArray[np.int16]] = []
    waiting = 0
    for digital, missing, error_uv in _digital(recording, scale):
        n_missing, max_error_uv = n_missing + missing, max(max_error_uv, error_uv)
        block.append(digital)
        waiting += len(digital)
        if waiting >= records.n_samples:
            rest = _write_records(writer, np.concatenate(block), records.n_samples)
            block, waiting = [rest], len(rest)
    if waiting:
        last = np.full(records.n_samples, scale.missing, dtype=np.int16)
        last[:waiting] = np.concatenate(block)
        _write_records(writer, last, records.n_samples)
    return n_missing, max_error_uv


def _digital(recording: Recording, scale: Scale) -> Iterator[tuple[NDArray[np.int16], int, float]]:
    """The signal file from its first sample on, int16; how many are missing; the largest error in microvolts."""
    gain = recording.meta.format.codes_per_mv
    at = 0
    for place, item in recording.placed_items():
        yield from _missing(place - at, scale)
        at = place
        if isinstance(item, Chunk):
            codes, missing = codes_of(item.samples_mv, gain)
            digital = np.rint(codes / scale.codes_per_digital).astype(np.int16)
            error_mv = np.abs(digital * scale.mv_per_digital - codes / gain)
            digital[missing] = scale.missing
            yield digital, int(missing.sum()), float(error_mv[~missing].max(initial=0.0)) * 1000
            at += len(codes)
    yield from _missing(recording.n_samples - at, scale)


def _missing(n: int, scale: Scale) -> Iterator[tuple[NDArray[np.int16], int, float]]:
    while n > 0:
        part = min(n, 1 << 16)
        yield np.full(part, scale.missing, dtype=np.int16), part, 0.0
        n -= part


def _write_records(writer: Any, digital: NDArray[np.int16], n: int) -> NDArray[np.int16]:
    """Write whole data records; what is left."""
    whole = len(digital) // n * n
    for start in range(0, whole, n):
        if writer.writeDigitalShortSamples(np.ascontiguousarray(digital[start : start + n])) < 0:
            raise OSError(None, "a data record could not be written; is the disk full?")
    return digital[whole:]


def _write_annotations(writer: Any, events: list[Event], records: Records) -> int:
    """How many texts had to be cut."""
    shortened = 0
    rate_hz = records.n_samples / records.duration_s
    for event in sorted(events, key=lambda each: each.sample):
        text = one_line(event.text).encode("ascii", "replace").decode()
        shortened += len(text) > LONGEST_TEXT
        duration_s = event.n_samples / rate_hz if event.n_samples else -1
        writer.writeAnnotation(event.sample / rate_hz, duration_s, text[:LONGEST_TEXT])
    return shortened


def _check(path: Path, scale: Scale, records: Records, n_records: int) -> None:
    """Raises OSError for a file that is not what the report says: the library is silent about a full disk."""
    try:
        with path.open("rb") as file:
            head = file.read(256)
            n_signals = int(head[252:256])
            table = file.read(256 * n_signals)
        columns = iter(_columns(table, n_signals))
        lows, highs, _, _, _, samples = (next(columns) for _ in range(6))
        stated = (int(head[236:244]), float(head[244:252]), float(lows[0]), float(highs[0]))
        size = int(head[184:192]) + n_records * 2 * sum(map(int, samples))
    except (ValueError, StopIteration, IndexError):
        raise OSError(None, "the file has no whole header; is the disk full?") from None
    if path.stat().st_size != size:
        raise OSError(None, "the file is shorter than it should be; is the disk full?")
    expected = (n_records, records.duration_s, -scale.physical_max, scale.physical_max)
    if stated != expected:
        raise OSError(None, f"its header says {stated}, expected {expected}: another version of pyEDFlib?")


def _columns(table: bytes, n_signals: int) -> Iterator[list[bytes]]:
    """Columns of the signals' part of the header, from the physical minimum on."""
    at = n_signals * (16 + 80 + 8)
    for width in (8, 8, 8, 8, 80, 8):
        yield [table[at + i * width : at + (i + 1) * width] for i in range(n_signals)]
        at += n_signals * width


def _word(text: str, longest: int) -> str:
    """ASCII, as the header of the format has it."""
    return one_line(text).encode("ascii", "replace").decode()[:longest]
