"""Frames to chunks and gaps: what was lost is counted as well as the patch allows, never bridged (contract C2)."""

from __future__ import annotations

from typing import Protocol

from edge_mi.samples import Item

from .blind_stream import BlindStream
from .counted_stream import CountedStream
from .frames import Frame, StreamFormat
from .stamped_stream import StampedStream
from .statistics import StreamStatistics


class FrameStream(Protocol):
    """One stream of frames. It knows no link."""

    @property
    def latest_s(self) -> float | None:
        """Time of the latest frame's last sample by the sensor's clock, as time of the stream; None without stamps."""

    def push(self, frame: Frame, host_s: float) -> list[Item]:
        """Items of one frame that arrived at `host_s`, seconds of this machine's monotonic clock."""

    def interrupt(self, cause: str) -> None:
        """Say why something may be missing before the next frame: the cause of the gap, if there is one."""


def open_stream(layout: StreamFormat, statistics: StreamStatistics) -> FrameStream:
    """The stream that sees as much as frames of this format show."""
    statistics.grade = layout.grade
    if layout.counted:
        return CountedStream(layout, statistics)
    return BlindStream(layout, statistics) if layout.stamped is None else StampedStream(layout, statistics)
