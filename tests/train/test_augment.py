"""Training never meets a missing sample: it is 0 mV, and a mask says where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from edge_mi.train.augment import SignalTable
from edge_mi.train.config import AugmentConfig
from made_up_source import made_up_source
from toy import signal_design

from edge_mi.store import StoredRecord, WindowStore, write_store

QUIET = AugmentConfig(crop_samples=40, log_gain=0.0, noise_mv=0.0)


@pytest.fixture
def table(tmp_path: Path) -> SignalTable:
    """Two records of two leads of 1 mV; in the second, lead II is missing from sample 10 to 29."""
    signals = np.ones((2, 2, 50))
    signals[1, 1, 10:30] = np.nan
    records = [
        StoredRecord(
            record_id=str(i),
            patient_id=str(i),
            fold=1,
            mi=None,
            norm=None,
            codes={},
            age_years=None,
            female=None,
        )
        for i in range(2)
    ]
    source = made_up_source("toy", "none")
    write_store(
        tmp_path / "store", design=signal_design(), source=source, leads=("I", "II"), records=records,
        signals_mv=signals, samples_per_record=50,
    )  # fmt: skip
    return SignalTable(WindowStore.open(tmp_path / "store"), ("II", "I"))


def test_a_missing_sample_is_0_mv(table: SignalTable) -> None:
    signals = table.records_mv(torch.tensor([1, 0]))
    assert signals.shape == (2, 2, 50)
    assert (signals[0, 0, 10:30] == 0).all()
    assert signals.sum() == 180


def test_the_mask_says_what_is_there(table: SignalTable) -> None:
    rows = torch.tensor([1, 0])
    assert torch.equal(table.present(rows), table.records_mv(rows) == 1)


def test_a_view_has_the_same_holes(table: SignalTable) -> None:
    torch.manual_seed(0)
    views = table.augmented_mv(torch.tensor([1]), QUIET)
    assert set(views.unique().tolist()) == {0.0, 1.0}
    assert (views[0, 0] == 0).sum() == 20
    assert (views[0, 1] == 1).all()
