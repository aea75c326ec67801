"""Frames that carry neither counter nor time: what is lost between them cannot be seen, and that is said.

Time is counted from the samples at the nominal rate. A pause of arrival is taken for a loss of unknown length: the
frames may have been late only, but a window must not be judged across what nobody knows.
"""

from __future__ import annotations

from collections import deque

from edge_mi.samples import Item

from .frames import RATE_AFTER_S, Frame, StreamFormat
from .ledger import Ledger
from .statistics import StreamStatistics

_PAUSE_S = 1.0  # beyond what connection intervals and retries of a link that lives make
_RATE_OVER_S = 120.0  # short enough to see a link that grows worse after good hours
_RATE_STEP_S = 1.0


class BlindStream:
    """Turns the frames of one sensor into items; equal frames are no doubles here, for a flat lead repeats itself."""

    def __init__(self, layout: StreamFormat, statistics: StreamStatistics) -> None:
        self._layout, self._statistics = layout, statistics
        self._ledger = Ledger(layout, statistics)
        self._arrived_s: float | None = None
        self._arrivals: deque[tuple[float, int]] = deque()  # when, and samples until then
        self._interrupted = False

    @property
    def latest_s(self) -> float | None:
        """See `FrameStream`."""
        return None

    def interrupt(self, cause: str) -> None:
        """See `FrameStream`."""
        self._ledger.cause = cause
        self._interrupted = True

    def push(self, frame: Frame, host_s: float) -> list[Item]:
        """See `FrameStream`."""
        before_s, self._arrived_s = self._arrived_s, host_s
        items: list[Item] = []
        paused = before_s is not None and host_s - before_s > _PAUSE_S
        if before_s is None:
            self._ledger.cause = None
        elif paused or self._interrupted:
            items.append(self._ledger.unknown(self._now_s(), "pause"))
            self._arrivals.clear()
        self._interrupted = False
        items.append(self._ledger.chunk(frame, self._now_s()))
        self._learn_rate(host_s)
        return items

    def _now_s(self) -> float:
        return self._ledger.index / self._layout.rate_hz

    def _learn_rate(self, host_s: float) -> None:
        arrivals, index = self._arrivals, self._ledger.index
        if not arrivals or host_s - arrivals[-1][0] >= _RATE_STEP_S:
            arrivals.append((host_s, index))
        while host_s - arrivals[0][0] > _RATE_OVER_S:
            arrivals.popleft()
        elapsed_s = host_s - arrivals[0][0]
        if elapsed_s >= RATE_AFTER_S:
            self._statistics.rate_hz = (index - arrivals[0][1]) / elapsed_s
