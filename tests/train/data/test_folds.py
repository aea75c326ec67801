"""Folds of collections that have none: the same for a patient, always, and even."""

from __future__ import annotations

import hashlib

import numpy as np
from edge_mi.train.data.folds import FOLDS, fold_of
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 10**9))
def test_a_patient_has_one_fold_by_a_rule_that_anybody_can_repeat(patient: int) -> None:
    number = int(hashlib.sha256(b"georgia/%d" % patient).hexdigest()[:16], 16)
    assert fold_of(f"georgia/{patient}") == 1 + number % 10


def test_folds_do_not_change_with_the_version() -> None:
    assert [fold_of(f"mimic-iv-ecg/{subject}") for subject in (10000032, 10000117, 10000285)] == [3, 5, 2]


def test_folds_are_even() -> None:
    """Chi square of 10 folds over 20,000 patients: 27.9 is exceeded once in 1,000 draws of a fair fold."""
    counts = np.bincount([fold_of(f"mimic-iv-ecg/{10_000_000 + i}") for i in range(20_000)], minlength=11)[1:]
    assert float(np.sum((counts - 2000) ** 2 / 2000)) < 27.9


def test_fold_10_is_not_among_the_folds_that_are_read() -> None:
    assert list(FOLDS) == list(range(1, 10))
