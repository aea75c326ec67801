"""Frames with a time stamp to chunks and gaps: what was lost is counted, never bridged (contract C2).

The H10 has no packet counter, only the time of each frame's last sample. A step in time that the frame's
samples do not fill is a gap; a step that they overfill is a doubled frame or a clock that was set.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from edge_mi.samples import Chunk, Gap, Item

from .polar_pmd import EcgFrame

_NS = 1e9
_LONGEST_GAP_S = 3600.0  # beyond it the clock was set, not the link lost
_REMEMBERED_FRAMES = 32
_FIT_AFTER_S = 60.0
_FIT_FRAMES = 128  # 72 s: long enough for the rate, short enough to follow a crystal that warms up
_TRUSTED_FRAMES = 8
_TOLERANCE_SAMPLES = 1.5  # once the rate is known; stamps of an H10 were seen to jitter by 0.003 samples
_UNKNOWN_RATE_SHARE = 0.06  # before that: the H10 may be 5 % off
_UNKNOWN_CUT_SAMPLES = 3
_RATE_SHARE = 0.02


@dataclass(slots=True)
class StreamStatistics:
    """Counts of one stream; `rate_hz` is fitted to the stamps, None before there are 60 s of them."""

    frames: int = 0
    samples: int = 0
    gaps: int = 0
    samples_lost: int = 0
    duplicate_frames: int = 0
    bad_frames: int = 0
    dropped_frames: int = 0
    restarts: int = 0
    reconnects: int = 0
    rate_hz: float | None = None

    def __str__(self) -> str:
        rate = "rate not fitted yet" if self.rate_hz is None else f"{self.rate_hz:.3f} Hz by its own clock"
        words = [f"{self.samples} samples in {self.frames} frames", rate]
        words.append(f"{self.samples_lost} samples lost in {self.gaps} gaps" if self.gaps else "none lost")
        for count, what in (
            (self.duplicate_frames, "doubled frames dropped"),
            (self.bad_frames, "frames not understood"),
            (self.dropped_frames, "frames dropped because this machine was too slow"),
            (self.restarts, "restarts of the sensor's clock"),
            (self.reconnects, "reconnects"),
        ):
            if count:
                words.append(f"{count} {what}")
        return ", ".join(words)


class _Run:
    """The latest stamps of a stretch without gaps, and the line through them: time on sample number."""

    def __init__(self, stamp_ns: int) -> None:
        self._start_ns = stamp_ns
        self._points: deque[tuple[int, float]] = deque([(0, 0.0)], maxlen=_FIT_FRAMES)
        self.samples = 0

    def add(self, samples: int, stamp_ns: int) -> None:
        self.samples += samples
        self._points.append((self.samples, (stamp_ns - self._start_ns) / _NS))

    @property
    def trusted(self) -> bool:
        """Whether there are enough stamps to hold the next one against."""
        return len(self._points) >= _TRUSTED_FRAMES

    @property
    def span_s(self) -> float:
        return self._points[-1][1] - self._points[0][1]

    def rate_hz(self) -> float:
        return 1.0 / self._line()[0]

    def late_s(self, samples: int, stamp_ns: int) -> float:
        """How much later than the line says the stamp of the next frame, of `samples`, is."""
        slope, x, y = self._line()
        return (stamp_ns - self._start_ns) / _NS - (y + slope * (self.samples + samples - x))

    def _line(self) -> tuple[float, float, float]:
        """Slope in s a sample, and the point of means."""
        x, y = np.array(self._points, dtype=np.float64).T
        mean_x, mean_y = float(x.mean()), float(y.mean())
        slope = float(((x - mean_x) * (y - mean_y)).sum() / ((x - mean_x) ** 2).sum())
        return slope, mean_x, mean_y


class StampedStream:
    """Turns the frames of one sensor into items. It knows no link; `cause` names the next gap.

    rate_hz: the nominal rate. `wrong_rate_hz` is set once the stamps contradict it by more than 2 %: then
    samples vanish inside every frame (a link whose packets are too small), or this is another sensor.
    """

    def __init__(self, rate_hz: float, statistics: StreamStatistics) -> None:
        self._nominal_hz = rate_hz
        self._statistics = statistics
        self._previous: EcgFrame | None = None
        self._usual_samples = 0
        self._start_ns = 0
        self._index = 0
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_REMEMBERED_FRAMES)
        self._run = _Run(0)
        self._known_hz: float | None = None
        self.cause: str | None = None

    @property
    def wrong_rate_hz(self) -> float | None:
        """The fitted rate where it is more than 2 % off."""
        rate = self._statistics.rate_hz
        if rate is None or abs(rate / self._nominal_hz - 1) <= _RATE_SHARE:
            return None
        return rate

    @property
    def _rate_hz(self) -> float:
        return self._known_hz or self._nominal_hz

    def push(self, frame: EcgFrame) -> list[Item]:
        """Items of one frame: none for a doubled one, a gap before or after the chunk where samples miss."""
        key = (frame.stamp_ns, frame.samples_uv.tobytes())
        if key in self._recent:
            self._statistics.duplicate_frames += 1
            return []
        self._recent.append(key)
        previous, self._previous = self._previous, frame
        if previous is None:
            self._begin(frame, at_s=0.0)
            return [self._chunk(frame)]
        n = len(frame.samples_uv)
        step = (frame.stamp_ns - previous.stamp_ns) / _NS * self._rate_hz
        if step < n / 2 or step > n + _LONGEST_GAP_S * self._rate_hz:
            return self._restart(frame, previous)
        cut = self._cut_samples(n, step)
        if cut:
            return self._take_cut(frame, cut)
        late = self._run.late_s(n, frame.stamp_ns) * self._rate_hz if self._run.trusted else step - n
        tolerance = _TOLERANCE_SAMPLES if self._known_hz else 1 + _UNKNOWN_RATE_SHARE * n
        if late > tolerance:
            self._run = _Run(frame.stamp_ns)
            missing = round(late)
            gap = self._gap(missing, self._time_of(frame) - missing / self._rate_hz)
            return [gap, self._chunk(frame)]
        self._run.add(n, frame.stamp_ns)
        self.cause = None
        self._learn_rate()
        return [self._chunk(frame)]

    def _learn_rate(self) -> None:
        if self._run.trusted:
            self._known_hz = self._run.rate_hz()
        if self._run.span_s >= _FIT_AFTER_S:
            self._statistics.rate_hz = self._known_hz

    def _cut_samples(self, n: int, step: float) -> int:
        """Samples cut off the end of a frame that came when a whole one was due."""
        cut = self._usual_samples - n
        if cut < (1 if self._known_hz else _UNKNOWN_CUT_SAMPLES):
            return 0
        return cut if abs(step - self._usual_samples) < abs(step - n) else 0

    def _take_cut(self, frame: EcgFrame, cut: int) -> list[Item]:
        # its stamp is that of a sample that is not there, so what is there is older, and the gap lies behind it
        self._run = _Run(frame.stamp_ns)
        chunk = self._chunk(frame, earlier_s=cut / self._rate_hz)
        gap = self._gap(cut, chunk.t_s + len(frame.samples_uv) / self._rate_hz)
        return [chunk, gap]

    def _begin(self, frame: EcgFrame, *, at_s: float) -> None:
        """Let the frame's first sample be at `at_s` of the stream."""
        length_s = (len(frame.samples_uv) - 1) / self._rate_hz
        self._start_ns = frame.stamp_ns - round((length_s + at_s) * _NS)
        self._run = _Run(frame.stamp_ns)
        self.cause = None

    def _restart(self, frame: EcgFrame, previous: EcgFrame) -> list[Item]:
        """The sensor's clock was set: nobody knows how much was lost, and time goes on from where it was."""
        at_s = (previous.stamp_ns - self._start_ns) / _NS + 1 / self._rate_hz
        self._statistics.restarts += 1
        cause = self.cause or "restart"
        self._begin(frame, at_s=at_s)
        return [Gap(t_s=at_s, n_samples=None, cause=cause), self._chunk(frame)]

    def _gap(self, missing: int, t_s: float) -> Gap:
        self._index += missing
        self._statistics.gaps += 1
        self._statistics.samples_lost += missing
        cause, self.cause = self.cause or "lost", None
        return Gap(t_s=t_s, n_samples=missing, cause=cause)

    def _chunk(self, frame: EcgFrame, *, earlier_s: float = 0.0) -> Chunk:
        n = len(frame.samples_uv)
        chunk = Chunk(
            t_s=self._time_of(frame) - earlier_s,
            samples_mv=frame.samples_uv / 1000.0,
            rate_hz=self._nominal_hz,
            index=self._index,
        )
        self._index += n
        self._usual_samples = max(self._usual_samples, n)
        self._statistics.frames += 1
        self._statistics.samples += n
        return chunk

    def _time_of(self, frame: EcgFrame) -> float:
        """Sensor time of a frame's first sample, in seconds since the stream's first, by the stamp of its last."""
        return (frame.stamp_ns - self._start_ns) / _NS - (len(frame.samples_uv) - 1) / self._rate_hz
