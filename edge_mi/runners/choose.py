"""Which runner executes a bundle on this machine."""

from __future__ import annotations

from importlib.util import find_spec

from edge_mi.bundle import Bundle
from edge_mi.errors import ConfigError, MissingDependency
from edge_mi.runners.base import RUNNER_NAMES, Runner
from edge_mi.runners.litert import LiteRtRunner
from edge_mi.runners.ort import OrtRunner


def open_runner(bundle: Bundle, name: str = "auto") -> Runner:
    """The runner `name` on this bundle; `auto` takes the first that is installed: litert, ort, litert-ref.

    Raises MissingDependency, ConfigError for an unknown name, BundleError for a graph that does not fit.
    """
    if name == "auto":
        name = default_runner_name()
    if name == "litert":
        return LiteRtRunner(bundle)
    if name == "litert-ref":
        return LiteRtRunner(bundle, reference=True)
    if name == "ort":
        return OrtRunner(bundle)
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
