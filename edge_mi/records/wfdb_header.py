"""WFDB headers (.hea), of the kinds that ECG archives use: one sample a frame.

Source: the format's description, https://wfdb.io/spec/header-files.html.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from edge_mi.errors import RecordError
from edge_mi.records.leads import canonical_lead
from edge_mi.records.wfdb_codes import FORMATS

DEFAULT_RATE_HZ: Final = 250.0
DEFAULT_GAIN_PER_MV: Final = 200.0
_MAX_HEADER_BYTES = 1 << 20
_MAX_RATE_HZ = 1e6
_GAIN_RANGE = (1e-6, 1e12)  # a code over any of these gains is finite in float32
_MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3, "": 1.0}  # both signs for micro

_FORMATS = ", ".join(map(str, FORMATS))
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][-+]?[0-9]{1,3})?")
_FORMAT = re.compile(r"([0-9]{1,4})(?:x([0-9]{1,9}))?(?::([0-9]{1,9}))?(?:\+([0-9]{1,9}))?")
_GAIN = re.compile(r"([^(/]*)(?:\(([^)]*)\))?(?:/(.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLine:
    """One signal as its header describes it; gain in codes per unit, mv_per_unit None for other than volts."""

    file: str
    format: int
    byte_offset: int
    gain: float
    gain_assumed: bool
    baseline: int
    unit: str
    mv_per_unit: float | None
    checksum: int
    lead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header; n_samples None where the length has to be taken from the files, rate_hz None where not stated."""

    rate_hz: float | None
    n_samples: int | None
    signals: tuple[SignalLine, ...]
    comments: tuple[str, ...]


def read_header(path: Path) -> Header:
    """Read and check the header at `path`. Raises RecordError for what it cannot mean, OSError for no file."""
    size = path.stat().st_size
    if size > _MAX_HEADER_BYTES:
        raise RecordError(f"{path.name} has {size} bytes; a header has less than {_MAX_HEADER_BYTES}")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # comments of older archives; whatever else it is fails below
    return parse_header(text, path.name)


def parse_header(text: str, file: str) -> Header:
    """The header whose text is `text`; `file` names it in errors. Raises RecordError."""
    lines = [line.strip() for line in text.split("\n")]
    comments = tuple(line.lstrip("#").strip() for line in lines if line.startswith("#"))
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise RecordError(f"{file} is empty; expected a WFDB header")
    rate_hz, n_signals, n_samples = _record_line(lines[0], file)
    if len(lines) - 1 != n_signals:
        raise RecordError(f"{file} announces {n_signals} signals and describes {len(lines) - 1}")
    signals = tuple(_signal_line(line, file) for line in lines[1:])
    return Header(rate_hz=rate_hz, n_samples=n_samples, signals=signals, comments=comments)


def _record_line(line: str, file: str) -> tuple[float | None, int, int | None]:
    fields = line.split()
    if len(fields) < 2:
        raise RecordError(f"{file} starts with {_shown(line)}; expected a record's name and its signal count")
    if "/" in fields[0]:
        raise RecordError(f"{file} is of a record in several segments; give the header of one segment")
    n_signals = _integer(fields[1], "a number of signals", file)
    if n_signals < 1:
        raise RecordError(f"{file} announces {n_signals} signals; expected one at least")
    rate_hz = None
    if len(fields) > 2:
        rate_hz = _number(fields[2].partition("/")[0], "a rate in Hz", file)
        if not 0 < rate_hz <= _MAX_RATE_HZ:
            raise RecordError(
                f"{file} says {rate_hz:g} Hz; expected a rate above 0, at most {_MAX_RATE_HZ:g} Hz"
            )
    n_samples = _integer(fields[3], "a number of samples", file) if len(fields) > 3 else 0
    if n_samples < 0:
        raise RecordError(f"{file} announces {n_samples} samples; expected none or more")
    return rate_hz, n_signals, n_samples or None  # zero is how the format writes "not stated"


def _signal_line(line: str, file: str) -> SignalLine:
    # file format gain resolution zero initial checksum block description; what is absent is absent to the end
    fields = line.split(maxsplit=8)
    if len(fields) < 2:
        raise RecordError(f"{file} describes a signal as {_shown(line)}; expected its file and format")
    fields += [""] * (9 - len(fields))
    number, byte_offset = _format(fields[1], file)
    gain, baseline, unit = _gain(fields[2], file)
    zero = _integer(fields[4], "a converter zero", file) if fields[4] else 0
    return SignalLine(
        file=_inside(fields[0], file),
        format=number,
        byte_offset=byte_offset,
        gain=gain or DEFAULT_GAIN_PER_MV,
        gain_assumed=gain == 0,
        baseline=zero if baseline is None else baseline,
        unit=unit,
        mv_per_unit=_MV_PER_UNIT.get(unit.lower()),
        checksum=_integer(fields[6], "a checksum", file) if fields[6] else 0,
        lead=canonical_lead(fields[8]),
    )


def _format(text: str, file: str) -> tuple[int, int]:
    match = _FORMAT.fullmatch(text)
    if match is None:
        raise RecordError(f"{file} has the format {_shown(text)}; expected one such as 16, 212 or 16+24")
    number, per_frame, skew, byte_offset = (int(group) if group else None for group in match.groups())
    if number not in FORMATS:
        raise RecordError(f"{file} has signals in format {number}; formats {_FORMATS} can be read")
    if per_frame not in (None, 1):
        raise RecordError(f"{file} has {per_frame} samples a frame; expected one for every signal")
    if skew:
        raise RecordError(f"{file} has a signal skewed by {skew} samples; expected none")
    return number, byte_offset or 0


def _gain(text: str, file: str) -> tuple[float, int | None, str]:
    match = _GAIN.fullmatch(text)
    if match is None:
        raise RecordError(f"{file} has the gain {_shown(text)}; expected one such as 1000(0)/mV")
    number, baseline, unit = match.groups()
    gain = _number(number, "a gain", file) if number else 0.0
    if gain and not _GAIN_RANGE[0] <= abs(gain) <= _GAIN_RANGE[1]:
        raise RecordError(f"{file} has a gain of {gain:g} codes a unit; expected one such as 1000")
    return gain, None if baseline is None else _integer(baseline, "a baseline", file), unit or ""


def _inside(name: str, file: str) -> str:
    """A signal file's name, which must not lead out of the record's folder."""
    path, foreign = PurePosixPath(name), PureWindowsPath(name)
    if path.is_absolute() or foreign.anchor or "\\" in name or "\0" in name or ".." in path.parts:
        raise RecordError(f"{file} names the signal file {_shown(name)}; expected one in its own folder")
    return name


def _integer(text: str, what: str, file: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise RecordError(f"{file} has {_shown(text)} where {what} is expected")
    return int(text)


def _number(text: str, what: str, file: str) -> float:
    if _NUMBER.fullmatch(text) is None or not math.isfinite(float(text)):
        raise RecordError(f"{file} has {_shown(text)} where {what} is expected")
    return float(text)


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")
