"""Frames that carry a time and no counter: a step in time that their samples do not fill is a gap.

A step that they overfill is a doubled frame, a late one, or a clock that was set.
"""

from __future__ import annotations

from edge_mi.samples import Chunk, Gap, Item

from .frames import LONGEST_GAP_S, NS, RATE_AFTER_S, Frame, StreamFormat, unwrapped
from .ledger import Ledger
from .rate_fit import RateFit
from .statistics import StreamStatistics

_TOLERANCE_SAMPLES = 1.5  # once the rate is known; stamps of an H10 were seen to jitter by 0.003 samples
_UNKNOWN_RATE_SHARE = 0.06  # before that: the H10 may be 5 % off
_UNKNOWN_CUT_SAMPLES = 3


class StampedStream:
    """Turns the frames of one sensor into items.

    Its rate is fitted to its stamps. Where stamps are those of last samples and a frame is shorter than usual though
    a whole one was due, its tail was cut on the way, and the gap lies behind it.
    """

    def __init__(self, layout: StreamFormat, statistics: StreamStatistics) -> None:
        self._layout, self._statistics = layout, statistics
        self._ledger = Ledger(layout, statistics)
        self._previous: tuple[int, int] | None = (
            None  # stamp, unwrapped, and samples up to the end of its frame
        )
        self._usual_samples = 0
        self._start_ns = 0
        self._fit = RateFit()

    @property
    def latest_s(self) -> float | None:
        """See `FrameStream`."""
        if self._previous is None:
            return None
        stamp_ns, after_stamp = self._previous
        return (stamp_ns - self._start_ns) / NS + (after_stamp - 1) / self._rate_hz

    def interrupt(self, cause: str) -> None:
        """See `FrameStream`."""
        self._ledger.cause = cause

    def push(self, frame: Frame, host_s: float) -> list[Item]:
        """See `FrameStream`; the time of arrival is not looked at."""
        del host_s
        if self._ledger.is_double(frame):
            return []
        stamp_ns = self._unwrapped(frame)
        if self._previous is None:
            self._begin(frame, stamp_ns, at_s=0.0)
            return [self._chunk(frame, stamp_ns)]
        before_ns, after_stamp = self._previous
        n = len(frame.codes)
        due = after_stamp + self._offset(n)
        step = (stamp_ns - before_ns) / NS * self._rate_hz
        if step < due / 2 and self._is_old(stamp_ns, n, behind_s=(due - step) / self._rate_hz):
            return []
        if step < due / 2 or step > due + LONGEST_GAP_S * self._rate_hz:
            return self._restart(frame, stamp_ns)
        cut = self._cut_samples(n, step)
        if cut:
            return self._take_cut(frame, stamp_ns, cut, step - self._usual_samples)
        late_s = self._fit.late_s(due, stamp_ns)
        late = step - due if late_s is None else late_s * self._rate_hz
        if late > self._tolerance(n):
            self._fit.begin(stamp_ns)
            missing = round(late)
            begin_s = self._time_of(stamp_ns, n) - missing / self._rate_hz
            gap = self._gap(missing, begin_s)
            return [gap, self._chunk(frame, stamp_ns)]
        if late < -self._tolerance(n):  # the clock was set back by a little
            self._fit.begin(stamp_ns)
        else:
            self._fit.add(due, stamp_ns)
        self._ledger.cause = None
        self._learn_rate()
        return [self._chunk(frame, stamp_ns)]

    @property
    def _rate_hz(self) -> float:
        return self._fit.rate_hz or self._layout.rate_hz

    def _offset(self, n: int) -> int:
        """Place in a frame of `n` samples of the one that the stamp belongs to."""
        return n - 1 if self._layout.stamped == "last" else 0

    def _unwrapped(self, frame: Frame) -> int:
        assert frame.stamp_ns is not None, "a frame of a stamped format has a stamp"
        modulus = self._layout.stamp_modulus_ns
        if modulus is None or self._previous is None:
            return frame.stamp_ns
        return unwrapped(frame.stamp_ns, self._previous[0], modulus)

    def _learn_rate(self) -> None:
        if self._fit.span_s >= RATE_AFTER_S:
            self._statistics.rate_hz = self._fit.rate_hz

    def _is_old(self, stamp_ns: int, n: int, *, behind_s: float) -> bool:
        """Whether its samples were written down as missing, or delivered, before it came; half a frame is a tolerance."""
        first_s = self._time_of(stamp_ns, n)
        last_s = first_s + (n - 1) / self._rate_hz
        slack_s = n / 2 / self._rate_hz
        return self._ledger.is_late(first_s + slack_s, last_s - slack_s) or self._ledger.is_stray(
            first_s, first_s + n / self._rate_hz, behind_s=behind_s, slack=slack_s
        )

    def _cut_samples(self, n: int, step: float) -> int:
        """Samples cut off the end of a frame that came when a whole one was due."""
        cut = self._usual_samples - n
        if self._layout.stamped != "last" or cut < (1 if self._fit.rate_hz else _UNKNOWN_CUT_SAMPLES):
            return 0
        return cut if abs(step - self._usual_samples) < abs(step - n) else 0

    def _tolerance(self, n: int) -> float:
        return _TOLERANCE_SAMPLES if self._fit.rate_hz else 1 + _UNKNOWN_RATE_SHARE * n

    def _take_cut(self, frame: Frame, stamp_ns: int, cut: int, late: float) -> list[Item]:
        """A frame whose last `cut` samples are missing, after which a whole one was due `late` samples ago."""
        # its stamp is that of a sample that is not there, so what is there is older, and the gap lies behind it
        rate_hz, n = self._rate_hz, len(frame.codes)
        missing = round(late) if late > self._tolerance(self._usual_samples) else 0
        begin_s = self._time_of(stamp_ns, n) - (cut + missing) / rate_hz
        before = [self._gap(missing, begin_s)] if missing else []
        self._fit.begin(stamp_ns)
        chunk = self._chunk(frame, stamp_ns, earlier_s=cut / rate_hz)
        return [*before, chunk, self._gap(cut, chunk.t_s + n / rate_hz)]

    def _begin(self, frame: Frame, stamp_ns: int, *, at_s: float) -> None:
        """Let the frame's first sample be at `at_s` of the stream."""
        before_s = self._offset(len(frame.codes)) / self._rate_hz
        self._start_ns = stamp_ns - round((before_s + at_s) * NS)
        self._fit.begin(stamp_ns)
        self._ledger.cause = None

    def _restart(self, frame: Frame, stamp_ns: int) -> list[Item]:
        """The sensor's clock was set: nobody knows how much was lost, and time goes on from where it was."""
        assert self._previous is not None
        before_ns, after_stamp = self._previous
        at_s = (before_ns - self._start_ns) / NS + after_stamp / self._rate_hz
        self._statistics.restarts += 1
        gap = self._ledger.unknown(at_s, "restart")
        self._begin(frame, stamp_ns, at_s=at_s)
        return [gap, self._chunk(frame, stamp_ns)]

    def _gap(self, missing: int, t_s: float) -> Gap:
        return self._ledger.gap(missing, t_s, t_s, t_s + missing / self._rate_hz)

    def _chunk(self, frame: Frame, stamp_ns: int, *, earlier_s: float = 0.0) -> Chunk:
        n = len(frame.codes)
        self._previous = (stamp_ns, n - self._offset(n))
        self._usual_samples = max(self._usual_samples, n)
        return self._ledger.chunk(frame, self._time_of(stamp_ns, n) - earlier_s)

    def _time_of(self, stamp_ns: int, n: int) -> float:
        """Sensor time of the first of a frame's `n` samples, in seconds since the stream's first."""
        return (stamp_ns - self._start_ns) / NS - self._offset(n) / self._rate_hz
