"""Where a live stream goes beside the screen: a recording, and Lab Streaming Layer outlets."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.detector import Placement


def keepers_of(stream: Any, placement: Placement, *, folder: Path | None, lsl: bool) -> Iterator[Any]:
    """Contexts that take what `stream` hears (`push`), what is decided (`decisions`) and what is told (`note`).

    Raises MissingDependency for `lsl` without its package, OutputError for a folder that exists.
    """
    if folder is not None:
        recording: Any = import_module("edge_mi.firmware_bridge.recording.follow")
        yield recording.StreamRecorder(folder, stream, placement)
    if lsl:
        outlets: Any = import_module("edge_mi.firmware_bridge.lsl")
        yield outlets.LslOutlets(stream, placement)
