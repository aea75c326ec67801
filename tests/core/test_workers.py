"""Work of many processes comes in order, with little of it begun ahead, and none of it is lost with a worker."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from doomed import killed_by_thirteen

from edge_mi.workers import WorkerPool


def test_a_dead_worker_loses_nothing_and_the_order_stays() -> None:
    done_here = []

    def here(item: int) -> int:
        done_here.append(item)
        return 2 * item

    with WorkerPool(2) as pool:
        assert list(pool.in_order(killed_by_thirteen, range(40), here)) == list(range(0, 80, 2))
    assert 13 in done_here
    assert 0 not in done_here


def test_little_is_begun_ahead_of_what_is_taken() -> None:
    begun = []

    def items() -> Iterator[int]:
        for i in range(1000):
            begun.append(i)
            yield i

    with WorkerPool(1) as pool:
        results = pool.in_order(abs, items(), abs)
        for i in range(20):
            assert next(results) == i
            assert len(begun) <= i + 8


def test_a_worker_has_one_thread_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with WorkerPool(1) as pool:
        found = [
            pool.submit(os.getenv, name).result() for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
        ]
    assert found == ["1", "3"]
    assert "OPENBLAS_NUM_THREADS" not in os.environ
