"""A record with gaps is filtered stretch by stretch, on one grid of time, and nothing is made up between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import signal_design

from edge_mi.chain.chain import filter_segment
from edge_mi.chain.stretches import filter_leads, finite_stretches


def leads(rate_hz: int, seconds: float = 10.0, n: int = 3) -> np.ndarray:
    return np.random.default_rng(rate_hz).normal(size=(n, round(seconds * rate_hz)))


@pytest.mark.parametrize("rate", signal_design().supported_rates_hz())
def test_leads_together_have_the_bits_of_each_alone(rate: int) -> None:
    signals = leads(rate)
    each = [filter_segment(signal_design(), rate, lead) for lead in signals]
    assert np.array_equal(filter_leads(signal_design(), rate, signals), np.stack(each))


@pytest.mark.parametrize("rate", [100, 128, 360, 500, 1000])
def test_a_gap_parts_a_lead_and_touches_no_other(rate: int) -> None:
    signals = leads(rate)
    gap = slice(6 * rate, 7 * rate)
    signals[1, gap] = np.nan
    filtered = filter_leads(signal_design(), rate, signals)
    assert np.array_equal(filtered[0], filter_segment(signal_design(), rate, signals[0]))
    before, after = signals[1, : gap.start], signals[1, gap.stop :]
    assert np.array_equal(filtered[1, :600], filter_segment(signal_design(), rate, before))
    assert np.isnan(filtered[1, 600:700]).all()
    start = -(-gap.stop * 100 // rate)  # first sample of the output's grid after the gap
    skipped = -(gap.stop * 100 // -rate) * rate // 100 - gap.stop
    later = filter_segment(signal_design(), rate, after[skipped:])
    assert np.array_equal(filtered[1, start : start + len(later)], later)


def test_a_stretch_begins_where_an_output_falls() -> None:
    """At 500 Hz output m stands at sample 5 m; a stretch from sample 1002 on is filtered from 1005 on."""
    signals = leads(500, n=1)
    signals[0, :1002] = np.nan
    filtered = filter_leads(signal_design(), 500, signals)
    assert np.isnan(filtered[0, :201]).all()
    assert np.array_equal(filtered[0, 201:], filter_segment(signal_design(), 500, signals[0, 1005:]))


def test_a_stretch_that_is_too_short_is_missing() -> None:
    signals = leads(100, n=1)
    signals[0, 100] = np.inf  # 1 s before it, where the filter needs 1.91 s
    filtered = filter_leads(signal_design(), 100, signals)
    assert np.isnan(filtered[0, :101]).all()
    assert np.isfinite(filtered[0, 101:]).all()


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_record_that_is_too_short_is_missing(seconds: float) -> None:
    filtered = filter_leads(signal_design(), 100, leads(100, seconds))
    assert filtered.shape == (3, round(seconds * 100))
    assert np.isnan(filtered).all()


@settings(max_examples=50, deadline=None)
@given(present=st.lists(st.booleans(), max_size=40))
def test_stretches_are_the_runs_of_what_is_there(present: list[bool]) -> None:
    samples = np.where(present, 1.0, np.nan)
    found = np.zeros(len(present), dtype=bool)
    stretches = list(finite_stretches(samples))
    for start, stop in stretches:
        assert start < stop
        found[start:stop] = True
    assert found.tolist() == present
    assert all(a[1] < b[0] for a, b in pairwise(stretches))
