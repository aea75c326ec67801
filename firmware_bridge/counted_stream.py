"""Frames that carry the number of their first sample: what is missing is known to the sample."""

from __future__ import annotations

from typing import Final

from edge_mi.samples import Chunk, Item

from .frames import COUNTER_MODULUS, LONGEST_GAP_S, NS, RATE_AFTER_S, Frame, StreamFormat, unwrapped
from .ledger import Ledger
from .statistics import StreamStatistics

_STEP_S: Final = 0.5
_STEP_SHARE: Final = 0.02  # of a gap: what the rate may be off


class CountedStream:
    """Turns the frames of one sensor into items; times are those of its clock, where it sends one.

    A new measurement, a counter that was set back and a jump of more than an hour are restarts: nobody knows how
    much was lost, and time goes on from where it was. Where the clock contradicts the counter by more than half a
    second and 2 % of a gap, the clock was set: time goes on by the counter, and nothing is missing.
    """

    def __init__(self, layout: StreamFormat, statistics: StreamStatistics) -> None:
        self._layout, self._statistics = layout, statistics
        self._ledger = Ledger(layout, statistics)
        self._begun = False
        self._measurement = 0
        self._due = 0  # number of the next frame's first sample, unwrapped
        self._origin = _Origin(0, 0, 0.0)
        self._latest = (0, 0)  # number and stamp of the latest frame's first sample, unwrapped

    @property
    def latest_s(self) -> float | None:
        """See `FrameStream`."""
        if self._layout.stamped is None:
            return None
        return self._at_s(*self._latest) + (self._due - 1 - self._latest[0]) / self._layout.rate_hz

    def interrupt(self, cause: str) -> None:
        """See `FrameStream`."""
        self._ledger.cause = cause

    def push(self, frame: Frame, host_s: float) -> list[Item]:
        """See `FrameStream`; the time of arrival is not looked at."""
        del host_s
        assert frame.counter is not None, "a frame of a counted format has a counter"
        if self._ledger.is_double(frame):
            return []
        if not self._begun:
            return self._take_first(frame)
        first = unwrapped(frame.counter, self._due, COUNTER_MODULUS)
        missing = first - self._due
        if frame.measurement != self._measurement:
            return self._restart(frame)
        if missing < 0 and self._is_old(first, first + len(frame.codes)):
            return []
        if not 0 <= missing <= LONGEST_GAP_S * self._layout.rate_hz:
            return self._restart(frame)
        self._follow_clock(frame, first)
        if missing == 0:
            self._ledger.cause = None
            return [self._take(frame, first)]
        chunk_s = self._time_of(frame, first)
        gap_s = chunk_s - missing / self._layout.rate_hz
        gap = self._ledger.gap(missing, gap_s, self._due, first - 1)
        return [gap, self._take(frame, first)]

    def _is_old(self, first: int, end: int) -> bool:
        behind_s = (self._due - first) / self._layout.rate_hz
        return self._ledger.is_late(first, end - 1) or self._ledger.is_stray(first, end, behind_s=behind_s)

    def _take_first(self, frame: Frame) -> list[Item]:
        """A measurement begins at counter 0: what comes before the first frame to arrive was lost on its way."""
        assert frame.counter is not None
        missing = frame.counter if frame.counter <= LONGEST_GAP_S * self._layout.rate_hz else 0
        self._begin(frame, at_s=missing / self._layout.rate_hz)
        before = [self._ledger.gap(missing, 0.0, 0, missing - 1)] if missing else []
        return [*before, self._take(frame, self._due)]

    def _begin(self, frame: Frame, *, at_s: float) -> None:
        assert frame.counter is not None
        stamp_ns = frame.stamp_ns or 0
        self._begun, self._measurement, self._due = True, frame.measurement, frame.counter
        self._origin = _Origin(frame.counter, stamp_ns, at_s)
        self._latest = (frame.counter, stamp_ns)
        self._ledger.cause = None

    def _restart(self, frame: Frame) -> list[Item]:
        at_s = self._at_s(self._due, self._stamp_due())
        self._statistics.restarts += 1
        gap = self._ledger.unknown(at_s, "restart")
        self._begin(frame, at_s=at_s)
        return [gap, self._take(frame, self._due)]

    def _take(self, frame: Frame, first: int) -> Chunk:
        t_s = self._time_of(frame, first)
        self._latest = (first, self._unwrapped(frame, first))
        self._due = first + len(frame.codes)
        self._learn_rate()
        return self._ledger.chunk(frame, t_s)

    def _follow_clock(self, frame: Frame, first: int) -> None:
        """Begin the time anew where the clock was set."""
        if self._layout.stamped is None:
            return
        number, latest_ns = self._latest
        passed_s = (first - number) / self._layout.rate_hz
        stamp_ns = self._unwrapped(frame, first)
        if abs((stamp_ns - latest_ns) / NS - passed_s) > _STEP_S + _STEP_SHARE * passed_s:
            self._statistics.clock_steps += 1
            self._origin = _Origin(first, stamp_ns, self._at_s(*self._latest) + passed_s)

    def _time_of(self, frame: Frame, first: int) -> float:
        return self._at_s(first, self._unwrapped(frame, first))

    def _at_s(self, number: int, stamp_ns: int) -> float:
        """Seconds since the stream's first sample: by the sensor's clock, or else by the nominal rate."""
        if self._layout.stamped is None:
            return self._origin.at_s + (number - self._origin.number) / self._layout.rate_hz
        return self._origin.at_s + (stamp_ns - self._origin.stamp_ns) / NS

    def _unwrapped(self, frame: Frame, first: int) -> int:
        """The frame's stamp, counted on over the wraps of the sensor's clock that the counter says there were."""
        if frame.stamp_ns is None or self._layout.stamp_modulus_ns is None:
            return frame.stamp_ns or 0
        number, stamp_ns = self._latest
        expected = stamp_ns + round((first - number) / self._layout.rate_hz * NS)
        return unwrapped(frame.stamp_ns, expected, self._layout.stamp_modulus_ns)

    def _stamp_due(self) -> int:
        number, stamp_ns = self._latest
        return stamp_ns + round((self._due - number) / self._layout.rate_hz * NS)

    def _learn_rate(self) -> None:
        number, stamp_ns = self._latest
        elapsed_s = (stamp_ns - self._origin.stamp_ns) / NS
        if self._layout.stamped is not None and elapsed_s >= RATE_AFTER_S:
            self._statistics.rate_hz = (number - self._origin.number) / elapsed_s


class _Origin:
    """Where the time of a stretch without restarts and steps of the clock begins."""

    __slots__ = ("at_s", "number", "stamp_ns")

    def __init__(self, number: int, stamp_ns: int, at_s: float) -> None:
        self.number, self.stamp_ns, self.at_s = number, stamp_ns, at_s
