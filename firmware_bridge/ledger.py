"""The book of one stream: every sample that the sensor made stands in it once, delivered or missing (contract C2)."""

from __future__ import annotations

from collections import deque

from edge_mi.samples import Chunk, Gap

from .frames import Frame, StreamFormat
from .statistics import StreamStatistics

_REMEMBERED_FRAMES = 32
_REMEMBERED_GAPS = 32
_STRAY_S = 60.0


class Ledger:
    """Makes the chunks and gaps of a stream and counts them; `cause` names the next gap.

    Gaps are remembered by where they lie in the sensor's own numbering or time, so that a frame that comes after
    its gap was written down is known to be late.
    """

    def __init__(self, layout: StreamFormat, statistics: StreamStatistics) -> None:
        self.layout, self.statistics = layout, statistics
        self.index = 0
        self.cause: str | None = None
        self._recent: deque[tuple[object, bytes]] = deque(maxlen=_REMEMBERED_FRAMES)
        self._gaps: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED_GAPS)
        self._stray_end: float | None = None

    def is_double(self, frame: Frame) -> bool:
        """Whether these very bytes were seen a moment ago; counts them if so, remembers them if not."""
        place = (frame.measurement, frame.counter, frame.stamp_ns)
        key = (place, frame.codes.tobytes())
        if key in self._recent:
            self.statistics.duplicate_frames += 1
            return True
        self._recent.append(key)
        return False

    def is_late(self, first: float, last: float) -> bool:
        """Whether what lies from `first` to `last` was written down as missing; counts it if so."""
        if not any(start <= first and last <= end for start, end in self._gaps):
            return False
        self.statistics.late_frames += 1
        return True

    def is_stray(self, first: float, end: float, *, behind_s: float, slack: float = 0.0) -> bool:
        """Whether a frame from `first` to `end`, `behind_s` behind and awaited by no gap, is an old one come again.

        Counts it if so. A second one at once that goes on, within `slack`, where it ended is not old: counter or clock
        were set back. So are those further behind, and those that come after something may have been missing.
        """
        goes_on = self._stray_end is not None and abs(first - self._stray_end) <= slack
        if goes_on or behind_s > _STRAY_S or self.cause is not None:
            return False
        self._stray_end = end
        self.statistics.late_frames += 1
        return True

    def chunk(self, frame: Frame, t_s: float) -> Chunk:
        """The frame's samples as delivered."""
        self._stray_end = None
        chunk = Chunk(
            t_s=t_s,
            samples_mv=frame.codes / self.layout.codes_per_mv,
            rate_hz=self.layout.rate_hz,
            index=self.index,
        )
        self.index += len(frame.codes)
        self.statistics.frames += 1
        self.statistics.samples += len(frame.codes)
        return chunk

    def gap(self, missing: int, t_s: float, first: float, last: float) -> Gap:
        """Samples that are missing, and where in the sensor's numbering or time they lie."""
        self._gaps.append((first, last))
        self.index += missing
        self.statistics.gaps += 1
        self.statistics.samples_lost += missing
        return Gap(t_s=t_s, n_samples=missing, cause=self._cause("lost"))

    def unknown(self, t_s: float, cause: str) -> Gap:
        """A gap of which nobody can know how long it is; `cause` unless a better one is known."""
        self._recent.clear()
        self._gaps.clear()
        self.statistics.unknown_gaps += 1
        return Gap(t_s=t_s, n_samples=None, cause=self._cause(cause))

    def _cause(self, otherwise: str) -> str:
        cause, self.cause = self.cause or otherwise, None
        return cause
