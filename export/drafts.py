"""A place for files that are needed only while an export runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_mi.errors import OutputError


@contextmanager
def draft_folder() -> Iterator[Path]:
    """Yield an empty folder among the system's temporary files that vanishes when the block ends.

    Raises OutputError where it cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="edge-mi-export-") as folder:
            yield Path(folder)
    except OSError as exc:
        raise OutputError(
            f"cannot write a draft: {exc.strerror or exc}; TMPDIR can name another place for it"
        ) from exc
