"""A window store: filtered records of many patients in one folder, ready for training and measurement.

`manifest.json` says what the store is and holds the hashes of the rest; `signals.npy` is int16 (records, leads,
samples) on a grid of 2^-12 mV, -32768 where a sample is missing, opened memory-mapped and hashed in blocks, so
that 20 GB need not be read to open it; `labels.npz` holds the records' labels as columns. These are health data:
folder and files are for their owner only (contract C10), and a patient lies in one fold only (contract C12).
"""

from __future__ import annotations

from edge_mi.store.codes import CODES_PER_MV, LARGEST_CODE, MISSING_CODE, to_codes
from edge_mi.store.labels import LabelledRecords, RecordTable, Stage, StoredRecord, check_patients
from edge_mi.store.manifest import SCHEMA, Manifest, StoreSource, filter_sha256
from edge_mi.store.window_store import WindowStore
from edge_mi.store.write import write_store

__all__ = [
    "CODES_PER_MV",
    "LARGEST_CODE",
    "MISSING_CODE",
    "SCHEMA",
    "LabelledRecords",
    "Manifest",
    "RecordTable",
    "Stage",
    "StoreSource",
    "StoredRecord",
    "WindowStore",
    "check_patients",
    "filter_sha256",
    "to_codes",
    "write_store",
]
