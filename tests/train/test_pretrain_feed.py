"""Batches come from the memory map in a fixed order, with what is random drawn from seed, epoch and row alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_mi.train.pretrain_feed import CutFeed

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import CODES_PER_MV, MISSING_CODE, WindowStore

BATCHES = [torch.tensor([5, 2, 90]), torch.tensor([7, 100, 3]), torch.tensor([1])]


@pytest.fixture
def store(toy_store: Path) -> WindowStore:
    return WindowStore.open(toy_store)


def test_batches_hold_the_records_of_their_rows_whatever_the_number_of_readers(store: WindowStore) -> None:
    one, many = (
        list(CutFeed(store, TWELVE_LEADS, cut_samples=250, seed=1, readers=n)(BATCHES, 4)) for n in (1, 4)
    )
    assert len(one) == len(BATCHES)
    for rows, a, b in zip(BATCHES, one, many, strict=True):
        assert torch.equal(a.rows, rows)
        np.testing.assert_array_equal(a.codes.numpy(), store.codes[rows.numpy()])
        assert torch.equal(a.codes, b.codes)
        assert torch.equal(a.starts, b.starts)
        assert torch.equal(a.draws, b.draws)


def test_leads_come_in_the_order_that_was_asked_for(store: WindowStore) -> None:
    feed = CutFeed(store, ("V2", "i"), cut_samples=250, seed=1)
    batch = feed.load(np.array([3, 8]), 0)
    expected = store.codes[[3, 8]][:, [store.lead_index("V2"), 0]]
    np.testing.assert_array_equal(batch.codes.numpy(), expected)


def test_a_cut_is_a_piece_of_its_record(store: WindowStore) -> None:
    batch = CutFeed(store, TWELVE_LEADS, cut_samples=250, seed=1).load(np.arange(20), 0)
    cuts, present = batch.cuts_mv(250, lead=6)
    records, _ = batch.signals_mv()
    assert cuts.shape == (20, 1, 250)
    assert present.all()
    for i, start in enumerate(batch.starts.tolist()):
        assert torch.equal(cuts[i, 0], records[i, 6, start : start + 250])
    whole, _ = batch.cuts_mv(250)
    assert torch.equal(whole[:, 6:7], cuts)


def test_what_is_random_depends_on_seed_epoch_and_row_and_nothing_else(store: WindowStore) -> None:
    def starts(seed: int, epoch: int, rows: list[int]) -> list[int]:
        feed = CutFeed(store, TWELVE_LEADS, cut_samples=250, seed=seed)
        result: list[int] = feed.load(np.array(rows), epoch).starts.tolist()
        return result

    rows = list(range(108))
    first = starts(1, 0, rows)
    assert starts(1, 0, rows[::-1]) == first[::-1]  # as another process or batch would draw them
    assert starts(1, 1, rows) != first
    assert starts(2, 0, rows) != first
    assert set(first) <= set(range(51))
    assert len(set(first)) > 35  # 108 draws from 51 places


def test_missing_samples_become_zero_and_are_marked(store: WindowStore) -> None:
    codes = np.array(store.codes)
    codes[4, 2, 10:60] = MISSING_CODE
    batch = CutFeed(replace(store, codes=codes), TWELVE_LEADS, cut_samples=300, seed=1).load(
        np.array([4, 5]), 0
    )
    signals, present = batch.signals_mv()
    assert not present[0, 2, 10:60].any()
    assert int((~present).sum()) == 50
    assert not signals[0, 2, 10:60].any()
    assert torch.equal(signals[1], torch.from_numpy(codes[5].astype(np.float32) / CODES_PER_MV))
    cuts, in_cut = batch.cuts_mv(300, lead=2)
    assert torch.equal(in_cut[0], present[0, 2:3])
    assert torch.equal(cuts[0], signals[0, 2:3])


class Lost(OSError):
    pass


class Broken:
    """Codes on a disk that fails."""

    shape = (108, 12, 300)

    def __getitem__(self, _: object) -> None:
        raise Lost


def test_an_error_of_a_reader_reaches_the_loop(store: WindowStore) -> None:
    feed = CutFeed(replace(store, codes=Broken()), TWELVE_LEADS, cut_samples=250, seed=1)  # type: ignore[arg-type]
    with pytest.raises(Lost):
        list(feed(BATCHES, 0))


def test_a_loop_that_stops_early_leaves_no_reader_behind(store: WindowStore) -> None:
    steps = CutFeed(store, TWELVE_LEADS, cut_samples=250, seed=1)(BATCHES * 20, 0)
    next(steps)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_a_cut_longer_than_a_record_is_a_wrong_call(store: WindowStore) -> None:
    with pytest.raises(ValueError, match="a cut of 301 samples"):
        CutFeed(store, TWELVE_LEADS, cut_samples=301, seed=1)
