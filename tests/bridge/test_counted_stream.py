"""A counter to chunks and gaps: exact under every fault (C2)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from edge_mi.firmware_bridge.counted_stream import CountedStream
from edge_mi.firmware_bridge.frames import Frame, StreamFormat
from edge_mi.firmware_bridge.statistics import StreamStatistics
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_mi.samples import Chunk, Gap, Item

N = 25
WRAP = 2**32
FORMAT = StreamFormat(
    rate_hz=100, codes_per_mv=1000.0, bits=24, counted=True, stamped="first", stamp_modulus_ns=WRAP * 1000
)


def sensor(frames: int, *, start: int = 0, clock_us: int = 0, measurement: int = 1) -> list[Frame]:
    """What a patch sends; the value of each sample is its number."""
    return [
        Frame(
            codes=np.arange(i * N, (i + 1) * N, dtype=np.int32),
            counter=(start + i * N) % WRAP,
            stamp_ns=(clock_us + i * N * 10_000) % WRAP * 1000,
            measurement=measurement,
        )
        for i in range(frames)
    ]


def listen(frames: Iterable[Frame]) -> tuple[list[Item], StreamStatistics]:
    statistics = StreamStatistics()
    stream = CountedStream(FORMAT, statistics)
    return [item for frame in frames for item in stream.push(frame, 0.0)], statistics


def account(items: list[Item]) -> int:
    """Samples delivered and missing; every chunk must hold the values that its index says."""
    total = 0
    for item in items:
        if isinstance(item, Chunk):
            assert item.index == total
            assert np.array_equal(
                np.rint(item.samples_mv * 1000), np.arange(total, total + len(item.samples_mv))
            )
            assert item.t_s == pytest.approx(total / 100, abs=1e-6)
            total += len(item.samples_mv)
        else:
            assert item.n_samples is not None
            total += item.n_samples
    return total


@settings(max_examples=80)
@given(
    st.permutations(range(12)),
    st.sets(st.integers(1, 38)),
    st.lists(st.integers(0, 39), max_size=10),
    st.sampled_from([0, WRAP - 300, WRAP // 2 - 100]),
)
def test_samples_and_gaps_are_what_the_sensor_made(
    order: list[int], lost: set[int], doubled: list[int], start: int
) -> None:
    frames = sensor(40, start=start, clock_us=WRAP - 2_000_000)
    shuffled = frames[:20] + [frames[20 + i] for i in order] + frames[32:]
    heard = [
        frame
        for i, frame in enumerate(shuffled)
        if i not in lost - {0, 39}
        for _ in range(1 + doubled.count(i))
    ]
    items, statistics = listen(heard)
    assert account(items) == 40 * N
    assert statistics.restarts == 0
    assert statistics.samples + statistics.samples_lost == 40 * N
    assert len(heard) == statistics.frames + statistics.duplicate_frames + statistics.late_frames


def test_a_gap_over_several_wraps_of_the_clock_keeps_the_time() -> None:
    frames = sensor(1000)
    later = Frame(
        codes=np.zeros(5, dtype=np.int32),
        counter=1000 * N + 350_000,  # 58 minutes later, of a clock that wraps after 71
        stamp_ns=(1000 * N + 350_000) * 10_000 % WRAP * 1000,
        measurement=1,
    )
    items, _ = listen([*frames, later])
    assert items[-2].t_s == pytest.approx(250.0)
    assert items[-1].t_s == pytest.approx(3750.0)


@pytest.mark.parametrize(
    "later",
    [
        sensor(3, measurement=2),
        sensor(3, start=WRAP - 7000),
        sensor(3, start=400_000),
    ],
    ids=["a new measurement", "a counter that ran backwards", "a jump of more than an hour"],
)
def test_what_cannot_be_counted_is_a_restart(later: list[Frame]) -> None:
    items, statistics = listen(sensor(4) + later)
    gap, chunk = items[4], items[5]
    assert isinstance(gap, Gap)
    assert isinstance(chunk, Chunk)
    assert (gap.n_samples, gap.cause, statistics.restarts) == (None, "restart", 1)
    assert (gap.t_s, chunk.t_s, chunk.index) == (pytest.approx(1.0), pytest.approx(1.0), 100)
    assert len(items) == 8


def test_the_rate_is_told_by_the_sensors_own_clock() -> None:
    fast = [
        Frame(codes=f.codes, counter=f.counter, stamp_ns=round((f.stamp_ns or 0) * 0.99), measurement=1)
        for f in sensor(400)
    ]
    assert listen(fast)[1].rate_hz == pytest.approx(100 / 0.99, rel=1e-6)
    assert listen(sensor(100))[1].rate_hz is None


def test_without_a_clock_time_is_counted() -> None:
    statistics = StreamStatistics()
    stream = CountedStream(StreamFormat(rate_hz=100, codes_per_mv=1.0, bits=16, counted=True), statistics)
    frames = [Frame(codes=np.zeros(10, dtype=np.int32), counter=i * 10) for i in (0, 1, 5)]
    items = [item for frame in frames for item in stream.push(frame, 0.0)]
    assert [item.t_s for item in items] == pytest.approx([0.0, 0.1, 0.2, 0.5])


def test_the_cause_of_a_gap_is_the_one_that_is_known() -> None:
    stream = CountedStream(FORMAT, StreamStatistics())
    frames = sensor(8)
    stream.push(frames[0], 0.0)
    stream.interrupt("link_lost")
    gap = stream.push(frames[3], 0.0)[0]
    assert isinstance(gap, Gap)
    assert (gap.cause, gap.n_samples) == ("link_lost", 2 * N)
    stream.interrupt("link_lost")
    stream.push(frames[4], 0.0)  # nothing was missing after all
    later = stream.push(frames[7], 0.0)[0]
    assert isinstance(later, Gap)
    assert (later.cause, later.n_samples) == ("lost", 2 * N)


def test_a_frame_that_comes_again_after_many_others_is_dropped_and_counted() -> None:
    frames = sensor(60)
    items, statistics = listen([*frames[:40], frames[25], *frames[40:], frames[30]])
    assert account(items) == 60 * N
    assert (statistics.late_frames, statistics.restarts, statistics.gaps) == (0, 0, 0)
    assert statistics.duplicate_frames == 2
    items, statistics = listen([*frames[:40], frames[3], *frames[40:]])
    assert account(items) == 60 * N
    assert (statistics.late_frames, statistics.restarts, statistics.gaps) == (1, 0, 0)


@given(st.integers(1, 30))
def test_what_was_lost_before_the_first_frame_to_arrive_is_a_gap(lost: int) -> None:
    items, statistics = listen(sensor(40)[lost:])
    assert account(items) == 40 * N
    assert items[0] == Gap(t_s=0.0, n_samples=lost * N, cause="lost")
    assert (statistics.gaps, statistics.samples_lost) == (1, lost * N)


def test_a_first_frame_that_overtook_another_leaves_a_gap() -> None:
    frames = sensor(4)
    items, statistics = listen([frames[1], frames[0], *frames[2:]])
    assert account(items) == 4 * N
    assert [item.n_samples for item in items if isinstance(item, Gap)] == [N]
    assert statistics.late_frames == 1


def test_a_counter_that_was_set_back_by_little_is_a_restart_with_its_second_frame() -> None:
    frames = sensor(20)
    later = [
        Frame(codes=each.codes + 1, counter=each.counter, stamp_ns=each.stamp_ns, measurement=1)
        for each in frames
    ]
    items, statistics = listen([*frames, *later[6:10]])
    assert (statistics.restarts, statistics.late_frames) == (1, 1)
    assert [item.n_samples for item in items if isinstance(item, Gap)] == [None]
    assert sum(len(item.samples_mv) for item in items if isinstance(item, Chunk)) == 23 * N


def test_after_a_lost_link_a_counter_that_is_behind_is_a_restart_at_once() -> None:
    statistics = StreamStatistics()
    stream = CountedStream(FORMAT, statistics)
    frames = sensor(10)
    for frame in frames:
        stream.push(frame, 0.0)
    stream.interrupt("link_lost")
    later = Frame(
        codes=frames[2].codes + 1, counter=frames[2].counter, stamp_ns=frames[2].stamp_ns, measurement=1
    )
    gap, chunk = stream.push(later, 0.0)
    assert isinstance(gap, Gap)
    assert (gap.n_samples, gap.cause) == (None, "link_lost")
    assert isinstance(chunk, Chunk)
