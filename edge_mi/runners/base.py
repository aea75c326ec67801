"""What every runner offers."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int8Array: TypeAlias = NDArray[np.int8]
Family: TypeAlias = Literal["reference", "fast"]
RUNNER_NAMES: Final = ("litert", "litert-ref", "ort")


class Runner(Protocol):
    """Executes the int8 graphs: the whole window at once, or the new frames of a hop and then the head.

    family: whose bits it gives (contract C4): `reference` rounds twice in integers, `fast` once in float32.
    """

    name: str
    family: Family
    library: str

    def run(self, window: Int8Array) -> Int8Array:
        """Logits int8 (K,) of a window int8 (n,)."""
        ...

    def frames(self, samples: Int8Array) -> Int8Array:
        """Frames int8 (hop_frames, features) of samples int8 (front_samples,)."""
        ...

    def head(self, ring: Int8Array) -> Int8Array:
        """Logits int8 (K,) of the frames of a window, int8 (frames, features)."""
        ...


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep a C++ library's greetings off file descriptor 2 while it is being set up."""
    sys.stderr.flush()
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
