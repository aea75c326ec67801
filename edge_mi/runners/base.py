"""What every runner offers, and how one is chosen."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import Bundle
from edge_mi.errors import ConfigError, MissingDependency

Int8Array: TypeAlias = NDArray[np.int8]
Family: TypeAlias = Literal["reference", "fast"]
RUNNER_NAMES: Final = ("litert", "litert-ref", "ort")


class Runner(Protocol):
    """Executes the whole-window int8 graph.

    family: whose bits it gives (contract C4): `reference` rounds twice in integers, `fast` once in float32.
    """

    name: str
    family: Family
    library: str

    def run(self, window: Int8Array) -> Int8Array:
        """Logits int8 (K,) of a window int8 (n,)."""
        ...


def open_runner(bundle: Bundle, name: str = "auto") -> Runner:
    """The runner `name` on this bundle; `auto` takes the first that is installed: litert, ort, litert-ref.

    Raises MissingDependency, ConfigError for an unknown name, BundleError for a graph that does not fit.
    """
    from edge_mi.runners import litert, ort

    if name == "auto":
        name = default_runner_name()
    if name == "litert":
        return litert.LiteRtRunner(bundle)
    if name == "litert-ref":
        return litert.LiteRtRunner(bundle, reference=True)
    if name == "ort":
        return ort.OrtRunner(bundle)
    raise ConfigError(f"no runner {name!r}; choose one of {', '.join(RUNNER_NAMES)}")


def default_runner_name() -> str:
    """The runner that `auto` means on this machine. Raises MissingDependency where there is none."""
    if find_spec("ai_edge_litert") is not None:
        return "litert"
    if find_spec("onnxruntime") is not None:
        return "ort"
    if find_spec("tflite_runtime") is not None:
        return "litert-ref"
    raise MissingDependency("ai_edge_litert", extra="tflite")


def available_runners() -> tuple[str, ...]:
    """Names of the runners whose package is installed."""
    names = []
    if find_spec("ai_edge_litert") is not None:
        names += ["litert", "litert-ref"]
    elif find_spec("tflite_runtime") is not None:
        names += ["litert-ref"]
    if find_spec("onnxruntime") is not None:
        names += ["ort"]
    return tuple(names)


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
