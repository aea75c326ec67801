"""Frames with a time stamp to chunks and gaps: what was lost is counted, never bridged (contract C2).

The H10 has no packet counter, only the time of each frame's last sample. A step in time that the frame's
samples do not fill is a gap; a step that they overfill is a doubled frame or a clock that was set.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edge_mi.samples import Chunk, Gap, Item

from .polar_pmd import EcgFrame

_NS = 1e9
_LONGEST_GAP_S = 3600.0  # beyond it the clock was set, not the link lost
_REMEMBERED_FRAMES = 32
_FIT_AFTER_S = 60.0
_TOLERANCE_SAMPLES = 1.0
_TOLERANCE_SHARE = 0.06, 0.02  # of a frame: before the rate is fitted (the H10 may be 5 % off), and after
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


@dataclass(slots=True)
class _RunFit:
    """Least squares of stamp on sample number within a run without gaps, by running sums about its start."""

    stamp_ns: int
    n: int = 1
    sum_x: float = 0.0
    sum_y: float = 0.0
    sum_xx: float = 0.0
    sum_xy: float = 0.0
    samples: int = 0

    def add(self, samples: int, stamp_ns: int) -> None:
        self.samples += samples
        x, y = float(self.samples), (stamp_ns - self.stamp_ns) / _NS
        self.n += 1
        self.sum_x += x
        self.sum_y += y
        self.sum_xx += x * x
        self.sum_xy += x * y

    def rate_hz(self) -> float:
        spread = self.n * self.sum_xx - self.sum_x**2
        covariance = self.n * self.sum_xy - self.sum_x * self.sum_y
        return spread / covariance


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
        self._fit: _RunFit | None = None
        self.cause: str | None = None

    @property
    def wrong_rate_hz(self) -> float | None:
        """The fitted rate where it is more than 2 % off."""
        rate = self._statistics.rate_hz
        if rate is None or abs(rate / self._nominal_hz - 1) <= _RATE_SHARE:
            return None
        return rate

    def push(self, frame: EcgFrame) -> list[Item]:
        """Items of one frame: none for a doubled one, a gap before or after the chunk where samples miss."""
        key = (frame.stamp_ns, frame.samples_uv.tobytes())
        if key in self._recent:
            self._statistics.duplicate_frames += 1
            return []
        self._recent.append(key)
        n = len(frame.samples_uv)
        previous, self._previous = self._previous, frame
        if previous is None:
            self._begin(frame)
            return [self._chunk(frame)]
        rate_hz = self._statistics.rate_hz or self._nominal_hz
        step = (frame.stamp_ns - previous.stamp_ns) / _NS * rate_hz
        tolerance = _TOLERANCE_SAMPLES + _TOLERANCE_SHARE[self._statistics.rate_hz is not None] * n
        missing = round(step - n)
        if step < n - tolerance or step > n + _LONGEST_GAP_S * rate_hz:
            return self._restart(frame)
        if abs(step - n) <= tolerance:
            self._contiguous(frame, n)
            return [self._chunk(frame)]
        self._fit = _RunFit(frame.stamp_ns)
        if n < self._usual_samples and abs(step - self._usual_samples) <= tolerance:
            # the frame came when it was due and is short: its tail was cut off, so the gap is behind it
            early = (missing / rate_hz) * _NS
            chunk = self._chunk(frame, stamp_ns=frame.stamp_ns - early)
            return [chunk, self._gap(missing, chunk.t_s + n / rate_hz)]
        gap = self._gap(missing, self._time_of(frame, rate_hz) - missing / rate_hz)
        return [gap, self._chunk(frame)]

    def _begin(self, frame: EcgFrame) -> None:
        rate_hz = self._statistics.rate_hz or self._nominal_hz
        self._start_ns = frame.stamp_ns - round((len(frame.samples_uv) - 1) / rate_hz * _NS)
        self._fit = _RunFit(frame.stamp_ns)
        self.cause = None

    def _contiguous(self, frame: EcgFrame, n: int) -> None:
        assert self._fit is not None
        self._fit.add(n, frame.stamp_ns)
        self.cause = None
        if frame.stamp_ns - self._fit.stamp_ns >= _FIT_AFTER_S * _NS:
            self._statistics.rate_hz = self._fit.rate_hz()

    def _restart(self, frame: EcgFrame) -> list[Item]:
        """The sensor's clock was set: nobody knows how much was lost, and time goes on from where it was."""
        rate_hz = self._statistics.rate_hz or self._nominal_hz
        last_s = self._index / rate_hz
        self._statistics.restarts += 1
        cause = self.cause or "restart"
        self._begin(frame)
        self._start_ns -= round(last_s * _NS)
        return [Gap(t_s=last_s, n_samples=None, cause=cause), self._chunk(frame)]

    def _gap(self, missing: int, t_s: float) -> Gap:
        self._index += missing
        self._statistics.gaps += 1
        self._statistics.samples_lost += missing
        cause, self.cause = self.cause or "lost", None
        return Gap(t_s=t_s, n_samples=missing, cause=cause)

    def _chunk(self, frame: EcgFrame, stamp_ns: float | None = None) -> Chunk:
        n = len(frame.samples_uv)
        rate_hz = self._statistics.rate_hz or self._nominal_hz
        chunk = Chunk(
            t_s=self._time_of(frame, rate_hz, stamp_ns),
            samples_mv=frame.samples_uv / 1000.0,
            rate_hz=self._nominal_hz,
            index=self._index,
        )
        self._index += n
        self._usual_samples = max(self._usual_samples, n)
        self._statistics.frames += 1
        self._statistics.samples += n
        return chunk

    def _time_of(self, frame: EcgFrame, rate_hz: float, stamp_ns: float | None = None) -> float:
        """Sensor time of a frame's first sample, in seconds since the stream's first."""
        last_ns = frame.stamp_ns if stamp_ns is None else stamp_ns
        return (last_ns - self._start_ns) / _NS - (len(frame.samples_uv) - 1) / rate_hz
