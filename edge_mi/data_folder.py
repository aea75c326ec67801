"""Where records are looked for when nothing else is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DATA_VARIABLE: Final = "EDGE_MI_DATA"
DEFAULT_DATA: Final = Path("../shared/data")


def data_folder(collection: str = "") -> Path:
    """Where a collection is looked for when no --data says otherwise, or the folder that holds them all."""
    return Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA) / collection
