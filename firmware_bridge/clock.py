"""A sensor's clock against the monotonic clock of this machine, for statistics and recordings; no model sees it.

A notification is late by nothing or more, never early. So over the sensor's time all frames lie on or above the line
that is looked for. The highest line below them, in the sense that the sum of their delays is least while none is
negative, is the edge of their lower convex hull over their mean abscissa.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

_BUCKET_S: Final = 20.0
# A crystal that warms up bends the line by its change of rate x window^2 / 8: 2.4 ms at 20 ppm an hour
_WINDOW_S: Final = 1800.0
_FIT_BUCKETS: Final = 8
_LOW_POINTS: Final = 6
_TURN: Final = 4.0
# Stamps of 1 ms, and connection events that beat against the frames, feign certainty
_LEAST_TURN_S: Final = 0.003

_TRUSTED: Final = 5e-6
_UNKNOWN_CRYSTAL: Final = 200e-6  # two crystals, each off by what cheap ones may be
_AGEING: Final = 20e-6 / 3600  # per second: how fast a known drift becomes doubtful

_STEP_S: Final = 0.5  # less may be a delay
_BACKLOG_S: Final = 60.0  # no link holds back more, or for longer
_PAUSE_S: Final = 10.0
_LONGEST_FRAME_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """The sensor's clock was set, or began again.

    kind: `restart` where stamps ran back by more than any backlog, as after a loss of power. step_s: how far the clock
    jumped, forward positive, to within the delay of one frame. sensor_s, host_s: of the frame that made it certain.
    """

    kind: Literal["step", "restart"]
    step_s: float
    sensor_s: float
    host_s: float


class SensorClock:
    """Host time of a sensor's time, how fast the sensor's clock runs, and where it was set. It reads no clock itself.

    Steps of more than 0.5 s and the usual delay are seen: forward at once, because a frame cannot arrive before it was
    measured; backward after 60 s in which every frame is late and none much less so than those before, for a backlog
    would shrink. A step back by more than 60 s is seen at once. Smaller steps are not told from delays, and are
    forgotten after 30 min. What stops this machine's clock and not the sensor's, such as standby, is a step forward.
    """

    def __init__(self) -> None:
        self._drift: float | None = None
        self._line: _Line | None = None
        self._late: _LateFrames | None = None
        self._before = (0.0, 0.0)

    @property
    def drift_ppm(self) -> float | None:
        """Host seconds per sensor second minus 1, in ppm; None until it is known to within about 5 ppm.

        A span of frames tells it as well as h / span, h being 3 ms or, where that is more, four times the height of
        the sixth lowest of the least delays of each 20 s. Without jitter that takes 600 s. Where these least delays
        are m on average, h is 4 * 6 * m * 20 s / span: 720 s for m = 5.4 ms, which is two frames a second with delays
        of 0 to 200 ms. It is that of the last 30 min, so it lags behind a crystal that warms up by a quarter of an hour.
        """
        return None if self._drift is None else self._drift * 1e6

    def host_s(self, sensor_s: float) -> float | None:
        """Host time of a sensor time, plus the delay of the fastest frames; None before the first frame."""
        return None if self._line is None else self._line.host_s(sensor_s)

    def restart(self) -> None:
        """Forget the sensor's clock for a new measurement, whose clock is unrelated.

        The drift is kept: the crystal is the same, and without it host times would be off by milliseconds a minute
        until it is known anew. The frames of the new measurement replace it once they tell more.
        """
        self._line = self._late = None

    def observe(self, sensor_s: float, host_s: float) -> ClockEvent | None:
        """Learn from one frame; says if it shows that the sensor's clock was set.

        sensor_s: sensor time of the frame's last sample. host_s: monotonic clock of this machine as it arrived.
        """
        (sensor_before_s, host_before_s), self._before = self._before, (sensor_s, host_s)
        line = self._line
        if line is None:
            self._line = self._new_line(sensor_s, host_s)
            return None
        late_s = host_s - line.host_s(sensor_s)
        if sensor_s < sensor_before_s - _BACKLOG_S:
            return self._step("restart", late_s, self._new_line(sensor_s, host_s))
        passed_s = host_s - host_before_s
        slack_s = _STEP_S + _UNKNOWN_CRYSTAL * passed_s
        if late_s > slack_s:
            return self._take_late(sensor_s, host_s, late_s)
        self._late = None
        if late_s < -slack_s:
            # what came until now may all have been a backlog, which drains by no more than a frame at a time
            jump_s = sensor_s - sensor_before_s - passed_s
            if line.span_s >= _BACKLOG_S or jump_s > _LONGEST_FRAME_S:
                return self._step("step", late_s, self._new_line(sensor_s, host_s))
        line.add(sensor_s, host_s)
        if line.slope_error <= _TRUSTED:
            self._drift = line.slope
        return None

    def _new_line(self, sensor_s: float, host_s: float) -> _Line:
        if self._drift is None:
            return _Line(sensor_s, host_s, 0.0, _UNKNOWN_CRYSTAL)
        return _Line(sensor_s, host_s, self._drift, _TRUSTED)

    def _take_late(self, sensor_s: float, host_s: float, late_s: float) -> ClockEvent | None:
        late = self._late
        if late is None or late.drain(late_s) or host_s - late.latest_s > _PAUSE_S:
            self._late = _LateFrames(self._new_line(sensor_s, host_s), host_s, late_s)
            return None
        late.add(sensor_s, host_s, late_s)
        if late.latest_s - late.since_s <= _BACKLOG_S:
            return None
        return self._step("step", late.least_s, late.line)

    def _step(self, kind: Literal["step", "restart"], late_s: float, line: _Line) -> ClockEvent:
        assert self._line is not None
        step_s = -late_s / (1 + self._line.slope)  # late by this machine's seconds, set by the sensor's
        self._line, self._late = line, None
        return ClockEvent(kind, step_s, *self._before)


class _LateFrames:
    """Frames that came one after another and all late: the beginning of a new line, should they stay so."""

    def __init__(self, line: _Line, host_s: float, late_s: float) -> None:
        self.line = line
        self.since_s = self.latest_s = host_s
        self.first_s = self.least_s = late_s

    def drain(self, late_s: float) -> bool:
        """Whether a frame is late by so much less than the first that this is a backlog."""
        return late_s < self.first_s - _STEP_S

    def add(self, sensor_s: float, host_s: float, late_s: float) -> None:
        self.line.add(sensor_s, host_s)
        self.latest_s = host_s
        self.least_s = min(late_s, self.least_s)


class _Line:
    """The line under the frames of a stretch without steps: y = host time - sensor time over x = sensor time.

    Both count from the stretch's first frame. Of each 20 s of x the lowest point is kept, for the last 30 min.
    slope: in seconds per second, that known before as long as it is known better. slope_error: how wrong it may be.
    """

    def __init__(self, sensor_s: float, host_s: float, slope: float, slope_error: float) -> None:
        self._sensor_s, self._host_s = sensor_s, host_s
        self._points: deque[tuple[float, float]] = deque([(0.0, 0.0)])
        self._bucket = 0
        self._level_s = 0.0
        self.slope, self.slope_error = slope, slope_error
        self._known = (slope, slope_error, 0.0)  # the last trusted slope and where it was fitted

    @property
    def span_s(self) -> float:
        return self._points[-1][0] - self._points[0][0]

    def host_s(self, sensor_s: float) -> float:
        x = sensor_s - self._sensor_s
        return self._host_s + self._level_s + x + self.slope * x

    def add(self, sensor_s: float, host_s: float) -> None:
        points = self._points
        x = sensor_s - self._sensor_s
        y = host_s - self._host_s - x
        bucket = int(x // _BUCKET_S)
        if bucket > self._bucket:
            # a settled line learns from a bucket when it is full, so that frames that are a little early do not draw
            # the line down before one comes that is too early not to be a step
            self._fit()
            self._bucket = bucket
            points.append((x, y))
            while x - points[0][0] > _WINDOW_S:
                points.popleft()
        elif bucket == self._bucket and y - points[-1][1] < self.slope * (x - points[-1][0]):
            points[-1] = (x, y)
        if len(points) < _FIT_BUCKETS:
            self._level_s = min(self._level_s, y - self.slope * x)

    def _fit(self) -> None:
        points = self._points
        x = points[-1][0]
        slope, error, known_at = self._known
        error += _AGEING * (x - known_at)
        if len(points) >= _FIT_BUCKETS:
            hull_slope, level_s = _line_under(points)
            hull_error = _turn_s(points, hull_slope, level_s) / self.span_s
            if hull_error < error:
                self.slope, self.slope_error, self._level_s = hull_slope, hull_error, level_s
                if hull_error <= _TRUSTED:
                    self._known = (hull_slope, _TRUSTED, x)
                return
        self.slope, self.slope_error = slope, error
        self._level_s = min(y - slope * x for x, y in points)


def _line_under(points: deque[tuple[float, float]]) -> tuple[float, float]:
    """Slope and level of the edge of the lower convex hull over the mean abscissa; `points` ascend in x."""
    mean_x = sum(x for x, _ in points) / len(points)
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append((x, y))
    (x0, y0), (x1, y1) = next((left, right) for left, right in pairwise(hull) if right[0] >= mean_x)
    slope = (y1 - y0) / (x1 - x0)
    return slope, y0 - slope * x0


def _turn_s(points: deque[tuple[float, float]], slope: float, level_s: float) -> float:
    """By how much the line may be wrong at one end against the other.

    Where many points lie close to the line, those that would turn it if they had not been there are close too. The
    sixth lowest measures this: four times its height held 95 % of the true errors in simulation, for delays with a
    sharp fast end. Where fast delays get ever rarer towards the fastest, it may be too small by a factor of three.
    """
    heights = sorted(y - slope * x for x, y in points)
    return max(_TURN * (heights[_LOW_POINTS - 1] - level_s), _LEAST_TURN_S)
