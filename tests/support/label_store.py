"""An opened store of labels without signals, for what only asks who has which infarction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from made_up_source import made_up_source

from edge_mi.store import (
    CODES_PER_MV,
    SCHEMA,
    Manifest,
    RecordTable,
    Stage,
    StoredRecord,
    WindowStore,
)

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def label_store(records: Sequence[StoredRecord], codes: np.ndarray | None = None) -> WindowStore:
    """The records as a store of twelve leads, by default of one sample of 0 mV."""
    signals = np.zeros((len(records), len(LEADS), 1), dtype=np.int16) if codes is None else codes
    manifest = Manifest(
        schema=SCHEMA,
        source=made_up_source("labels"),
        rate_hz=100,
        leads=LEADS,
        samples_per_record=signals.shape[2],
        codes_per_mv=CODES_PER_MV,
        clipped_samples=0,
        missing_samples=0,
        left_out={},
        filter_sha256="0" * 64,
        versions={},
        records=len(records),
        block_records=len(records),
        signals_sha256=("0" * 64,),
        files={"labels.npz": "0" * 64},
    )
    return WindowStore(manifest, RecordTable.of(records), signals, Path())


def infarct_store() -> WindowStore:
    """135 patients with two records each in nine folds.

    54 records with IMI, 28 with ASMI, half of them recent and half old, 18 with AMI, 2 of one patient with LMI; no
    other type.
    """
    return label_store([_record(i) for i in range(270)])


def _record(i: int) -> StoredRecord:
    patient = i // 2
    stage: Stage | None = None
    if patient % 5 == 0:
        name = "IMI"
    elif patient % 10 == 1:
        name, stage = "ASMI", "recent" if patient % 20 == 1 else "old"
    elif patient % 15 == 2:
        name = "AMI"
    else:
        name = "LMI" if patient == 134 else "NORM" if patient % 2 else "STTC"
    return StoredRecord(
        record_id=f"{i:04d}",
        patient_id=f"p{patient}",
        fold=1 + patient % 9,
        mi=name not in ("NORM", "STTC"),
        norm=name == "NORM",
        codes={name: 80.0},
        age_years=None if i == 7 else 40.0 + i % 50,
        female=bool(i % 2),
        stage=stage,
    )
