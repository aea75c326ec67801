"""The teacher's embeddings are those of the teacher, computed once, and taken up by their hash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from edge_mi.train import pretrain_aims
from edge_mi.train.distributed import ALONE
from edge_mi.train.pretrain_aims import remove_aims, teacher_aims
from edge_mi.train.pretrain_feed import Aims, CutBatch, CutFeed

from edge_mi.errors import OutputError
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

ROWS = np.array([1, 4, 5, 9, 20, 33, 40, 41, 77, 100])


def embed(batch: CutBatch) -> torch.Tensor:
    return batch.signals_mv()[0].mean(2)[:, :3]


def computed(store: WindowStore, file: Path, key: str = "k", world: Any = ALONE) -> Aims:
    feed = CutFeed(store, TWELVE_LEADS, cut_samples=250, seed=0, readers=1)
    return teacher_aims(file, key, ROWS, 3, feed, embed, world)


class OneOfTwo:
    """A world of two threads."""

    size = 2

    def __init__(self, rank: int, barrier: Barrier, said: list[Any]) -> None:
        self.rank, self.first = rank, rank == 0
        self._barrier, self._said = barrier, said

    def gather_objects(self, value: Any) -> list[Any]:
        self._said[self.rank] = value
        self._barrier.wait(60)
        found = list(self._said)
        self._barrier.wait(60)
        return found

    def wait(self) -> None:
        self.gather_objects(None)


@pytest.fixture
def store(toy_store: Path, monkeypatch: pytest.MonkeyPatch) -> WindowStore:
    monkeypatch.setattr(pretrain_aims, "BLOCK", 4)
    return WindowStore.open(toy_store)


def test_each_record_has_its_own(store: WindowStore, tmp_path: Path) -> None:
    aims = computed(store, tmp_path / "aims.f32")
    asked = np.array([77, 1, 100, 1])
    expected = (store.codes[asked].astype(np.float32) / 4096).mean(2)[:, :3]
    np.testing.assert_allclose(aims.of(asked), expected, atol=1e-6)
    batch = CutFeed(store, ("I",), cut_samples=250, seed=0, readers=1, aims=aims).load(asked, 0)
    assert batch.aims is not None
    assert np.array_equal(batch.aims.numpy(), aims.of(asked))


def test_two_processes_write_what_one_does(store: WindowStore, tmp_path: Path) -> None:
    alone = computed(store, tmp_path / "alone.f32")
    barrier, said = Barrier(2), [None, None]
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(computed, store, tmp_path / "both.f32", "k", OneOfTwo(rank, barrier, said))
            for rank in range(2)
        ]
        for future in both:
            assert np.array_equal(future.result().of(ROWS), alone.of(ROWS))
    assert (tmp_path / "both.f32").read_bytes() == (tmp_path / "alone.f32").read_bytes()


def test_what_is_finished_is_taken_up_and_anything_else_computed_again(
    store: WindowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, loads = tmp_path / "aims.f32", []
    first = computed(store, file).of(ROWS)
    load = CutFeed.load
    monkeypatch.setattr(CutFeed, "load", lambda *words: loads.append(1) or load(*words))
    assert np.array_equal(computed(store, file).of(ROWS), first)
    assert not loads
    computed(store, file, "other")
    assert len(loads) == 3
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)
    assert np.array_equal(computed(store, file, "other").of(ROWS), first)
    remove_aims(file)
    assert list(tmp_path.iterdir()) == []


def test_a_pass_that_was_killed_leaves_nothing_to_be_taken_up(
    store: WindowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*words: object) -> CutBatch:
        raise KeyboardInterrupt

    file = tmp_path / "aims.f32"
    with monkeypatch.context() as patch:
        patch.setattr(CutFeed, "load", killed)
        with pytest.raises(KeyboardInterrupt):
            computed(store, file)
    assert not file.exists()
    assert computed(store, file).of(ROWS).shape == (10, 3)


def test_a_place_that_cannot_be_written_is_named(store: WindowStore, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*aims\.f32"):
        computed(store, tmp_path / "none" / "aims.f32")
