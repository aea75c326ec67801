"""What a Lab Streaming Layer receiver gets of one stream: samples and markers with their times; no network, no clock.

Times are seconds of this machine's monotonic clock; `ClockOffset` says what LSL's clock makes of them.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.decision import Decision
from edge_mi.samples import Chunk, FloatArray, Item

from .recording.journal import ChunkEntry, Entry, FillEntry, GapEntry, NoteEntry
from .recording.layout import SCHEMA, Beginning, RecordingMeta
from .recording.timeline import Timeline

_ANCHORS: Final = 4096  # as the recording's timeline keeps
_SHORTEST_STEP_S: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """values_mv: float32 (n, 1). times_s: float64 (n,), rising, also from one chunk to the next."""

    values_mv: NDArray[np.float32]
    times_s: FloatArray


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened, in the words of a recording's annotations."""

    text: str
    time_s: float


class ClockOffset:
    """LSL's clock minus this machine's monotonic clock, which every reading narrows down."""

    def __init__(self) -> None:
        self._low, self._high = -math.inf, math.inf

    def read(self, before_s: float, lsl_s: float, after_s: float) -> float:
        """The offset, after LSL's clock said `lsl_s` between `before_s` and `after_s` of this machine's."""
        low, high = lsl_s - after_s, lsl_s - before_s
        if low > self._high or high < self._low:  # one of them stood still, as in a suspended machine
            self._low, self._high = low, high
        self._low, self._high = max(self._low, low), min(self._high, high)
        return (self._low + self._high) / 2


class LslFeed:
    """Items and decisions in, samples and markers out. Nothing is invented: a gap is time without samples, and a marker.

    now_s: when the stream began.
    """

    def __init__(self, meta: RecordingMeta, now_s: float) -> None:
        self._rate_hz = meta.format.rate_hz
        self._timeline = Timeline(Beginning(schema=SCHEMA, meta=meta, wall_s=0.0, host_s=now_s))
        self._anchors: deque[tuple[float, float]] = deque(maxlen=_ANCHORS)  # sensor's time, this machine's
        self._last_s: float | None = None
        self._end_s = now_s  # when the next sample is due

    def item(self, item: Item, host_s: float | None, now_s: float) -> tuple[Samples | None, list[Marker]]:
        """A chunk or gap that began at `host_s`, as `Heard` has it, and arrived at `now_s`."""
        if isinstance(item, Chunk):
            return self._chunk(item, host_s, now_s)
        markers = self._settle(host_s)
        gap = GapEntry(t_s=item.t_s, n_samples=item.n_samples, cause=item.cause, host_s=host_s)
        began_s = host_s if self._last_s is None and host_s is not None else self._end_s
        markers += self._markers(gap, began_s)
        if item.n_samples is not None:
            self._end_s = began_s + item.n_samples / self._rate_hz
        return None, markers

    def decision(self, decision: Decision) -> list[Marker]:
        """What the detector said; markers only where it changed its mind."""
        sensor_s, time_s = next(
            (each for each in reversed(self._anchors) if each[0] <= decision.t_s),
            self._anchors[0] if self._anchors else (decision.t_s, self._end_s),
        )
        return self._markers(decision, time_s + (decision.t_s - sensor_s))

    def note(self, text: str, now_s: float) -> list[Marker]:
        """What the bridge told the user."""
        return self._markers(NoteEntry(kind="link", text=text, host_s=now_s), now_s)

    def end(self) -> list[Marker]:
        """What is left to say where the stream ends."""
        return [Marker(event.text, self._end_s) for event in self._timeline.finish()]

    def _chunk(self, chunk: Chunk, host_s: float | None, now_s: float) -> tuple[Samples, list[Marker]]:
        n = len(chunk.samples_mv)
        began_s = now_s - (n - 1) / chunk.rate_hz if host_s is None else host_s
        times_s = self._rising(began_s, n, chunk.rate_hz)
        began_s = float(times_s[0])
        markers = self._settle(began_s)
        entry = ChunkEntry(
            t_s=chunk.t_s, index=chunk.index, n=n, host_s=began_s, contact=chunk.contact, crc=0
        )
        markers += self._markers(entry, began_s)
        self._anchors.append((chunk.t_s, began_s))
        self._last_s = float(times_s[-1])
        self._end_s = self._last_s + 1 / chunk.rate_hz
        return Samples(chunk.samples_mv.astype(np.float32)[:, None], times_s), markers

    def _rising(self, began_s: float, n: int, rate_hz: float) -> FloatArray:
        """Times of `n` samples from `began_s` on; pressed together where they would begin before the last one.

        That happens by as much as the fit of the clocks moves, or where samples come faster than the nominal rate.
        """
        step_s, last_s = 1 / rate_hz, self._last_s
        if last_s is not None and began_s <= last_s:
            step_s = max((began_s + (n - 1) * step_s - last_s) / n, _SHORTEST_STEP_S)
            began_s = last_s + step_s
        return began_s + step_s * np.arange(n, dtype=np.float64)

    def _settle(self, host_s: float | None) -> list[Marker]:
        """How long a gap of unknown length was, now that something came after it."""
        if not self._timeline.pending:
            return []
        return self._markers(FillEntry(self._timeline.samples_until(host_s)), self._end_s)

    def _markers(self, entry: Entry, time_s: float) -> list[Marker]:
        return [Marker(event.text, time_s) for event in self._timeline.take(entry)]
