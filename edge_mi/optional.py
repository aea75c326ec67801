"""Optional packages, imported where they are needed and through one function."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edge_mi.errors import MissingDependency


def require(module: str, *, extra: str) -> Any:
    """Import `module`, which the extra `extra` of edge-mi installs.

    Raises MissingDependency if it is not installed; an installed but broken package raises its own error.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingDependency(module.partition(".")[0], extra=extra) from exc
