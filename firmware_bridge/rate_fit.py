"""A sensor's rate from its own stamps: one slope through all stretches without gaps, each with an offset of its own."""

from __future__ import annotations

from collections import deque

from .frames import NS

_POINTS = 128
_SPACING_NS = 500_000_000  # 64 s: long enough for the rate, short enough to follow a crystal that warms up
_TRUSTED_POINTS = 8
_PAST_RUNS = 64
_PAST_SPAN_S = 120.0  # of stretches before the present one


class RateFit:
    """Least squares of time on sample number.

    A stretch ends where samples are missing: how many is not known to a fraction, so the next one has an offset of its
    own. Its slope is the same crystal's, and what was learned of it is kept. rate_hz: None before eight stamps in one
    stretch.
    """

    def __init__(self) -> None:
        self._run = _Run(0)
        self._past: deque[_Sums] = deque(maxlen=_PAST_RUNS)
        self._slope: float | None = None  # seconds a sample

    @property
    def rate_hz(self) -> float | None:
        """Samples in a second of the sensor's clock."""
        return None if self._slope is None else 1 / self._slope

    @property
    def span_s(self) -> float:
        """Time that the fit rests on."""
        return self._run.span_s + sum(each.span_s for each in self._past)

    def begin(self, stamp_ns: int) -> None:
        """A new stretch begins with this stamp."""
        sums = self._run.sums()
        if sums.xx > 0:
            self._past.append(sums)
        while len(self._past) > 1 and sum(each.span_s for each in list(self._past)[1:]) > _PAST_SPAN_S:
            self._past.popleft()
        self._run = _Run(stamp_ns)

    def add(self, samples: int, stamp_ns: int) -> None:
        """The next stamp of the stretch lies `samples` after the one before."""
        if self._run.add(samples, stamp_ns) and (self._slope is not None or self._run.trusted):
            every = [*self._past, self._run.sums()]
            self._slope = sum(each.xy for each in every) / sum(each.xx for each in every)

    def late_s(self, samples: int, stamp_ns: int) -> float | None:
        """How much later than the line the stamp is that lies `samples` after the last one; None before there is one."""
        return None if self._slope is None else self._run.late_s(samples, stamp_ns, self._slope)


class _Sums:
    """Centred sums of a stretch: what it adds to the common slope."""

    __slots__ = ("span_s", "xx", "xy")

    def __init__(self, xx: float, xy: float, span_s: float) -> None:
        self.xx, self.xy, self.span_s = xx, xy, span_s


class _Run:
    """The latest stamps of one stretch, thinned out, with their sums: integers, so that days of them add no rounding."""

    def __init__(self, stamp_ns: int) -> None:
        self._start_ns = stamp_ns
        self._points: deque[tuple[int, int]] = deque([(0, 0)])
        self._samples = 0
        self._x, self._y, self._xx, self._xy = 0, 0, 0, 0

    def add(self, samples: int, stamp_ns: int) -> bool:
        """Count on; whether the stamp became a point of the fit."""
        self._samples += samples
        at_ns = stamp_ns - self._start_ns
        if self.trusted and at_ns - self._points[-1][1] < _SPACING_NS:
            return False
        self._points.append((self._samples, at_ns))
        self._count(self._samples, at_ns, 1)
        if len(self._points) > _POINTS:
            self._count(*self._points.popleft(), -1)
        return True

    @property
    def trusted(self) -> bool:
        return len(self._points) >= _TRUSTED_POINTS

    @property
    def span_s(self) -> float:
        return (self._points[-1][1] - self._points[0][1]) / NS

    def sums(self) -> _Sums:
        n = len(self._points)
        xx, xy = n * self._xx - self._x * self._x, n * self._xy - self._x * self._y
        return _Sums(xx / n, xy / n / NS, self.span_s)

    def late_s(self, samples: int, stamp_ns: int, slope: float) -> float:
        n = len(self._points)
        line_s = self._y / n / NS + slope * (self._samples + samples - self._x / n)
        return (stamp_ns - self._start_ns) / NS - line_s

    def _count(self, x: int, y: int, sign: int) -> None:
        self._x += sign * x
        self._y += sign * y
        self._xx += sign * x * x
        self._xy += sign * x * y
