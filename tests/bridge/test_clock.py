"""Sensor stamps on this machine's clock: p95 within 5 ms over a day of one-sided jitter; steps are seen, backlogs not."""

from __future__ import annotations

import pickle
from collections.abc import Iterable

import numpy as np
import pytest
from edge_mi.benchmarks.sensor_clock import (
    DAY_S,
    EPOCH_S,
    HOST_S,
    Array,
    Heard,
    Jitter,
    connection_events,
    exponential,
    listen,
    mostly_slow,
    true_times,
    uniform,
    warming,
)
from edge_mi.firmware_bridge.clock import ClockEvent, SensorClock
from hypothesis import given, settings
from hypothesis import strategies as st


def observe_all(clock: SensorClock, frames: Iterable[tuple[float, float]]) -> None:
    for sensor, host in frames:
        clock.observe(sensor, host)


@pytest.mark.parametrize(
    ("jitter", "drift_ppm", "rounded"),
    [
        (uniform, 100, False),
        (exponential, 0, False),
        (connection_events, 100, False),
        (mostly_slow, 100, False),
        (uniform, -100, True),  # stamps of whole milliseconds
    ],
)
def test_from_the_tenth_minute_of_a_day_95_percent_of_times_are_within_5_ms(
    jitter: Jitter, drift_ppm: float, rounded: bool
) -> None:
    true_s = true_times(DAY_S)
    sensor_s = EPOCH_S + true_s / (1 + drift_ppm * 1e-6)
    if rounded:
        sensor_s = np.round(sensor_s * 1000) / 1000
    heard = listen(true_s, sensor_s, jitter(np.random.default_rng(1), true_s))
    assert len(true_s) > 153_000
    assert np.quantile(heard.error_ms(600, DAY_S), 0.95) < 5
    known = ~np.isnan(heard.drifts_ppm)
    assert known[true_s > 3600].all()
    assert np.quantile(np.abs(heard.drifts_ppm[known] - drift_ppm), 0.95) < 5
    assert np.abs(heard.drifts_ppm[known] - drift_ppm).max() < 10
    assert heard.events == []


def test_a_crystal_that_warms_up_is_followed_within_5_ms() -> None:
    true_s = true_times(DAY_S)
    heard = listen(true_s, EPOCH_S + warming(true_s), uniform(np.random.default_rng(1), true_s))
    assert np.quantile(heard.error_ms(600, DAY_S), 0.95) < 5
    assert heard.events == []
    drift_ppm = (np.gradient(true_s, warming(true_s)) - 1) * 1e6
    # the mean of the last 30 min lags by 15 min, in which the drift changes by up to 5.2 ppm
    assert np.nanmax(np.abs(heard.drifts_ppm - drift_ppm)) < 10


def test_drift_is_unknown_until_ten_minutes_even_without_jitter() -> None:
    true_s = true_times(900)
    heard = listen(true_s, true_s / (1 + 40e-6), np.zeros_like(true_s))
    known = ~np.isnan(heard.drifts_ppm)
    assert 600 <= true_s[known][0] < 640
    assert heard.drifts_ppm[known] == pytest.approx(40, abs=0.01)


def test_drift_takes_longer_with_jitter_as_the_formula_says() -> None:
    true_s = true_times(1800)
    first = []
    for seed in range(8):
        drifts = listen(true_s, true_s, uniform(np.random.default_rng(seed), true_s)).drifts_ppm
        first.append(true_s[~np.isnan(drifts)][0])
    assert 0.9 * 720 < np.median(first) < 1.2 * 720


def test_nothing_is_known_before_the_first_frame() -> None:
    clock = SensorClock()
    assert (clock.host_s(1.0), clock.drift_ppm) == (None, None)


def test_one_frame_says_where_its_clock_is() -> None:
    clock = SensorClock()
    assert clock.observe(100.0, 7.0) is None
    assert clock.host_s(101.0) == 8.0


def test_the_first_frames_are_held_to_the_fastest_of_them() -> None:
    clock = SensorClock()
    observe_all(clock, [(1.0, 1.25), (2.0, 2.0625), (3.0, 3.125)])
    assert clock.host_s(4.0) == 4.0625


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5000), min_size=9, max_size=14))
def test_the_line_is_the_one_with_the_least_sum_of_delays_none_negative(delays_us: list[int]) -> None:
    # one frame in each 20 s, and one more that closes the last
    x = np.arange(len(delays_us)) * 20.0
    y = np.array(delays_us) * 1e-6
    clock = SensorClock()
    for at, delay in zip(x.tolist(), y.tolist(), strict=True):
        clock.observe(at, at + delay)
    fitted_x, fitted_y = x[:-1], y[:-1]
    delays = fitted_y - np.array([(clock.host_s(at) or 0) - at for at in fitted_x.tolist()])
    assert delays.min() > -1e-9
    pairs = [(i, j) for i in range(len(fitted_x)) for j in range(i)]
    slopes = [(fitted_y[i] - fitted_y[j]) / (fitted_x[i] - fitted_x[j]) for i, j in pairs]
    lines = [
        fitted_y[i] + slope * (fitted_x - fitted_x[i]) for (i, _), slope in zip(pairs, slopes, strict=True)
    ]
    sums = [(fitted_y - line).sum() for line in lines if (fitted_y - line).min() > -1e-9]
    assert delays.sum() == pytest.approx(min(sums), abs=1e-7)


def exact_stream(length_s: float) -> tuple[list[float], list[float]]:
    """Sensor and host times in steps of 2^-20 s, in which sums and differences are exact."""
    true_s = true_times(length_s)
    arrival_s = np.maximum.accumulate(true_s + uniform(np.random.default_rng(3), true_s))
    sensor_s = true_s / (1 + 50e-6)
    return (np.round(sensor_s * 2**20) / 2**20).tolist(), (np.round(arrival_s * 2**20) / 2**20).tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(0, 10**7))
def test_a_constant_on_either_clock_changes_the_offset_alone(sensor_more: int, host_more: int) -> None:
    sensor_s, host_s = exact_stream(1200)
    here, there = SensorClock(), SensorClock()
    for sensor, host in zip(sensor_s, host_s, strict=True):
        here.observe(sensor, host)
        there.observe(sensor + sensor_more, host + host_more)
    assert here.drift_ppm is not None
    assert here.drift_ppm == there.drift_ppm
    expected = (here.host_s(sensor_s[-1]) or 0) + host_more
    assert there.host_s(sensor_s[-1] + sensor_more) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 2000)), st.floats(0, 2))
def test_a_doubled_frame_changes_nothing(doubled: set[int], later_s: float) -> None:
    sensor_s, host_s = exact_stream(1200)
    once, twice = SensorClock(), SensorClock()
    for i, (sensor, host) in enumerate(zip(sensor_s, host_s, strict=True)):
        once.observe(sensor, host)
        twice.observe(sensor, host)
        if i in doubled:
            assert twice.observe(sensor, host + later_s) is None
    assert once.drift_ppm == twice.drift_ppm
    assert once.host_s(sensor_s[-1]) == twice.host_s(sensor_s[-1])


STEP_AT_S = 2400.0


def stepped(step_s: float, seed: int) -> Heard:
    true_s = true_times(STEP_AT_S + 1800)
    sensor_s = EPOCH_S + true_s / (1 + 100e-6) + np.where(true_s > STEP_AT_S, step_s, 0)
    return listen(true_s, sensor_s, uniform(np.random.default_rng(seed), true_s))


def errors_after_a_step(step_s: float, after_s: float) -> tuple[list[tuple[float, ClockEvent]], Array]:
    """The events of eight runs, and their errors from `after_s` on, against the offset before the step."""
    runs = [stepped(step_s, seed) for seed in range(8)]
    before = (1200.0, STEP_AT_S)
    errors = [run.error_ms(STEP_AT_S + after_s, STEP_AT_S + 1800, settled=before) for run in runs]
    events = [event for run in runs for event in run.events]
    assert len(events) == len(runs), "one event a run"
    return events, np.concatenate(errors)


@pytest.mark.parametrize("step_s", [0.8, 3.0, 3600.0, 7 * 365 * 86_400.0])
def test_a_step_forward_is_seen_with_the_next_frame_and_gone_after_two_minutes(step_s: float) -> None:
    events, errors_ms = errors_after_a_step(step_s, 120)
    for at_s, event in events:
        assert event.kind == "step"
        assert at_s - STEP_AT_S < 2
        assert event.step_s == pytest.approx(step_s, abs=0.25)
    assert np.quantile(errors_ms, 0.95) < 5


@pytest.mark.parametrize("step_s", [-0.8, -3.0, -50.0])
def test_a_step_backward_is_seen_and_gone_after_a_minute(step_s: float) -> None:
    events, errors_ms = errors_after_a_step(step_s, 65)
    for at_s, event in events:
        assert event.kind == "step"
        assert 60 < at_s - STEP_AT_S < 63
        assert event.step_s == pytest.approx(step_s, abs=0.05)
    assert np.quantile(errors_ms, 0.95) < 5
    assert errors_ms.max() < 15, "the frames of that minute count"


def test_a_sensor_that_lost_its_power_is_seen_with_its_first_frame() -> None:
    events, errors_ms = errors_after_a_step(-STEP_AT_S, 120)
    assert {event.kind for _, event in events} == {"restart"}
    assert all(at_s - STEP_AT_S < 1 for at_s, _ in events)
    assert np.quantile(errors_ms, 0.95) < 5


def test_a_step_forward_in_the_first_minute_is_seen_too() -> None:
    true_s = true_times(60)
    heard = listen(true_s, true_s + np.where(true_s > 30, 5, 0), uniform(np.random.default_rng(1), true_s))
    assert [event.step_s for _, event in heard.events] == [pytest.approx(5, abs=0.25)]
    assert heard.events[0][0] - 30 < 1


@pytest.mark.parametrize("step_s", [-0.3, 0.3])
def test_a_step_too_small_to_be_told_from_delays_is_forgotten_with_the_window(step_s: float) -> None:
    true_s = true_times(3 * STEP_AT_S)
    sensor_s = true_s + np.where(true_s > STEP_AT_S, step_s, 0)
    heard = listen(true_s, sensor_s, uniform(np.random.default_rng(4), true_s))
    # what counts as offset afterwards is the sensor's new time
    assert heard.error_ms(STEP_AT_S + 1860, 3 * STEP_AT_S, settled=(1200, STEP_AT_S)).max() < 5


def backlog(true_s: Array, begin_s: float, end_s: float, apart_s: float) -> Array:
    """Delays of frames that the link held back from `begin_s` to `end_s`, and then sent `apart_s` apart."""
    delay_s = uniform(np.random.default_rng(5), true_s)
    free_s = end_s
    for i, at in enumerate(true_s):
        if at >= begin_s and at + delay_s[i] < free_s:
            delay_s[i] = free_s - at
            free_s += apart_s
    return delay_s


@pytest.mark.parametrize(("begin_s", "held_s"), [(0, 5), (20, 20), (1500, 20), (1500, 100)])
@pytest.mark.parametrize("apart_s", [0.001, 0.03, 0.45])
def test_a_backlog_that_drains_is_no_step(begin_s: float, held_s: float, apart_s: float) -> None:
    true_s = true_times(3600)
    heard = listen(true_s, EPOCH_S + true_s, backlog(true_s, begin_s, begin_s + held_s, apart_s))
    assert heard.events == []
    assert heard.error_ms(2400, 3600).max() < 5


def test_a_backlog_after_a_frame_that_was_late_already_is_no_step() -> None:
    true_s = true_times(1800)
    delay_s = backlog(true_s, 1500, 1580, 0.001)
    delay_s[np.searchsorted(true_s, 1500) - 1] += 1
    assert listen(true_s, EPOCH_S + true_s, delay_s).events == []


def test_a_measurement_that_begins_with_a_backlog_of_a_minute_has_no_step() -> None:
    true_s = true_times(1800)
    assert listen(true_s, EPOCH_S + true_s, backlog(true_s, 0, 55, 0.001)).events == []


@pytest.mark.parametrize("away_s", [5.0, 120.0, 7200.0])
def test_frames_lost_on_the_way_are_no_step(away_s: float) -> None:
    true_s = true_times(1500 + away_s + 1800)
    there = (true_s < 1500) | (true_s > 1500 + away_s)
    delay_s = uniform(np.random.default_rng(6), true_s)
    heard = listen(true_s[there], (true_s / (1 + 100e-6))[there], delay_s[there])
    assert heard.events == []
    again = 1500 + away_s + 180
    assert heard.error_ms(again, again + 1600, settled=(900, 1500)).max() < 5


def test_single_frames_late_by_seconds_change_nothing() -> None:
    sensor_s, host_s = exact_stream(1200)
    clean, late = SensorClock(), SensorClock()
    for i, (sensor, host) in enumerate(zip(sensor_s, host_s, strict=True)):
        if i % 5:
            clean.observe(sensor, host)
            assert late.observe(sensor, host) is None
        elif i:
            assert late.observe(sensor, host + 3) is None
    assert clean.host_s(sensor_s[-1]) == late.host_s(sensor_s[-1])


def test_a_new_measurement_forgets_the_clock_and_keeps_the_drift() -> None:
    true_s = true_times(3600)
    clock = SensorClock()
    listen(true_s, EPOCH_S + true_s / (1 + 80e-6), uniform(np.random.default_rng(7), true_s), clock)
    known = clock.drift_ppm
    clock.restart()
    assert clock.host_s(0.0) is None
    assert clock.drift_ppm == known
    clock.observe(3.0, HOST_S)
    assert clock.host_s(1003.0) == pytest.approx(HOST_S + 1000 * (1 + 80e-6), abs=0.002)
    anew = listen(true_s, 3.0 + true_s / (1 + 80e-6), uniform(np.random.default_rng(8), true_s), clock)
    assert anew.events == []
    assert anew.error_ms(180, 3600).max() < 5


def test_a_kept_drift_gives_way_in_time_even_to_one_that_jitter_hides() -> None:
    clock = SensorClock()
    observe_all(clock, ((at, at) for at in np.arange(0.0, 1000.0, 0.5).tolist()))
    assert clock.drift_ppm == pytest.approx(0)
    clock.restart()
    true_s = np.arange(0.0, 4 * 3600.0, 20.0)
    sensor_s = true_s / (1 + 60e-6)
    arrival_s = true_s + 2 * uniform(np.random.default_rng(2), true_s)
    observe_all(clock, zip(sensor_s.tolist(), arrival_s.tolist(), strict=True))
    slope = ((clock.host_s(sensor_s[-1]) or 0) - (clock.host_s(sensor_s[-1] - 1000) or 0)) / 1000
    assert slope - 1 == pytest.approx(60e-6, abs=30e-6)


def test_memory_does_not_grow_with_time() -> None:
    true_s = true_times(6 * 3600)
    frames = list(
        zip(true_s.tolist(), (true_s + uniform(np.random.default_rng(9), true_s)).tolist(), strict=True)
    )
    clock = SensorClock()
    observe_all(clock, frames[: len(frames) // 6])
    after_an_hour = len(pickle.dumps(clock))
    observe_all(clock, frames[len(frames) // 6 :])
    assert len(pickle.dumps(clock)) < 1.1 * after_an_hour
    assert after_an_hour < 5000
