"""What is pushed to Lab Streaming Layer receivers: every sample once, at its time, and nothing that was not heard."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from edge_mi.firmware_bridge.lsl_feed import ClockOffset, LslFeed, Marker, Samples
from hypothesis import given
from hypothesis import strategies as st
from recordings import META

from edge_mi.decision import Decision
from edge_mi.samples import Chunk, Gap, Item

RATE_HZ = 130
BEGAN_S = 5000.0


def chunk(index: int, n: int = 73, *, contact: bool | None = None) -> Chunk:
    values = np.arange(index, index + n) / 1000
    return Chunk(t_s=index / RATE_HZ, samples_mv=values, rate_hz=RATE_HZ, index=index, contact=contact)


def decision(t_s: float, state: str, reason: str | None = None) -> Decision:
    return Decision(
        t_s=t_s, probability=None if reason else 0.5, state=state, reason=reason, quality=None, heart_rate_bpm=None,
        model_id="m",
    )  # type: ignore[arg-type]  # fmt: skip


def feed(items: list[tuple[Item, float | None]]) -> tuple[list[Samples], list[Marker]]:
    """Samples and markers of items that arrive half a second after they began."""
    made = LslFeed(META, BEGAN_S)
    samples, markers = [], []
    for item, host_s in items:
        found, said = made.item(item, host_s, (host_s or BEGAN_S) + 0.5)
        samples += [] if found is None else [found]
        markers += said
    return samples, markers + made.end()


def test_samples_are_millivolts_in_one_channel_at_their_own_times() -> None:
    samples, markers = feed([(chunk(0), BEGAN_S), (chunk(73), BEGAN_S + 73 / RATE_HZ)])
    values = np.concatenate([each.values_mv for each in samples])
    times_s = np.concatenate([each.times_s for each in samples])
    assert (values.shape, values.dtype) == ((146, 1), np.float32)
    assert np.array_equal(values[:, 0], (np.arange(146) / 1000).astype(np.float32))
    assert times_s == pytest.approx(BEGAN_S + np.arange(146) / RATE_HZ, abs=1e-9)
    assert markers == []


def test_a_missing_sample_stays_missing() -> None:
    samples, _ = feed([(Chunk(t_s=0, samples_mv=np.array([0.5, np.nan]), rate_hz=RATE_HZ, index=0), BEGAN_S)])
    assert np.isnan(samples[0].values_mv[:, 0]).tolist() == [False, True]


def test_a_gap_is_time_without_samples_and_a_marker_where_it_begins() -> None:
    lost = Gap(t_s=73 / RATE_HZ, n_samples=146, cause="lost")
    samples, markers = feed(
        [(chunk(0), BEGAN_S), (lost, BEGAN_S + 73 / RATE_HZ), (chunk(219), BEGAN_S + 219 / RATE_HZ)]
    )
    assert [len(each.times_s) for each in samples] == [73, 73]
    assert samples[1].times_s[0] - samples[0].times_s[-1] == pytest.approx(147 / RATE_HZ)
    assert markers == [Marker("gap 146 samples, lost", pytest.approx(BEGAN_S + 73 / RATE_HZ))]


def test_a_gap_of_unknown_length_is_told_once_it_is_over_or_at_the_end() -> None:
    restart = Gap(t_s=73 / RATE_HZ, n_samples=None, cause="restart")
    _, over = feed([(chunk(0), BEGAN_S), (restart, None), (chunk(73), BEGAN_S + 10)])
    _, ended = feed([(chunk(0), BEGAN_S), (restart, None)])
    assert over == [
        Marker(f"gap unknown, about {1300 - 73} samples, restart", pytest.approx(BEGAN_S + 73 / RATE_HZ))
    ]
    assert [each.text for each in ended] == ["gap unknown, about 0 samples, restart"]


def test_contact_is_told_when_it_changes() -> None:
    items = [
        (chunk(73 * i, contact=on), BEGAN_S + 73 * i / RATE_HZ)
        for i, on in enumerate([True, True, False, True])
    ]
    _, markers = feed(items)
    assert markers == [
        Marker("contact on", BEGAN_S),
        Marker("contact off", pytest.approx(BEGAN_S + 146 / RATE_HZ)),
        Marker("contact on", pytest.approx(BEGAN_S + 219 / RATE_HZ)),
    ]


def test_a_decision_is_told_when_it_changes_at_the_time_of_the_sample_that_made_it() -> None:
    made = LslFeed(META, BEGAN_S)
    for i in range(10):
        made.item(chunk(130 * i, 130), BEGAN_S + 20 + i, BEGAN_S + 21 + i)  # the sensor was on 20 s before
    said = [
        decision(1.0, "undetermined", "warming_up"),
        decision(2.0, "undetermined", "warming_up"),
        decision(3.0, "negative"),
        decision(4.0, "positive"),
        decision(5.5, "alarm"),
        decision(6.5, "alarm"),
    ]
    markers = list(itertools.chain.from_iterable(map(made.decision, said)))
    assert [(each.text, each.time_s - BEGAN_S - 20) for each in markers] == [
        ("model m", pytest.approx(1.0)),
        ("undetermined warming_up", pytest.approx(1.0)),
        ("negative", pytest.approx(3.0)),
        ("positive", pytest.approx(4.0)),
        ("alarm on", pytest.approx(5.5)),
        ("alarm", pytest.approx(5.5)),
    ]


@given(
    st.lists(
        st.tuples(st.integers(1, 80), st.floats(-0.5, 0.5), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_times_rise_and_no_sample_is_added_or_lost_whatever_the_clocks_say(
    chunks: list[tuple[int, float, bool]],
) -> None:
    index, items = 0, []
    for n, off_s, known in chunks:
        items.append((chunk(index, n), BEGAN_S + index / RATE_HZ + off_s if known else None))
        index += n
    samples, _ = feed(items)  # type: ignore[arg-type]
    times_s = np.concatenate([each.times_s for each in samples])
    assert len(times_s) == index
    assert np.all(np.diff(times_s) > 0)
    values = np.concatenate([each.values_mv[:, 0] for each in samples])
    assert np.array_equal(values, (np.arange(index) / 1000).astype(np.float32))


def test_samples_faster_than_listed_do_not_run_ahead() -> None:
    fast_hz = RATE_HZ * 1.05
    samples, _ = feed([(chunk(73 * i), BEGAN_S + 73 * i / fast_hz) for i in range(1000)])
    due_s = BEGAN_S + 73_000 / fast_hz
    assert samples[-1].times_s[-1] == pytest.approx(due_s, abs=2 * 0.05 * 73 / RATE_HZ)


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 0.1), st.floats(0, 0.1)), min_size=1, max_size=20),
)
def test_the_offset_of_the_clocks_is_off_by_half_the_shortest_reading_at_most(
    offset_s: float, delays: list[tuple[float, float]]
) -> None:
    clocks, found = ClockOffset(), 0.0
    for i, (before_s, after_s) in enumerate(delays):
        at_s = 1000.0 + i
        found = clocks.read(at_s - before_s, at_s + offset_s, at_s + after_s)
    assert abs(found - offset_s) <= min(map(sum, delays)) / 2 + 1e-8


def test_a_clock_that_stood_still_is_believed_anew() -> None:
    clocks = ClockOffset()
    assert clocks.read(10.0, 15.0, 10.0) == 5.0
    assert clocks.read(20.0, 85.0, 20.0) == 65.0
