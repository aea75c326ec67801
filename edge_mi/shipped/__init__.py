"""The checkpoint and the bundle that ship with the package."""

from __future__ import annotations

from pathlib import Path

from edge_mi.errors import BundleError, CheckpointError

_FOLDER = Path(__file__).parent


def shipped_bundle() -> Path:
    """Folder of the bundle that ships. Raises BundleError where this installation has none."""
    path = _FOLDER / "bundle"
    if not path.is_dir():
        raise BundleError(
            "this installation ships no bundle; give the path of one, or install edge-mi from its wheel"
        )
    return path


def shipped_checkpoint() -> Path:
    """Path of the checkpoint that ships. Raises CheckpointError where this installation has none."""
    path = _FOLDER / "patchnet-67k.safetensors"
    if not path.is_file():
        raise CheckpointError("this installation ships no checkpoint; give the path of one")
    return path
