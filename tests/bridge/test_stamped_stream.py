"""Stamps to chunks and gaps: samples delivered + samples in gaps = samples that the sensor made (C2)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable

import numpy as np
import pytest
from edge_mi.firmware_bridge.frames import Frame, StreamFormat
from edge_mi.firmware_bridge.polar_h10 import FORMAT
from edge_mi.firmware_bridge.rate_fit import RateFit
from edge_mi.firmware_bridge.stamped_stream import StampedStream
from edge_mi.firmware_bridge.statistics import StreamStatistics
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from edge_mi.samples import Chunk, Gap, Item

N = 73
START_NS = 599_616_000 * 10**9


def frame_of(stamp_ns: int, codes: np.ndarray) -> Frame:
    return Frame(codes=codes, stamp_ns=stamp_ns)


def sensor(frames: int, *, rate_hz: float = 130.0, n: int = N, start_ns: int = START_NS) -> list[Frame]:
    """What an H10 sends; the value of each sample is its number."""
    return [
        frame_of(
            start_ns + round(((i + 1) * n - 1) * 1e9 / rate_hz),
            np.arange(i * n, (i + 1) * n, dtype=np.int32),
        )
        for i in range(frames)
    ]


def listen(frames: Iterable[Frame]) -> tuple[list[Item], StreamStatistics]:
    statistics = StreamStatistics()
    stream = StampedStream(FORMAT, statistics)
    return [item for frame in frames for item in stream.push(frame, 0.0)], statistics


def account(items: list[Item]) -> int:
    """Samples delivered and missing; every chunk must lie where its index says."""
    total = 0
    for item in items:
        if isinstance(item, Chunk):
            assert item.index == total
            total += len(item.samples_mv)
        else:
            assert item.n_samples is not None
            total += item.n_samples
    return total


def test_a_whole_stream_has_no_gap_and_its_times() -> None:
    items, statistics = listen(sensor(10))
    assert account(items) == 730
    assert all(isinstance(item, Chunk) for item in items)
    assert [item.t_s for item in items] == pytest.approx([i * N / 130 for i in range(10)], abs=2e-9)
    assert (statistics.frames, statistics.samples, statistics.gaps) == (10, 730, 0)


def test_frames_of_72_are_seen_too() -> None:
    items, statistics = listen(sensor(40, n=72))
    assert account(items) == 2880
    assert statistics.gaps == 0


@settings(max_examples=60)
@given(st.sets(st.integers(1, 58)), st.sampled_from([127.5, 130.0, 132.5]))
def test_lost_frames_are_counted(lost: set[int], rate_hz: float) -> None:
    frames = [frame for i, frame in enumerate(sensor(60, rate_hz=rate_hz)) if i not in lost]
    items, statistics = listen(frames)
    # a rate that is not fitted yet may be 2 % off, over the gap and the frame that shows it
    assert abs(account(items) - 60 * N) <= len(lost) * (2 * N * 0.02 + 0.5)
    assert statistics.samples == (60 - len(lost)) * N
    assert statistics.samples_lost == account(items) - statistics.samples


def test_lost_frames_are_counted_to_the_sample_once_the_rate_is_fitted() -> None:
    frames = sensor(400, rate_hz=127.7)
    items, statistics = listen(frames[:150] + frames[350:])
    assert account(items) == 400 * N
    assert statistics.rate_hz == pytest.approx(127.7, rel=1e-6)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 39), max_size=20))
def test_doubled_frames_change_nothing(doubled: list[int]) -> None:
    frames = sensor(40)
    heard = [frame for i, frame in enumerate(frames) for _ in range(1 + doubled.count(i))]
    items, statistics = listen(heard)
    assert [(c.t_s, c.index) for c in items if isinstance(c, Chunk)] == [
        (c.t_s, c.index) for c in listen(frames)[0] if isinstance(c, Chunk)
    ]
    assert statistics.duplicate_frames == len(doubled)


def test_an_old_frame_that_comes_again_is_dropped() -> None:
    frames = sensor(10)
    items, statistics = listen([*frames, frames[5]])
    assert account(items) == 730
    assert (statistics.duplicate_frames, statistics.restarts) == (1, 0)


@pytest.mark.parametrize("kept", [29, 50, 63, 68, 72])
def test_a_frame_that_was_cut_leaves_its_gap_behind_it(kept: int) -> None:
    frames = sensor(20)
    frames[14] = frame_of(frames[14].stamp_ns, frames[14].codes[:kept])
    items, _ = listen(frames)
    assert account(items) == 1460
    chunk, gap = items[14], items[15]
    assert isinstance(chunk, Chunk)
    assert isinstance(gap, Gap)
    assert chunk.t_s == pytest.approx(14 * N / 130, abs=1e-6)
    assert gap.n_samples == N - kept
    assert gap.t_s == pytest.approx((14 * N + kept) / 130, abs=1e-6)
    assert chunk.samples_mv[0] == pytest.approx(14 * N / 1000)


def test_values_stay_at_their_index_through_every_kind_of_loss() -> None:
    frames = sensor(30)
    frames[10] = frame_of(frames[10].stamp_ns, frames[10].codes[:40])
    del frames[20:23]
    items, _ = listen(frames)
    for chunk in (item for item in items if isinstance(item, Chunk)):
        assert np.array_equal(
            np.rint(chunk.samples_mv * 1000), np.arange(chunk.index, chunk.index + len(chunk.samples_mv))
        )


@pytest.mark.parametrize("shift_s", [-86400.0, 7200.0, 1e8])
def test_a_clock_that_was_set_is_a_gap_of_unknown_length(shift_s: float) -> None:
    later = sensor(5, start_ns=START_NS + round(5 * N / 130 * 1e9) + round(shift_s * 1e9))
    items, statistics = listen(sensor(5) + later)
    gap = items[5]
    assert isinstance(gap, Gap)
    assert (gap.n_samples, gap.cause, statistics.restarts) == (None, "restart", 1)
    after = items[6]
    assert isinstance(after, Chunk)
    assert after.t_s == pytest.approx(5 * N / 130, abs=1e-6)


def test_the_next_gap_has_the_cause_that_is_known() -> None:
    statistics = StreamStatistics()
    stream = StampedStream(FORMAT, statistics)
    frames = sensor(6)
    stream.push(frames[0], 0.0)
    stream.interrupt("link_lost")
    gap = stream.push(frames[3], 0.0)[0]
    assert isinstance(gap, Gap)
    assert (gap.cause, gap.n_samples) == ("link_lost", 2 * N)
    gap = stream.push(frames[5], 0.0)[0]
    assert isinstance(gap, Gap)
    assert gap.cause == "lost"


def test_a_link_that_cuts_every_frame_betrays_itself_by_the_rate() -> None:
    """An MTU a little too small takes samples from each frame; no single step shows it."""
    statistics = StreamStatistics()
    stream = StampedStream(FORMAT, statistics)
    for frame in sensor(200):
        stream.push(frame_of(frame.stamp_ns, frame.codes[:70]), 0.0)
    assert statistics.rate_hz == pytest.approx(130 * 70 / 73, rel=1e-3)


@pytest.mark.parametrize(("every", "cut"), [(2, 5), (5, 2), (3, 1)])
def test_frames_that_are_cut_again_and_again_are_all_counted(every: int, cut: int) -> None:
    frames = sensor(400)
    for i in range(20, 400, every):
        frames[i] = frame_of(frames[i].stamp_ns, frames[i].codes[: N - cut])
    items, statistics = listen(frames)
    assert account(items) == 400 * N
    assert statistics.samples_lost == cut * len(range(20, 400, every))


def test_frames_of_72_among_those_of_73_are_no_gap() -> None:
    sizes = [72 if i % 7 == 3 else 73 for i in range(300)]
    ends = np.cumsum(sizes)
    for rate_hz in (128.0, 130.0, 132.0):
        frames = [
            frame_of(START_NS + round((end - 1) * 1e9 / rate_hz), np.arange(end - n, end, dtype=np.int32))
            for n, end in zip(sizes, ends, strict=True)
        ]
        items, statistics = listen(frames)
        assert account(items) == ends[-1]
        assert statistics.gaps == 0


def test_a_crystal_that_warms_up_makes_no_gap() -> None:
    rate_hz = 130 * (1 + 50e-6 * np.sin(np.arange(20_000) / 3000))
    stamps = np.cumsum(N / rate_hz)
    frames = [
        frame_of(START_NS + round(t * 1e9), np.arange(i * N, (i + 1) * N, dtype=np.int32))
        for i, t in enumerate(stamps)
    ]
    items, statistics = listen(frames)
    assert statistics.gaps == 0
    last = items[-1]
    assert isinstance(last, Chunk)
    assert last.t_s == pytest.approx(stamps[-1] - stamps[0], abs=1e-3)


def test_time_never_runs_backwards_at_a_restart() -> None:
    before = sensor(90, rate_hz=127.5)
    items, _ = listen(before + sensor(5, rate_hz=127.5, start_ns=1))
    times = [item.t_s for item in items]
    assert times == sorted(times)
    gap = next(item for item in items if isinstance(item, Gap))
    assert gap.t_s == pytest.approx(90 * N / 127.5, abs=0.02)


def test_a_jump_of_a_few_milliseconds_is_no_gap() -> None:
    rng = np.random.default_rng(0)
    frames = [
        frame_of(frame.stamp_ns + int(rng.integers(-3_000_000, 3_000_000)), frame.codes)
        for frame in sensor(100)
    ]
    items, statistics = listen(frames)
    assert account(items) == 7300
    assert statistics.gaps == 0


@pytest.mark.parametrize("back_s", [0.05, 0.1, 0.2, 0.27])
def test_a_clock_that_is_set_back_by_a_part_of_a_frame_makes_no_gap(back_s: float) -> None:
    frames = sensor(400)
    behind = [frame_of(frame.stamp_ns - round(back_s * 1e9), frame.codes) for frame in frames[200:]]  # type: ignore[operator]
    items, statistics = listen([*frames[:200], *behind])
    assert account(items) == 400 * N
    assert (statistics.gaps, statistics.restarts) == (0, 0)
    assert statistics.rate_hz == pytest.approx(130, abs=0.01)


def test_a_frame_that_comes_again_after_many_others_is_dropped_and_counted() -> None:
    frames = sensor(160)
    items, statistics = listen(
        [*frames[:60], frames[45], frames[50], *frames[60:100], frames[60], *frames[100:]]
    )
    assert account(items) == 160 * N
    assert (statistics.gaps, statistics.restarts) == (0, 0)
    assert (statistics.duplicate_frames, statistics.late_frames) == (2, 1)


@pytest.mark.parametrize("back_s", [2.0, 8.0])
def test_a_clock_that_is_set_back_by_seconds_is_a_restart_with_its_second_frame(back_s: float) -> None:
    frames = sensor(100)
    behind = [frame_of(frame.stamp_ns - round(back_s * 1e9), frame.codes) for frame in frames[50:]]  # type: ignore[operator]
    items, statistics = listen([*frames[:50], *behind])
    assert (statistics.restarts, statistics.late_frames, statistics.gaps) == (1, 1, 0)
    assert sum(len(item.samples_mv) for item in items if isinstance(item, Chunk)) == 99 * N


def test_statistics_read_as_a_sentence() -> None:
    text = str(listen(sensor(5) + sensor(8)[6:])[1])
    assert text == "511 samples in 7 frames, rate not fitted yet, 73 samples lost in 1 gaps"


def test_a_real_recording_of_frames_has_the_one_gap_that_it_has() -> None:
    path = real_data("polar_h10") / "h10_pmd_frames.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    frames = [
        frame_of(int(row["Timestamp (ns)"]), np.array(json.loads(row["ECG Samples (uV)"]), dtype=np.int32))
        for row in rows
    ]
    items, statistics = listen(frames)
    gaps = [item for item in items if isinstance(item, Gap)]
    assert (statistics.frames, statistics.samples, len(gaps)) == (54, 3942, 1)
    # nine frames are missing: a step of ten, 5.6 s
    assert gaps[0].n_samples == pytest.approx(9 * N, abs=4)
    assert statistics.duplicate_frames == statistics.restarts == 0


@pytest.mark.parametrize("gap_frames", [1, 3])
def test_frames_out_of_order_are_dropped_and_stay_in_their_gap(gap_frames: int) -> None:
    frames = sensor(40)
    early = frames.pop(20 + gap_frames)
    frames.insert(20, early)
    items, statistics = listen(frames)
    assert account(items) == 40 * N
    assert statistics.samples_lost == gap_frames * N
    assert (statistics.late_frames, statistics.restarts) == (gap_frames, 0)


MOVESENSE = StreamFormat(
    rate_hz=128, codes_per_mv=2621.44, bits=32, stamped="first", stamp_modulus_ns=2**32 * 10**6
)


def milliseconds(frames: int, *, rate_hz: float = 128.0, n: int = 16, start_ms: int = 0) -> list[Frame]:
    """Frames whose stamp is that of their first sample, in whole milliseconds of a counter of 32 bits."""
    return [
        frame_of(
            (start_ms + round(i * n * 1000 / rate_hz)) % 2**32 * 10**6,
            np.arange(i * n, (i + 1) * n, dtype=np.int32),
        )
        for i in range(frames)
    ]


def listen_to_movesense(frames: Iterable[Frame]) -> tuple[list[Item], StreamStatistics]:
    statistics = StreamStatistics()
    stream = StampedStream(MOVESENSE, statistics)
    return [item for frame in frames for item in stream.push(frame, 0.0)], statistics


@pytest.mark.parametrize("rate_hz", [125.5, 128.0, 130.5])
def test_stamps_of_the_first_sample_in_milliseconds_make_no_gap(rate_hz: float) -> None:
    items, statistics = listen_to_movesense(milliseconds(1000, rate_hz=rate_hz))
    assert account(items) == 16_000
    assert statistics.gaps == 0
    assert statistics.rate_hz == pytest.approx(rate_hz, rel=2e-5)


@settings(max_examples=40)
@given(st.sets(st.integers(700, 990), max_size=20), st.sampled_from([125.5, 128.0, 130.5]))
def test_lost_frames_of_a_first_stamp_are_counted_to_the_sample(lost: set[int], rate_hz: float) -> None:
    frames = [
        frame
        for i, frame in enumerate(milliseconds(1000, rate_hz=rate_hz, start_ms=2**32 - 5000))
        if i not in lost
    ]
    items, statistics = listen_to_movesense(frames)
    assert account(items) == 16_000
    assert statistics.samples_lost == 16 * len(lost)


def test_a_sensor_clock_that_wraps_is_no_restart() -> None:
    items, statistics = listen_to_movesense(milliseconds(100, start_ms=2**32 - 3000))
    assert (statistics.restarts, statistics.gaps) == (0, 0)
    assert items[-1].t_s == pytest.approx(99 * 0.125, abs=1e-3)


def test_a_frame_that_is_cut_with_a_first_stamp_leaves_its_gap_behind_it() -> None:
    frames = milliseconds(100)
    frames[50] = frame_of(frames[50].stamp_ns or 0, frames[50].codes[:10])
    items, statistics = listen_to_movesense(frames)
    assert account(items) == 1600
    assert statistics.samples_lost == 6
    gap = items[51]
    assert isinstance(gap, Gap)
    assert gap.t_s == pytest.approx(50 * 0.125 + 10 / 128, abs=1e-3)


@pytest.mark.parametrize(("rate_hz", "n"), [(128.0, 16), (512.0, 16), (512.0, 8)])
def test_what_was_learned_of_the_rate_outlives_a_gap(rate_hz: float, n: int) -> None:
    """A long gap right after a short one is counted with the rate of before: 1 sample and 0.1 % (C2)."""
    layout = StreamFormat(
        rate_hz=rate_hz, codes_per_mv=1.0, bits=24, stamped="first", stamp_modulus_ns=2**32 * 10**6
    )
    statistics = StreamStatistics()
    stream = StampedStream(layout, statistics)
    frames = milliseconds(round(200 * rate_hz / n), rate_hz=rate_hz * 1.003, n=n)
    before, short, long = round(120 * rate_hz / n), 2, round(60 * rate_hz / n)
    kept = [
        *frames[:before],
        *frames[before + short : before + short + 10],
        *frames[before + short + 10 + long :],
    ]
    items = [item for frame in kept for item in stream.push(frame, 0.0)]
    gaps = [item.n_samples for item in items if isinstance(item, Gap)]
    assert gaps == [short * n, pytest.approx(long * n, abs=1 + 0.001 * long * n)]


def test_a_rate_is_known_however_often_something_is_lost() -> None:
    frames = [frame for i, frame in enumerate(sensor(2000, rate_hz=131.0)) if i % 20]
    _, statistics = listen(frames)
    assert statistics.rate_hz == pytest.approx(131.0, rel=1e-5)


def test_days_of_stamps_add_no_rounding() -> None:
    fit = RateFit()
    fit.begin(0)
    for i in range(1, 60_000):
        fit.add(146_000, round(i * 146_000 * 1e9 / 130.4))
    assert fit.rate_hz == pytest.approx(130.4, rel=1e-12)
