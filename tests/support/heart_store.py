"""A window store of synthetic hearts, healthy and infarcted, filtered as the model that ships wants it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_up_source import made_up_source
from toy import signal_design

from edge_mi import synthetic
from edge_mi.chain.chain import filter_segment
from edge_mi.store import StoredRecord, write_store


def heart_store(
    path: Path, *, records: int = 96, folds: int = 4, samples: int = 1000, gain: float = 1.0
) -> Path:
    """Write the store; every third heart has an inferior infarct, folds go round."""
    rng = np.random.default_rng(0)
    design, stored, signals = signal_design(), [], []
    for i in range(records):
        mi = i % 3 == 0
        heart = synthetic.ecg(
            10,
            rate_hz=100,
            territory="inferior" if mi else "none",
            heart_rate_bpm=float(rng.uniform(55, 95)),
            noise_mv=0.02,
            seed=i,
        )
        signals.append(gain * filter_segment(design, 100, heart.lead("I"))[None, :samples])
        stored.append(
            StoredRecord(
                record_id=f"{i:05d}",
                patient_id=str(i),
                fold=1 + (i // 3) % folds,
                mi=mi,
                norm=not mi,
                codes={"IMI": 100.0} if mi else {"NORM": 100.0},
                age_years=60.0,
                female=None,
            )
        )
    write_store(
        path,
        design=design,
        source=made_up_source("hearts", "by construction"),
        leads=("I",),
        records=tuple(stored),
        signals_mv=signals,
        samples_per_record=samples,
    )
    return path
