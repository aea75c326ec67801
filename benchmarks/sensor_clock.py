"""A day of a patch's stamps as this machine gets them, through jitter of several shapes, against the truth.

`python -m edge_mi.benchmarks.sensor_clock` prints one JSON document.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from edge_mi.firmware_bridge.clock import ClockEvent, SensorClock
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Jitter: TypeAlias = Callable[[np.random.Generator, Array], Array]

SCHEMA: Final = 1
DAY_S: Final = 24 * 3600.0
FRAME_S: Final = 73 / 130
EPOCH_S: Final = 599_616_000.0
HOST_S: Final = 12_345.0
_DRIFT_PPM: Final = 100.0
_SETTLED_S: Final = 600.0


def uniform(rng: np.random.Generator, true_s: Array) -> Array:
    """Any delay up to 200 ms."""
    return rng.uniform(0, 0.2, len(true_s))


def exponential(rng: np.random.Generator, true_s: Array) -> Array:
    """Mostly fast: 50 ms in the mean, 200 ms at most."""
    return np.minimum(rng.exponential(0.05, len(true_s)), 0.2)


def connection_events(rng: np.random.Generator, true_s: Array) -> Array:
    """The next event of 30 ms; one frame in twenty misses up to four, one in a thousand waits for up to 3 s."""
    n = len(true_s)
    delay = np.ceil(true_s / 0.03) * 0.03 - true_s
    delay += np.where(rng.random(n) < 0.05, 0.03 * rng.integers(1, 5, n), 0)
    return delay + np.where(rng.random(n) < 0.001, rng.uniform(0, 3, n), 0)


def mostly_slow(rng: np.random.Generator, true_s: Array) -> Array:
    """150 to 200 ms, but one frame in fifty below 10 ms."""
    n = len(true_s)
    return np.where(rng.random(n) < 0.02, rng.uniform(0, 0.01, n), rng.uniform(0.15, 0.2, n))


def warming(true_s: Array) -> Array:
    """Sensor seconds of a crystal whose drift swings by 20 ppm within 6 h."""
    turn = 2 * np.pi / (6 * 3600)
    return true_s - 20e-6 / turn * (1 - np.cos(turn * true_s))


@dataclass
class Heard:
    """What a clock said frame by frame, each time with no more than it had heard until then."""

    true_s: Array
    errors_s: Array
    drifts_ppm: Array
    events: list[tuple[float, ClockEvent]] = field(default_factory=list)

    def error_ms(self, begin_s: float, end_s: float, *, settled: tuple[float, float] | None = None) -> Array:
        """Off the truth, but for the constant offset of all or of the `settled` part."""
        among = (self.true_s >= begin_s) & (self.true_s < end_s)
        a, b = settled or (begin_s, end_s)
        usual = np.median(self.errors_s[(self.true_s >= a) & (self.true_s < b)])
        return np.abs(self.errors_s[among] - usual) * 1e3


def triangular(rng: np.random.Generator, true_s: Array) -> Array:
    """The slower the likelier, up to 200 ms: nearly no frame is fast."""
    return rng.triangular(0, 0.2, 0.2, len(true_s))


def bell(rng: np.random.Generator, true_s: Array) -> Array:
    """About 100 ms: the fast end is a tail."""
    return np.clip(rng.normal(0.1, 0.03, len(true_s)), 0, 0.2)


def true_times(length_s: float) -> Array:
    """Seconds of the last samples of all frames of an H10."""
    return np.arange(1, int(length_s / FRAME_S) + 1, dtype=np.float64) * FRAME_S - 1 / 130


def listen(true_s: Array, sensor_s: Array, delay_s: Array, clock: SensorClock | None = None) -> Heard:
    """Frames arrive in the order in which they were sent."""
    clock = clock or SensorClock()
    arrival_s = HOST_S + np.maximum.accumulate(true_s + delay_s)
    estimates, drifts, events = [], [], []
    for at, sensor, host in zip(true_s.tolist(), sensor_s.tolist(), arrival_s.tolist(), strict=True):
        event = clock.observe(sensor, host)
        if event is not None:
            events.append((at, event))
        estimates.append(clock.host_s(sensor))
        drifts.append(clock.drift_ppm)
    return Heard(true_s, np.array(estimates) - HOST_S - true_s, np.array(drifts, dtype=np.float64), events)


SHAPES: Final[tuple[tuple[str, Jitter, bool], ...]] = (
    ("any delay up to 200 ms", uniform, True),
    ("50 ms in the mean, 200 ms at most", exponential, True),
    ("connection events of 30 ms, one frame in twenty late", connection_events, True),
    ("150 to 200 ms, one frame in fifty below 10 ms", mostly_slow, True),
    ("the slower the likelier, up to 200 ms", triangular, False),
    ("a bell of 100 ms, 30 ms wide", bell, False),
)


def main() -> int:
    """Simulate and print; exit code 1 where a shape with a sharp fast end misses 5 ms."""
    true_s = true_times(DAY_S)
    rows = [_row(said, jitter, sharp, true_s) for said, jitter, sharp in SHAPES]
    document = {
        "schema": SCHEMA,
        "hours": DAY_S / 3600,
        "drift_ppm": _DRIFT_PPM,
        "from_minute": _SETTLED_S / 60,
        "frames": len(true_s),
        "rows": rows,
        "command": "python -m edge_mi.benchmarks.sensor_clock",
    }
    print(json.dumps(document))
    return int(any(row["sharp"] and row["error_ms_p95"] > 5 for row in rows))


def _row(said: str, jitter: Jitter, sharp: bool, true_s: Array) -> dict[str, Any]:
    sensor_s = EPOCH_S + true_s / (1 + _DRIFT_PPM * 1e-6)
    heard = listen(true_s, sensor_s, jitter(np.random.default_rng(1), true_s))
    errors_ms = heard.error_ms(_SETTLED_S, DAY_S)
    drift_ppm = heard.drifts_ppm[~np.isnan(heard.drifts_ppm)]
    return {
        "jitter": said,
        "sharp": sharp,
        "error_ms_p95": round(float(np.quantile(errors_ms, 0.95)), 2),
        "error_ms_max": round(float(errors_ms.max()), 2),
        "drift_error_ppm_p95": round(float(np.quantile(np.abs(drift_ppm - _DRIFT_PPM), 0.95)), 2),
        "steps_seen": len(heard.events),
    }


if __name__ == "__main__":
    raise SystemExit(main())
