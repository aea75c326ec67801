"""Sources of chunks that are already on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from edge_mi.samples import Chunk

CHUNK_S = 0.5


def chunks_of(samples_mv: ArrayLike, rate_hz: float, *, chunk_samples: int | None = None) -> Iterator[Chunk]:
    """A record as the chunks of a stream: samples float (n,), millivolts, time zero at the first."""
    samples = np.asarray(samples_mv, dtype=np.float64)
    step = chunk_samples or max(1, round(CHUNK_S * rate_hz))
    for start in range(0, len(samples), step):
        yield Chunk(
            t_s=start / rate_hz, samples_mv=samples[start : start + step], rate_hz=rate_hz, index=start
        )
