"""Folds are read as written, fold 10 is refused, and held-out groups cover the training folds once."""

from __future__ import annotations

import pytest
from edge_mi.train.crossfit import inner_splits
from edge_mi.train.splits import CROSS_VALIDATION_GROUPS, check_folds, pairs, parse_folds

from edge_mi.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "folds"),
    [("1-8", (1, 2, 3, 4, 5, 6, 7, 8)), ("3", (3,)), ("5,1-2, 7", (1, 2, 5, 7)), ("2,2", (2,))],
)
def test_folds_as_written(text: str, folds: tuple[int, ...]) -> None:
    assert parse_folds(text) == folds


@pytest.mark.parametrize("text", ["", "a", "1-", "1;2"])
def test_folds_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match="expected for example 1-8"):
        parse_folds(text)


@pytest.mark.parametrize("text", ["10", "1-10"])
def test_fold_10_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="fold 10 is kept"):
        parse_folds(text)


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
