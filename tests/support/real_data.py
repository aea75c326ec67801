"""Where the real recordings are, for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def real_data(folder: str) -> Path:
    """The folder of that name below EDGE_MI_DATA (default: ../shared/data); skips the test where it is not."""
    base = Path(os.environ.get("EDGE_MI_DATA") or ROOT.parent / "shared" / "data")
    path = base / folder
    if not path.is_dir():
        pytest.skip(f"no real data: {folder} is not in {base}; set EDGE_MI_DATA")
    return path
