"""The rolling window: samples in, one window a hop out."""

from __future__ import annotations

import numpy as np

from edge_mi.samples import FloatArray


class RollingWindow:
    """Windows of `length` samples, one every `hop` samples.

    A position counts the samples of the segment up to and including the window's last. `first` is the first
    one that is due; by default such that a window ends as soon as there are enough samples. Positions before
    the first window are on the same grid, so that a decision can be due where no window is yet.
    """

    def __init__(self, length: int, hop: int, first: int | None = None) -> None:
        self._length, self._hop = length, hop
        self._buffer: FloatArray = np.zeros(0)
        self._received = 0
        self._next = first or length % hop or hop

    def push(self, samples: FloatArray) -> list[tuple[int, FloatArray | None]]:
        """(position, window) for each decision that `samples`, float64 (n,), make due.

        The window is float64 (length,), or None where fewer than `length` samples have arrived.
        """
        self._buffer = np.concatenate([self._buffer, samples])
        self._received += len(samples)
        due: list[tuple[int, FloatArray | None]] = []
        while self._next <= self._received:
            end = len(self._buffer) - (self._received - self._next)
            window = self._buffer[end - self._length : end].copy() if self._next >= self._length else None
            due.append((self._next, window))
            self._next += self._hop
        if len(self._buffer) > self._length:
            self._buffer = self._buffer[-self._length :].copy()
        return due
