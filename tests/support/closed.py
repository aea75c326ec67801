"""A folder that may not be entered, also by root, whom its mode does not stop."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def close(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `folder`, and let the system refuse whatever lies in it, and its listing."""
    folder.mkdir()
    listing = {"scandir", "listdir"}
    for module, names in ((os, ("stat", "lstat", "open", "mkdir", "scandir", "listdir")), (io, ("open",))):
        for name in names:
            refuse = _refusing(getattr(module, name), folder, itself=name in listing)
            monkeypatch.setattr(module, name, refuse)
    return folder


def _refusing(call: Callable[..., Any], folder: Path, *, itself: bool) -> Callable[..., Any]:
    def refused(path: Any = ".", *args: Any, **more: Any) -> Any:
        if not isinstance(path, int):
            place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  resolve() would ask the system
            if place.startswith(f"{folder}/") or (itself and place == str(folder)):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
        return call(path, *args, **more)

    return refused
