"""WFDB records: codes from files of formats 16, 24, 32 and 212, checked against their header, as millivolts.

Source: https://wfdb.io/spec/signal-files.html.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.records.mat import HEADER_BYTES, check_mat
from edge_mi.records.rates import rates_agree
from edge_mi.records.record import Signals
from edge_mi.records.wfdb_codes import INVALID, bytes_of, codes_in, unpack
from edge_mi.records.wfdb_header import (
    DEFAULT_GAIN_PER_MV,
    DEFAULT_RATE_HZ,
    Header,
    SignalLine,
    read_header,
)


def read_wfdb(header_path: Path, rate_hz: float | None = None) -> Signals:
    """Read the record whose header is `header_path`; `rate_hz` is for headers that state none.

    Signals in another unit than volts are left out, with a warning.
    Raises RecordError for a header or file that cannot be what it claims; OSError where a file cannot be read.
    """
    header = read_header(header_path)
    rate, warnings = _rate(header, header_path, rate_hz)
    n_samples, more = _length(header, header_path)
    warnings += more
    codes = np.empty((len(header.signals), n_samples), dtype=np.int32)
    for file, members in _files(header, header_path.name).items():
        codes[members] = _read_codes(
            header_path.parent / file, header.signals[members[0]], len(members), n_samples
        )
    for signal, row in zip(header.signals, codes, strict=True):
        _check_sum(signal, row, header_path.name)
    kept = [i for i, signal in enumerate(header.signals) if signal.mv_per_unit is not None]
    warnings += [
        f"{header_path.name}: the signal {signal.lead} in {signal.unit} is left out, as it is no voltage"
        for signal in header.signals
        if signal.mv_per_unit is None
    ]
    if not kept:
        raise RecordError(
            f"{header_path.name} has no signal in mV, uV or V; found {header.signals[0].unit[:40]!r}"
        )
    return Signals(
        name=header_path.stem,
        leads=tuple(header.signals[i].lead for i in kept),
        samples_mv=np.stack([_millivolts(header.signals[i], codes[i]) for i in kept]),
        rate_hz=rate,
        comments=header.comments,
        codes=codes[kept],
        warnings=tuple(warnings),
    )


def _rate(header: Header, path: Path, given_hz: float | None) -> tuple[float, list[str]]:
    stated = header.rate_hz
    if stated is not None:
        if given_hz is not None and not rates_agree(stated, given_hz):
            raise RecordError(f"{path.name} says {stated:g} Hz, the rate given is {given_hz:g} Hz")
        return stated, []
    if given_hz is not None:
        return given_hz, []
    return DEFAULT_RATE_HZ, [
        f"{path.name} states no rate: {DEFAULT_RATE_HZ:g} Hz assumed, as the format says"
    ]


def _files(header: Header, name: str) -> dict[str, list[int]]:
    """The signals in each file, in their order there."""
    files: dict[str, list[int]] = {}
    for i, signal in enumerate(header.signals):
        files.setdefault(signal.file, []).append(i)
    for file, members in files.items():
        layouts = {(header.signals[i].format, header.signals[i].byte_offset) for i in members}
        if len(layouts) > 1:
            raise RecordError(
                f"{name} gives the signals in {file} different formats; expected one for a file"
            )
    return files


def _length(header: Header, path: Path) -> tuple[int, list[str]]:
    """Samples of every signal: as announced, or as the files hold; and warnings. Raises RecordError."""
    available = {}
    for file, members in _files(header, path.name).items():
        signal = header.signals[members[0]]
        size = _size(path.parent / file, path.name)
        available[file] = codes_in(size - signal.byte_offset, signal.format) // len(members)
    n_samples = header.n_samples or min(available.values())
    if n_samples < 1:
        raise RecordError(f"{path.name}: {min(available, key=lambda f: available[f])} holds no samples")
    if header.n_samples is None and len(set(available.values())) > 1:
        raise RecordError(
            f"{path.name} states no length and its files hold {sorted(set(available.values()))} samples"
        )
    warnings = [
        f"{path.name}: {signal.lead or 'a signal'} has no gain; {DEFAULT_GAIN_PER_MV:g} codes per mV assumed"
        for signal in header.signals
        if signal.gain_assumed and signal.mv_per_unit is not None
    ]
    for file, members in _files(header, path.name).items():
        signal = header.signals[members[0]]
        size = _size(path.parent / file, path.name)
        expected = signal.byte_offset + bytes_of(n_samples * len(members), signal.format)
        if size < expected:
            raise RecordError(
                f"{file} is cut short: found {size} bytes, expected {expected} for {n_samples} samples"
            )
        if available[file] > n_samples:
            warnings.append(
                f"{file} holds {size - expected} bytes more than its header announces; they are not read"
            )
        if file.lower().endswith(".mat") and signal.byte_offset == HEADER_BYTES:
            check_mat(path.parent / file, len(members), n_samples)
    return n_samples, warnings


def _size(path: Path, header: str) -> int:
    if not path.is_file():
        raise RecordError(
            f"{header} names the file {path.name}, which is not there: put it beside the header"
        )
    return path.stat().st_size


def _read_codes(path: Path, layout: SignalLine, n_signals: int, n_samples: int) -> NDArray[np.int32]:
    """Codes of one file, int32, shape (n_signals, n_samples)."""
    n_codes = n_signals * n_samples
    n_bytes = bytes_of(n_codes, layout.format)
    raw = np.fromfile(path, dtype=np.uint8, count=n_bytes, offset=layout.byte_offset)
    codes = unpack(raw, layout.format, n_codes)
    if codes.size != n_codes:
        raise RecordError(f"{path.name} is cut short: found {codes.size} samples, expected {n_codes}")
    return codes.reshape(n_samples, n_signals).T


def _check_sum(signal: SignalLine, codes: NDArray[np.int32], header: str) -> None:
    if signal.checksum == 0:  # how archives without checksums fill the field
        return
    found = int(codes.sum(dtype=np.int64)) % 65536
    if found != signal.checksum % 65536:
        raise RecordError(
            f"{signal.file} was changed or damaged: the samples of {signal.lead or 'a signal'} sum to {found}, "
            f"{header} says {signal.checksum % 65536}"
        )


def _millivolts(signal: SignalLine, codes: NDArray[np.int32]) -> NDArray[np.float64]:
    assert signal.mv_per_unit is not None
    samples = (codes.astype(np.float64) - signal.baseline) / signal.gain * signal.mv_per_unit
    samples[codes == INVALID[signal.format]] = np.nan
    return samples
