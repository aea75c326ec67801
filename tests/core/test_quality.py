"""Rules that withhold a window, and heartbeats counted in integers."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.export.defaults import DEFAULT_QUALITY
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import signal_design

from edge_mi import synthetic
from edge_mi.chain.chain import filter_segment
from edge_mi.heartbeats import find_heartbeats
from edge_mi.quality import assess
from edge_mi.signal_design import MV_BITS


def window(samples: np.ndarray, rate_hz: int = 250) -> np.ndarray:
    return filter_segment(signal_design(), rate_hz, samples)[:983]


def grid(window_mv: np.ndarray) -> np.ndarray:
    return np.rint(window_mv * (1 << MV_BITS)).astype(np.int64)


def quality(samples: np.ndarray, rate_hz: int = 250):  # type: ignore[no-untyped-def]
    return assess(samples, rate_hz, window(samples, rate_hz), 100, DEFAULT_QUALITY)


@settings(max_examples=30, deadline=None)
@given(bpm=st.floats(42, 170), seed=st.integers(0, 20), noise_mv=st.floats(0, 0.05))
def test_the_heart_rate_is_that_of_the_heart(bpm: float, seed: int, noise_mv: float) -> None:
    ecg = synthetic.ecg(10.0, rate_hz=250, heart_rate_bpm=bpm, noise_mv=noise_mv, seed=seed)
    found = find_heartbeats(grid(window(ecg.lead("I"))), 100)
    assert found.heart_rate_bpm == pytest.approx(60.0 / np.median(np.diff(ecg.r_peaks_s)), rel=0.06)
    assert found.likeness is not None
    assert found.likeness > 0.6


@pytest.mark.parametrize("territory", synthetic.TERRITORIES)
def test_an_infarct_is_no_noise(territory: str) -> None:
    found = quality(synthetic.ecg(10.0, rate_hz=250, territory=territory, seed=2).lead("I"))
    assert found.reason is None
    assert found.quality > 0.8


@pytest.mark.parametrize("seed", range(8))
def test_noise_without_a_heart_is_withheld(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(scale=0.2, size=2500)
    assert quality(noise).reason in ("noise", "lead_off")


def test_one_bump_is_no_heart() -> None:
    samples = np.zeros(2500)
    samples[1200:1240] = np.hanning(40) * 2.0
    samples += np.random.default_rng(0).normal(scale=0.001, size=2500)
    assert quality(samples).reason in ("lead_off", "noise")


def test_half_a_second_without_motion_is_not_flat_and_one_second_is() -> None:
    ecg = synthetic.ecg(10.0, rate_hz=250, seed=4).lead("I")
    short, long = ecg.copy(), ecg.copy()
    short[1000:1125] = short[1000]
    long[1000:1255] = long[1000]
    assert quality(short).reason is None
    assert quality(long).reason == "flat"


def test_a_tall_beat_is_not_saturated_and_a_clipped_one_is() -> None:
    ecg = synthetic.ecg(10.0, rate_hz=250, seed=4).lead("I") * 3
    assert quality(ecg).reason is None
    assert quality(np.minimum(ecg, 0.7)).reason == "saturated"


def test_a_shift_in_millivolts_changes_no_heartbeat() -> None:
    ecg = synthetic.ecg(10.0, rate_hz=250, seed=4).lead("I")
    assert find_heartbeats(grid(window(ecg)), 100) == find_heartbeats(grid(window(ecg + 4.0)), 100)


def test_too_short_a_window_has_no_heartbeats() -> None:
    assert find_heartbeats(np.zeros(50, dtype=np.int64), 100).count == 0
