"""The alarm: k of the windows of the last n seconds, with hysteresis and a latch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmConfig:
    """When the latch goes on and off.

    span_s: how far back windows count. It spans at least three window lengths, because windows that overlap
    say the same thing again. on_count: positive windows in the span that set the latch. off_count: the latch
    is released when at least on_count windows were answered in the span and at most this many were positive.
    """

    span_s: float
    on_count: int
    off_count: int

    def __post_init__(self) -> None:
        if not (self.span_s > 0 and 0 <= self.off_count < self.on_count):
            raise ValueError(f"an alarm needs span_s > 0 and 0 <= off_count < on_count, found {self}")


class AlarmLatch:
    """Counts answered windows; undetermined ones are not shown to it and simply age out."""

    def __init__(self, config: AlarmConfig) -> None:
        self._config = config
        self._span_us = _microseconds(config.span_s)
        self._answered: list[tuple[float, bool]] = []
        self.on = False

    def step(self, t_s: float, positive: bool) -> bool:
        """Take the answer of the window that ends at `t_s`; True while the latch is on."""
        self._answered = [(t, p) for t, p in self._answered if 0 <= _microseconds(t_s - t) < self._span_us]
        self._answered.append((t_s, positive))
        positives = sum(p for _, p in self._answered)
        if positives >= self._config.on_count:
            self.on = True
        elif len(self._answered) >= self._config.on_count and positives <= self._config.off_count:
            self.on = False
        return self.on

    def forget(self) -> None:
        """Drop the windows counted so far: time has lost its thread. A latch that is on stays on."""
        self._answered = []


def _microseconds(t_s: float) -> int:
    """Whole microseconds: times are rounded to them, and a span's end must not hang on the last bit of a double."""
    return round(t_s * 1e6)
