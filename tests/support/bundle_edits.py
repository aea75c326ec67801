"""Changes to a bundle on disk, as somebody would make them who knows the format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_mi.bundle import MODEL_JSON


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change `model.json`."""
    document = json.loads((folder / MODEL_JSON).read_text())
    change(document)
    (folder / MODEL_JSON).write_text(json.dumps(document))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash."""
    (folder / name).write_bytes(content)
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit(folder, lambda d: d["files"].update({name: entry}))
