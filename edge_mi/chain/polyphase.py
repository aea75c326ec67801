"""One linear-phase stage of the chain, streaming, exact on its grid.

With taps in units of 2^-20 and samples in units of 2^-14 every product and every partial sum is a multiple
of 2^-34 below 2^18, so float64 represents all of them: no order of addition, chunking, BLAS or processor
can change a bit, and integers in C give the same sums.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edge_mi.samples import FloatArray
from edge_mi.signal_design import MV_BITS, TAP_BITS

LIMIT_MV = 1024.0  # keeps the sums above exact; no electrode reaches it
_BLOCK: Final = 64  # outputs of one matrix product; more waste zeros, fewer waste calls


def to_grid(samples_mv: FloatArray) -> FloatArray:
    """Samples rounded to the 2^-14 mV grid, half upwards (in C: add half, shift right), held to ±1024 mV."""
    scaled = np.clip(np.asarray(samples_mv, dtype=np.float64), -LIMIT_MV, LIMIT_MV) * float(1 << MV_BITS)
    scaled += 0.5
    np.floor(scaled, out=scaled)
    scaled /= float(1 << MV_BITS)
    return scaled


class PolyphaseStage:
    """Resample by up/down with symmetric taps at the rate in * up; up = down = 1 is a plain FIR.

    Output m stands at the time of input m * down / up: the delay is taken out. Both ends are extended by
    odd reflection, 2 x[0] - x[k] and 2 x[N-1] - x[N-1-k], which the delay makes possible without waiting;
    `close` gives the last outputs. An input shorter than the reflection needs gives no output.
    Time is the last axis: several leads may go through together.
    """

    def __init__(self, taps: tuple[int, ...], *, up: int = 1, down: int = 1) -> None:
        self._up, self._down = up, down
        self._half = len(taps) // 2
        self._length = -(-len(taps) // up)
        self._weights = _block_weights(taps, up, down)
        self._reach = self._length - 1 - self._half // up + (1 if up > 1 else 0)
        self._buffer: FloatArray = np.zeros(0)
        self._start = 0  # input index of _buffer[0]
        self._received = 0
        self._next_output = 0

    @property
    def inputs_needed(self) -> int:
        """Fewest input samples that give any output."""
        return self._reach + 1

    def push(self, samples: FloatArray) -> FloatArray:
        """Outputs that `samples`, float64 (..., n) on the grid, complete; float64 (..., m) on the grid."""
        before = self._buffer if self._received else samples[..., :0]
        self._buffer = np.concatenate([before, samples], axis=-1)
        waited = self._received < self.inputs_needed
        self._received += samples.shape[-1]
        if self._received < self.inputs_needed:
            return self._buffer[..., :0]
        if waited:
            mirrored = 2 * self._buffer[..., :1] - self._buffer[..., self._reach : 0 : -1]
            self._buffer = np.concatenate([mirrored, self._buffer], axis=-1)
            self._start = -self._reach
        return self._take()

    def close(self) -> FloatArray:
        """The outputs that were waiting for samples after the last one, float64 (..., m)."""
        if self._received < self.inputs_needed:
            return self._buffer[..., :0]
        mirrored = 2 * self._buffer[..., -1:] - self._buffer[..., -2 : -2 - self._reach : -1]
        self._buffer = np.concatenate([self._buffer, mirrored], axis=-1)
        total = (self._received - 1) * self._up // self._down + 1
        return self._take(total)

    def _take(self, total: int | None = None) -> FloatArray:
        end = self._start + self._buffer.shape[-1]
        # output m needs inputs up to floor((m * down + half) / up)
        ready = ((end - 1) * self._up + self._up - 1 - self._half) // self._down + 1
        ready = ready if total is None else min(ready, total)
        if ready <= self._next_output:
            return self._buffer[..., :0]
        sums = self._sums(self._next_output, ready)
        self._next_output = ready
        self._forget()
        return to_grid(sums)

    def _sums(self, first_output: int, stop: int) -> FloatArray:
        """Outputs from `first_output` to before `stop`, as products of blocks of inputs with one matrix."""
        skipped = first_output % self._up  # blocks begin where the phases do
        span, block = self._weights.shape
        blocks = -(-(stop - first_output + skipped) // block)
        step = block * self._down // self._up
        first_input = ((first_output - skipped) * self._down + self._half) // self._up - (self._length - 1)
        lead_in = first_input - self._start  # negative where only skipped outputs would need it
        needed = (blocks - 1) * step + span
        inputs = np.zeros((*self._buffer.shape[:-1], needed))
        held = self._buffer[..., max(lead_in, 0) : lead_in + needed]
        inputs[..., max(-lead_in, 0) : max(-lead_in, 0) + held.shape[-1]] = held
        windows = sliding_window_view(inputs, span, axis=-1)[..., ::step, :]
        sums = windows.reshape(-1, span) @ self._weights
        outputs = sums.reshape(*self._buffer.shape[:-1], blocks * block)
        return outputs[..., skipped : skipped + stop - first_output]

    def _forget(self) -> None:
        newest = (self._next_output * self._down + self._half) // self._up
        # close() mirrors `reach` samples around the last, so those stay too
        keep = min(newest - (self._length - 1), self._received - 1 - self._reach)
        if keep > self._start:
            self._buffer = self._buffer[..., keep - self._start :].copy()
            self._start = keep


@lru_cache(maxsize=32)
def _block_weights(taps: tuple[int, ...], up: int, down: int) -> FloatArray:
    """What each input of a block weighs in each of its outputs, float64 (inputs, outputs); zero outside the taps."""
    length, half = -(-len(taps) // up), len(taps) // 2
    padded = np.zeros(length * up)
    padded[: len(taps)] = np.asarray(taps, dtype=np.float64) / float(1 << TAP_BITS)
    # row r holds h[r], h[r + up], ... reversed, so that it meets inputs in ascending order
    phases = padded.reshape(length, up).T[:, ::-1]
    outputs = -(-_BLOCK // up) * up
    centres = half + np.arange(outputs) * down
    firsts = centres // up - half // up
    weights = np.zeros((int(firsts[-1]) + length, outputs))
    for output, (first, phase) in enumerate(zip(firsts, centres % up, strict=True)):
        weights[first : first + length, output] = phases[phase]
    return weights
