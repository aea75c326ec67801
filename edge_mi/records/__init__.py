"""Records on disk: WFDB, CinC .mat and CSV, read with numpy alone."""

from __future__ import annotations

from edge_mi.records.find import find_records, list_records
from edge_mi.records.read import read_record, read_signals
from edge_mi.records.record import Record, Signals
from edge_mi.records.wfdb_write import write_wfdb

__all__ = ["Record", "Signals", "find_records", "list_records", "read_record", "read_signals", "write_wfdb"]
