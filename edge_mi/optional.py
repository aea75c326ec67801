"""Optional packages, imported where they are needed and through one function."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

from edge_mi.errors import MissingDependency

# read by a package while it is imported. ONNX Runtime keeps an identifier in the user's cache and reports its use to its
# maker from 1.29 on, unless it is told not to; EdgeMI tells nobody anything (contract C10)
_ENVIRONMENT: Final = {"onnxruntime": {"ORT_DISABLE_TELEMETRY": "1"}}


def require(module: str, *, extra: str) -> Any:
    """Import `module`, which the extra `extra` of edge-mi installs.

    Raises MissingDependency if it is not installed; an installed but broken package raises its own error.
    """
    for name, value in _ENVIRONMENT.get(module.partition(".")[0], {}).items():
        os.environ.setdefault(name, value)
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingDependency(module.partition(".")[0], extra=extra) from exc
