"""Incremental inference: only the frames that a hop brings are computed, the others are remembered.

The convolutions have no padding and nothing before the mean looks over time, so a frame depends on its own
samples alone: the logits are those of the whole window, bit for bit.
"""

from __future__ import annotations

import numpy as np

from edge_mi.netspec import NetSpec
from edge_mi.runners.base import Int8Array, Runner


class FrameRing:
    """The int8 frames of the last window of one unbroken segment."""

    def __init__(self, net: NetSpec) -> None:
        self._net = net
        self._frames: Int8Array = np.zeros((net.frames, net.features), dtype=np.int8)
        self._position: int | None = None

    def logits(self, runner: Runner, window: Int8Array, position: int) -> Int8Array:
        """Logits int8 (K,) of the window int8 (n,) that ends at `position`, in samples of the segment.

        Windows may be left out; what they would have brought is computed with the next one.
        """
        net = self._net
        hops = net.frames if self._position is None else (position - self._position) // net.hop_samples
        new = min(net.frames, hops * net.hop_frames)
        self._frames[: net.frames - new] = self._frames[new:].copy()
        for start in range(net.frames - new, net.frames, net.hop_frames):
            first = min(start, net.frames - net.hop_frames)  # the last block of a whole window may overlap
            at = first * net.total_stride
            self._frames[first : first + net.hop_frames] = runner.frames(window[at : at + net.front_samples])
        self._position = position
        return runner.head(self._frames)

    @property
    def frames(self) -> Int8Array:
        """The frames int8 (frames, features) of the window that was asked for last."""
        return self._frames.copy()


def mean_of_frames(frames: Int8Array) -> Int8Array:
    """The embedding int8 (features,) of frames int8 (frames, features).

    Their number is odd, so no mean lies halfway between two codes and both golden families round alike.
    """
    sums, n = frames.astype(np.int64).sum(axis=0), len(frames)
    mean: Int8Array = ((2 * sums + n) // (2 * n)).astype(np.int8)
    return mean
