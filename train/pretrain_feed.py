"""Batches of a store of any size: read from the memory map by threads, ahead of the step that needs them.

Nothing is copied into memory but the batches on their way. What is random is drawn from the seed, the epoch and
the row alone, so that neither the number of threads or processes nor a kill changes what a record looks like.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_mi.store import CODES_PER_MV, MISSING_CODE, WindowStore

READERS: Final = 2
AHEAD: Final = 4  # batches on their way, a reader


@dataclass(frozen=True, slots=True)
class CutBatch:
    """Records of one batch on their device: `codes` int16 (n, leads, samples), and two numbers drawn for each.

    starts: where its cut begins, int64 (n,). draws: bits for whatever else is random, int64 (n,). aims: what the teacher
    says of each record, float32 (n, dim), where the feed was given it.
    """

    rows: Tensor
    codes: Tensor
    starts: Tensor
    draws: Tensor
    aims: Tensor | None = None

    def signals_mv(self) -> tuple[Tensor, Tensor]:
        """Whole records, float32 (n, leads, samples), 0 where a sample is missing; bool, true where it is not."""
        return _millivolts(self.codes)

    def cuts_mv(self, samples: int, lead: int | None = None) -> tuple[Tensor, Tensor]:
        """`samples` cut out of every record, of one lead or of all; as `signals_mv`."""
        codes = self.codes if lead is None else self.codes[:, lead : lead + 1]
        index = self.starts[:, None, None] + torch.arange(samples, device=codes.device)
        return _millivolts(codes.gather(2, index.expand(-1, codes.shape[1], -1)))


@dataclass(frozen=True, slots=True, eq=False)
class Aims:
    """Embeddings float32 (len(rows), dim) of the records `rows`, ascending; maybe a memory map."""

    rows: NDArray[np.int64]
    values: NDArray[np.float32]

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Those of some of the records, in memory."""
        return np.array(self.values[np.searchsorted(self.rows, rows)])


class CutFeed:
    """Gives a loop its batches: `leads` of each record, in this order, and where its cut of `cut_samples` begins.

    `waited_s` is how long the loop stood still for them.
    """

    def __init__(
        self,
        store: WindowStore,
        leads: Sequence[str],
        *,
        cut_samples: int,
        seed: int,
        device: str = "cpu",
        readers: int = READERS,
        advance: Callable[[], None] = lambda: None,
        aims: Aims | None = None,
    ) -> None:
        self._codes, self._room = store.codes, store.codes.shape[2] - cut_samples
        if self._room < 0:
            raise ValueError(f"a cut of {cut_samples} samples, records have {store.codes.shape[2]}")
        self._columns = [store.lead_index(lead) for lead in leads]
        self._all = self._columns == list(range(store.codes.shape[1]))
        self._seed, self._device, self._readers, self._advance = seed, device, readers, advance
        self._aims, self.waited_s = aims, 0.0

    def __call__(self, batches: Sequence[Tensor], epoch: int) -> Iterator[CutBatch]:
        """The batches of rows, loaded, in their order."""
        waiting: deque[Future[CutBatch]] = deque()
        with ThreadPoolExecutor(self._readers) as pool:
            try:
                for rows in batches:
                    waiting.append(pool.submit(self.load, rows.numpy(), epoch))
                    if len(waiting) > self._readers * AHEAD:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                pool.shutdown(cancel_futures=True)

    def load(self, rows: NDArray[np.int64], epoch: int) -> CutBatch:
        """One batch."""
        codes = self._codes[rows] if self._all else self._codes[rows[:, None], self._columns]
        draws = _draws(rows, self._seed, epoch)
        # the high bits choose the start, the low ones are left for the rest
        starts = ((draws >> np.uint64(32)) % np.uint64(self._room + 1)).astype(np.int64)
        rest = (draws & np.uint64(0xFFFFFFFF)).astype(np.int64)
        return CutBatch(
            self._moved(torch.from_numpy(rows)),
            self._moved(torch.from_numpy(codes)),
            self._moved(torch.from_numpy(starts)),
            self._moved(torch.from_numpy(rest)),
            None if self._aims is None else self._moved(torch.from_numpy(self._aims.of(rows))),
        )

    def _next(self, waiting: deque[Future[CutBatch]]) -> CutBatch:
        start_s = time.perf_counter()
        batch = waiting.popleft().result()
        self.waited_s += time.perf_counter() - start_s
        self._advance()
        return batch

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor if self._device == "cpu" else tensor.pin_memory().to(self._device, non_blocking=True)


def _millivolts(codes: Tensor) -> tuple[Tensor, Tensor]:
    present = codes != MISSING_CODE
    return codes.float().div_(CODES_PER_MV).masked_fill_(~present, 0.0), present


def _draws(rows: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.uint64]:
    """64 random bits for each row: splitmix64 (Steele et al., OOPSLA 2014) of seed, epoch and row, uint64 (n,)."""
    with np.errstate(over="ignore"):
        state = _mixed(np.full(len(rows), seed, dtype=np.uint64))
        state = _mixed(state ^ np.uint64(epoch))
        return _mixed(state ^ rows.astype(np.uint64))


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
