"""Neither counter nor time: the stream says that it cannot see losses, and judges across none that it suspects."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.firmware_bridge.blind_stream import BlindStream
from edge_mi.firmware_bridge.frames import Frame, StreamFormat
from edge_mi.firmware_bridge.integrity import open_stream
from edge_mi.firmware_bridge.statistics import StreamStatistics

from edge_mi.samples import Chunk, Gap, Item

FORMAT = StreamFormat(rate_hz=125, codes_per_mv=2621.44, bits=24)


def listen(arrivals_s: list[float], cause_before: int | None = None) -> tuple[list[Item], StreamStatistics]:
    statistics = StreamStatistics()
    stream = open_stream(FORMAT, statistics)
    assert isinstance(stream, BlindStream)
    items: list[Item] = []
    for i, arrived_s in enumerate(arrivals_s):
        if i == cause_before:
            stream.interrupt("link_lost")
        items += stream.push(Frame(codes=np.arange(8 * i, 8 * i + 8, dtype=np.int32)), arrived_s)
    return items, statistics


def test_it_says_that_losses_cannot_be_seen() -> None:
    _, statistics = listen([0.0, 0.064])
    assert not statistics.loss_visible
    assert "losses cannot be seen" in str(statistics)
    assert "none lost" not in str(statistics)


def test_jitter_of_arrival_is_no_gap_and_time_is_counted() -> None:
    rng = np.random.default_rng(0)
    arrivals = np.arange(1000) * 0.064 + rng.uniform(0, 0.5, 1000)
    items, statistics = listen(sorted(arrivals))
    assert all(isinstance(item, Chunk) for item in items)
    assert [item.t_s for item in items] == pytest.approx([i * 8 / 125 for i in range(1000)])
    assert statistics.rate_hz == pytest.approx(125, rel=0.01)


def test_equal_frames_are_no_doubles() -> None:
    statistics = StreamStatistics()
    stream = BlindStream(FORMAT, statistics)
    flat = Frame(codes=np.zeros(8, dtype=np.int32))
    assert sum(len(stream.push(flat, i * 0.064)) for i in range(5)) == 5


def test_a_pause_is_a_gap_of_unknown_length() -> None:
    items, statistics = listen([0.0, 0.064, 2.0, 2.064])
    gap = items[2]
    assert isinstance(gap, Gap)
    assert (gap.n_samples, gap.cause, gap.t_s) == (None, "pause", pytest.approx(16 / 125))
    assert (statistics.unknown_gaps, statistics.gaps) == (1, 0)


def test_a_lost_link_is_a_gap_of_unknown_length_however_short() -> None:
    items, _ = listen([0.0, 0.064, 0.128], cause_before=2)
    gap = items[2]
    assert isinstance(gap, Gap)
    assert (gap.n_samples, gap.cause) == (None, "link_lost")


def test_the_rate_of_arrival_shows_what_no_frame_shows() -> None:
    kept = [i * 0.064 for i in range(2000) if i % 10]
    assert listen(kept)[1].rate_hz == pytest.approx(125 * 0.9, rel=0.01)


def test_the_rate_of_arrival_is_that_of_the_last_minutes_whatever_was_before() -> None:
    hours = int(2 * 3600 / 0.064)
    kept = [i * 0.064 for i in range(hours + 1900) if i < hours or i % 5]
    assert listen(kept)[1].rate_hz == pytest.approx(125 * 0.8, rel=0.01)
