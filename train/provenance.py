"""Where weights come from: versions and commit, read without running anything."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES = ("numpy", "scipy", "torch")
UNKNOWN: Final = "unknown"


def versions() -> dict[str, str]:
    """Versions that decide the bytes of a result."""
    return {
        "edge-mi": version("edge-mi"),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def commit(room: Path | None = None) -> str:
    """The commit that the folder `room` (default: of this file) is checked out at as EdgeMI's, or `unknown`.

    Only the folder above it is asked, and only where it is EdgeMI's: what is installed inside another project has
    nothing to do with that project's commits.
    """
    room = (room or Path(__file__).parent).resolve()
    root = room.parent
    ours = room.name == "train" and (root / "pyproject.toml").is_file() and (root / "edge_mi").is_dir()
    try:
        return _head(_git_folder(root / ".git")) if ours else UNKNOWN
    except (OSError, UnicodeDecodeError):
        return UNKNOWN


def _git_folder(entry: Path) -> Path:
    """What `.git` is, or names, as it does in a worktree."""
    if entry.is_dir():
        return entry
    return entry.parent / entry.read_text(encoding="utf-8").strip().removeprefix("gitdir: ")


def _head(git: Path) -> str:
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    shared = git / "commondir"  # a worktree has its own HEAD, and branches in common with the others
    common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
    loose = common / name
    if loose.is_file():
        return loose.read_text(encoding="utf-8").strip()
    for line in (common / "packed-refs").read_text(encoding="utf-8").splitlines():
        if line.endswith(f" {name}"):
            return line.split()[0]
    return UNKNOWN
