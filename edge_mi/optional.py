"""What may be missing on a machine: optional packages, imported through one function, and a C compiler."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from typing import Any, Final

from edge_mi.errors import MissingDependency

# read by a package while it is imported. ONNX Runtime keeps an identifier in the user's cache and reports its use to its
# maker from 1.29 on, unless it is told not to; EdgeMI tells nobody anything (contract C10)
# Ray does the same
_ENVIRONMENT: Final = {
    "onnxruntime": {"ORT_DISABLE_TELEMETRY": "1"},
    "ray": {"RAY_USAGE_STATS_ENABLED": "0"},
}

_COMPILERS: Final = ("cc", "gcc", "clang")


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


def find_compiler() -> str | None:
    """A C compiler of this machine, `$CC` first; None where there is none."""
    wanted = os.environ.get("CC")
    return next(
        (found for name in ([wanted] if wanted else _COMPILERS) if (found := shutil.which(name))), None
    )
