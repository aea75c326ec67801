"""One linear-phase stage of the chain, streaming, exact on its grid.

With taps in units of 2^-20 and samples in units of 2^-14 every product and every partial sum is a multiple
of 2^-34 below 2^18, so float64 represents all of them: no order of addition, chunking, BLAS or processor
can change a bit, and integers in C give the same sums.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edge_mi.samples import FloatArray
from edge_mi.signal_design import MV_BITS, TAP_BITS

LIMIT_MV = 1024.0  # keeps the sums above exact; no electrode reaches it


def to_grid(samples_mv: FloatArray) -> FloatArray:
    """Samples rounded to the 2^-14 mV grid, half upwards (in C: add half, shift right), held to ±1024 mV."""
    scaled = np.floor(np.clip(samples_mv, -LIMIT_MV, LIMIT_MV) * float(1 << MV_BITS) + 0.5)
    return np.asarray(scaled / float(1 << MV_BITS), dtype=np.float64)


class PolyphaseStage:
    """Resample by up/down with symmetric taps at the rate in * up; up = down = 1 is a plain FIR.

    Output m stands at the time of input m * down / up: the delay is taken out. Both ends are extended by
    odd reflection, 2 x[0] - x[k] and 2 x[N-1] - x[N-1-k], which the delay makes possible without waiting;
    `close` gives the last outputs. An input shorter than the reflection needs gives no output.
    """

    def __init__(self, taps: tuple[int, ...], *, up: int = 1, down: int = 1) -> None:
        self._up, self._down = up, down
        self._half = len(taps) // 2
        length = -(-len(taps) // up)
        padded = np.zeros(length * up)
        padded[: len(taps)] = np.asarray(taps, dtype=np.float64) / float(1 << TAP_BITS)
        # row r holds h[r], h[r + up], ... reversed, so that it meets inputs in ascending order
        self._phases = np.ascontiguousarray(padded.reshape(length, up).T[:, ::-1])
        self._reach = length - 1 - self._half // up + (1 if up > 1 else 0)
        self._buffer: FloatArray = np.zeros(0)
        self._start = 0  # input index of _buffer[0]
        self._received = 0
        self._next_output = 0

    @property
    def inputs_needed(self) -> int:
        """Fewest input samples that give any output."""
        return self._reach + 1

    def push(self, samples: FloatArray) -> FloatArray:
        """Outputs that `samples`, float64 (n,) on the grid, complete; float64 (m,) on the grid."""
        if self._received < self.inputs_needed:
            self._buffer = np.concatenate([self._buffer, samples])
            self._received += len(samples)
            if self._received < self.inputs_needed:
                return np.zeros(0)
            mirrored = 2 * self._buffer[0] - self._buffer[self._reach : 0 : -1]
            self._buffer = np.concatenate([mirrored, self._buffer])
            self._start = -self._reach
        else:
            self._buffer = np.concatenate([self._buffer, samples])
            self._received += len(samples)
        return self._take()

    def close(self) -> FloatArray:
        """The outputs that were waiting for samples after the last one, float64 (m,)."""
        if self._received < self.inputs_needed:
            return np.zeros(0)
        last = self._buffer[-1]
        mirrored = 2 * last - self._buffer[-2 : -2 - self._reach : -1]
        self._buffer = np.concatenate([self._buffer, mirrored])
        total = (self._received - 1) * self._up // self._down + 1
        return self._take(total)

    def _take(self, total: int | None = None) -> FloatArray:
        end = self._start + len(self._buffer)
        # output m needs inputs up to floor((m * down + half) / up)
        ready = ((end - 1) * self._up + self._up - 1 - self._half) // self._down + 1
        ready = ready if total is None else min(ready, total)
        if ready <= self._next_output:
            return np.zeros(0)
        centres = np.arange(self._next_output, ready) * self._down + self._half
        newest = centres // self._up
        length = self._phases.shape[1]
        first = newest - (length - 1) - self._start
        windows = sliding_window_view(self._buffer, length)
        if self._up == 1:
            sums = windows[first] @ self._phases[0]
        else:
            sums = np.einsum("ij,ij->i", windows[first], self._phases[centres % self._up])
        self._next_output = ready
        self._forget()
        return to_grid(sums)

    def _forget(self) -> None:
        newest = (self._next_output * self._down + self._half) // self._up
        # close() mirrors `reach` samples around the last, so those stay too
        keep = min(newest - (self._phases.shape[1] - 1), self._received - 1 - self._reach)
        if keep > self._start:
            self._buffer = self._buffer[keep - self._start :].copy()
            self._start = keep
