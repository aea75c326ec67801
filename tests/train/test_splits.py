"""Folds are read as written, fold 10 is refused, and held-out groups cover the training folds once."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import pytest
from edge_mi.train.crossfit import inner_splits
from edge_mi.train.splits import (
    CROSS_VALIDATION_GROUPS,
    check_apart,
    check_folds,
    check_stores_apart,
    pairs,
    parse_folds,
    split_by_folds,
)

from edge_mi.errors import ConfigError, StoreError
from edge_mi.store import LabelledRecords, RecordTable, StoredRecord, WindowStore


@pytest.mark.parametrize(
    ("text", "folds"),
    [("1-8", (1, 2, 3, 4, 5, 6, 7, 8)), ("3", (3,)), ("5,1-2, 7", (1, 2, 5, 7)), ("2,2", (2,))],
)
def test_folds_as_written(text: str, folds: tuple[int, ...]) -> None:
    assert parse_folds(text) == folds


@pytest.mark.parametrize("text", ["", "a", "1-", "1;2", "1-99999999999999999999", "٣"])
def test_folds_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match="expected for example 1-8"):
        parse_folds(text)


@pytest.mark.parametrize("text", ["10", "1-10"])
def test_fold_10_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="fold 10 is kept"):
        parse_folds(text)


@pytest.mark.parametrize("text", ["1-99999999", "1-100000000,2", "99999998-99999999"])
def test_a_range_is_judged_by_its_ends_before_it_is_written_out(text: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="expected folds 1 to 9"):
            parse_folds(text)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_range_that_goes_down_is_refused() -> None:
    with pytest.raises(ConfigError, match="8-1 goes down"):
        parse_folds("8-1")


def test_other_folds_do_not_exist() -> None:
    with pytest.raises(ConfigError, match="fold 0"):
        check_folds([0])


@pytest.mark.parametrize("folds", [(1, 2), (1, 2, 3), tuple(range(1, 9)), (2, 5, 6, 7, 9)])
def test_inner_groups_hold_every_fold_out_once(folds: tuple[int, ...]) -> None:
    splits = inner_splits(folds)
    assert sorted(fold for _, held_out in splits for fold in held_out) == list(folds)
    assert all(train and not set(train) & set(held_out) for train, held_out in splits)
    assert all(sorted((*train, *held_out)) == list(folds) for train, held_out in splits)


def test_a_single_fold_cannot_be_cross_fitted() -> None:
    with pytest.raises(ConfigError, match="at least two"):
        pairs((4,))


def test_the_groups_of_cross_validation_leave_fold_10_out() -> None:
    assert sorted(fold for group in CROSS_VALIDATION_GROUPS for fold in group) == list(range(1, 10))


@dataclass(frozen=True)
class Listed(LabelledRecords):
    records: RecordTable


def listed(*patients: tuple[str, int]) -> Listed:
    """Records of (patient, fold)."""
    return Listed(
        RecordTable.of(
            StoredRecord(
                record_id=str(i),
                patient_id=patient,
                fold=fold,
                mi=None,
                norm=None,
                codes={},
                age_years=None,
                female=None,
            )
            for i, (patient, fold) in enumerate(patients)
        )
    )


def test_a_split_has_every_row_of_its_folds_and_no_patient_twice(toy_store: Path) -> None:
    store = WindowStore.open(toy_store)
    split = split_by_folds(store, train=(1, 2, 3, 4, 5, 6, 7), validation=(8,), test=(9,))
    sides = (split.train, split.validation, split.test)
    assert sorted(row for side in sides for row in side.tolist()) == list(range(len(store)))
    patients = [set(store.patients[side].tolist()) for side in sides]
    assert sum(map(len, patients)) == len(set().union(*patients))


def test_a_split_may_have_sides_without_rows() -> None:
    split = split_by_folds(listed(("a/1", 1), ("a/2", 2)), train=(2,))
    assert (split.train.tolist(), split.validation.tolist(), split.test.tolist()) == ([1], [], [])


def test_a_patient_in_two_folds_is_refused_by_name() -> None:
    records = listed(("ptbxl/1", 1), ("ptbxl/15709", 2), ("ptbxl/15709", 9))
    with pytest.raises(StoreError, match="patient ptbxl/15709 is in train and in test"):
        split_by_folds(records, train=(1, 2), test=(9,))
    assert split_by_folds(records, train=(1, 2)).train.tolist() == [0, 1]


def test_a_fold_on_two_sides_and_fold_10_are_refused() -> None:
    with pytest.raises(ConfigError, match="fold 2 is in train and in validation"):
        split_by_folds(listed(("a/1", 1)), train=(1, 2), validation=(2, 3))
    with pytest.raises(ConfigError, match="fold 10 is kept"):
        split_by_folds(listed(("a/1", 1)), train=(1,), test=(10,))


def test_a_patient_on_one_side_may_have_many_records() -> None:
    check_apart({"train": ["a/1", "a/1"], "test": ["a/2"]})


def test_equal_numbers_of_two_collections_are_two_patients() -> None:
    check_stores_apart({"train": [listed(("ptbxl/1", 1))], "test": [listed(("mimic-iv-ecg/1", 1))]})


def test_stores_that_share_a_patient_are_refused_by_name() -> None:
    train = [listed(("georgia/E00001", 1)), listed(("ptbxl/12", 2))]
    with pytest.raises(StoreError, match="patient ptbxl/12 is in train and in test"):
        check_stores_apart({"train": train, "test": [listed(("ptbxl/13", 1), ("ptbxl/12", 2))]})


def test_a_store_whose_patients_name_no_source_cannot_be_compared() -> None:
    with pytest.raises(StoreError, match="patient 12 in test is named without its source"):
        check_stores_apart({"train": [listed(("ptbxl/12", 1))], "test": [listed(("12", 1))]})
