"""Where weights come from: versions and commit, read without running anything."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "torch")


def versions() -> dict[str, str]:
    """Versions that decide the bytes of a result."""
    return {
        "edge-mi": version("edge-mi"),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def commit(start: Path | None = None) -> str:
    """The commit that the sources around `start` (default: this file) are checked out at, or `unknown`."""
    for folder in (start or Path(__file__)).resolve().parents:
        git = folder / ".git"
        if git.is_dir():
            return _head(git)
    return "unknown"


def _head(git: Path) -> str:
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return loose.read_text(encoding="utf-8").strip()
        for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines():
            if line.endswith(f" {name}"):
                return line.split()[0]
    except OSError:
        pass
    return "unknown"
