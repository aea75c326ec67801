"""A recording that begins with the first sample of a stream, when it is known what is recorded."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from edge_mi.decision import Decision
from edge_mi.detector import Placement
from edge_mi.errors import OutputError

from ..client import PatchStream
from ..receiver import Heard
from .layout import RecordingMeta, anonymous, has_address, without_addresses
from .recorder import Recorder

_KEPT_NOTES = 1000


class StreamRecorder:
    """Records what a stream hears into the new folder `folder`, as a context.

    Raises OutputError at once where something is there already, and later where it cannot be written.
    """

    def __init__(self, folder: Path, stream: PatchStream, placement: Placement) -> None:
        if folder.exists():
            raise OutputError(f"{folder} exists; a recording replaces nothing: choose another name")
        self._folder, self._stream, self._placement = folder, stream, placement
        self._recorder: Recorder | None = None
        self._notes: deque[tuple[str, float]] = deque(maxlen=_KEPT_NOTES)  # from before the first sample

    def __enter__(self) -> StreamRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._recorder is not None:
            self._recorder.close()

    def push(self, heard: Heard) -> None:
        """Record a chunk or gap."""
        if self._recorder is None:
            self._recorder = self._open()
            while self._notes:
                self._recorder.event("link", *self._notes.popleft())
        self._recorder.push(heard.item, heard.host_s)

    def decisions(self, decisions: list[Decision]) -> None:
        """Record what the detector said."""
        for decision in decisions:
            if self._recorder is not None:
                self._recorder.decision(decision)

    def note(self, text: str) -> None:
        """Record what the bridge told the user, without addresses; before the first sample it waits for that.

        Nothing once the recording has ended, however it did.
        """
        said = without_addresses(text), time.monotonic()
        if self._recorder is None:
            self._notes.append(said)
        elif self._recorder.is_open:
            self._recorder.event("link", *said)

    def _open(self) -> Recorder:
        layout, profile = self._stream.format, self._stream.profile
        assert layout is not None, "what was heard has a format"
        assert profile is not None, "what was heard has a profile"
        name = self._stream.device_name  # from the air: anything
        meta = RecordingMeta(
            format=layout,
            placement=self._placement,
            profile=profile.key,
            device=anonymous(self._stream.device_address) if not name or has_address(name) else name,
        )
        return Recorder.open(self._folder, meta, wall_s=time.time(), host_s=time.monotonic())
