"""What the judge asks of a file, whatever its format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.samples import FloatArray

Call: TypeAlias = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """First logit of each window: as the file gives it (int8 or float32) and in real units, both (n,)."""

    raw: NDArray[Any]
    logits: FloatArray


@dataclass(frozen=True, slots=True)
class Inside:
    """Operators by count; those that compute in float; the type of input and output."""

    operators: Counter[str]
    float_operators: Counter[str]
    ends: str


class ModelFile(Protocol):
    """One written file. runtimes: the names that `answers` and `ready` take, the one it is judged by first."""

    content: bytes
    runtimes: tuple[str, ...]

    def inside(self, runtime: str) -> Inside:
        """What `runtime` executes."""
        ...

    def answers(self, runtime: str, windows_mv: FloatArray) -> Answers:
        """Logits of windows (n, samples), millivolts. Raises RuntimeFailed where it cannot run the file."""
        ...

    def frames(self, windows_mv: FloatArray, frames: int, features: int) -> FloatArray | None:
        """Frames float64 (n, frames, features), in real units; None where no tensor has that size."""
        ...

    def ready(self, runtime: str, window_mv: FloatArray) -> Call:
        """One window through a newly opened file on one thread, from its own input type to its own output type."""
        ...


class RuntimeFailed(Exception):
    """A runtime cannot run a file."""


def codes(windows_mv: FloatArray, scale: float, zero_point: int) -> NDArray[np.int8]:
    """Windows on an int8 grid."""
    quantised: NDArray[np.int8] = np.clip(np.rint(windows_mv / scale) + zero_point, -128, 127).astype(np.int8)
    return quantised


def orient(values: FloatArray, frames: int, features: int) -> FloatArray:
    """A tensor with axes of `frames` and `features`, in any order and beside axes of 1, as (frames, features)."""
    squeezed = np.squeeze(values)
    return squeezed if squeezed.shape == (frames, features) else squeezed.T
