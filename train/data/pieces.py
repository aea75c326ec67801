"""Records of any length as pieces of 10 s, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.records import read_signals
from edge_mi.records.leads import choose_lead, lead_rows
from edge_mi.records.wfdb_header import DEFAULT_RATE_HZ, Header
from edge_mi.store import StoredRecord

from .collection import ListedRecord

PIECE_S: Final = 10


def pieces_of(path: Path, header: Header, record: StoredRecord) -> tuple[ListedRecord, ...]:
    """The whole pieces of the record at `path`, what is left at its end unused; from the second on the id says where.

    Raises RecordError for a header that states no length.
    """
    if header.n_samples is None:
        raise RecordError(f"{path} states no length; expected one, as published: download it again")
    whole = int(header.n_samples / (header.rate_hz or DEFAULT_RATE_HZ) / PIECE_S)
    starts_s = [float(PIECE_S * i) for i in range(whole)]
    return tuple(
        ListedRecord(
            record=replace(record, record_id=f"{record.record_id}@{start_s:g}") if start_s else record,
            path=path,
            start_s=start_s,
        )
        for start_s in starts_s
    )


def read_piece(path: Path, start_s: float, leads: Sequence[str]) -> tuple[NDArray[np.float64], float]:
    """Millivolts float64 (leads, samples) of one piece, NaN where the record marks samples invalid; and its rate in Hz.

    Lead I alone may be a single signal without a lead's name. Raises RecordError for a damaged record, one that
    ends before the piece does, and a lead that is missing or there twice.
    """
    signals = read_signals(path)
    if tuple(leads) == ("I",):
        rows = [choose_lead(signals.name, signals.leads, "I")[0]]
    else:
        rows = lead_rows(str(path), signals.leads, leads)
    start = round(start_s * signals.rate_hz)
    stop = start + round(PIECE_S * signals.rate_hz)
    if stop > signals.samples_mv.shape[1]:
        raise RecordError(
            f"{path} has {signals.samples_mv.shape[1]} samples, a piece from {start_s:g} s on needs {stop}"
        )
    return signals.samples_mv[rows, start:stop], signals.rate_hz
