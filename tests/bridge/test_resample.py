"""Records of any rate at the emulator's 130 Hz."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.firmware_bridge.resample import microvolts_at_130_hz
from scipy.signal import resample_poly

from edge_mi import synthetic
from edge_mi.errors import SignalError


def test_130_hz_passes_unchanged() -> None:
    microvolts = np.arange(-500, 500)
    assert np.array_equal(microvolts_at_130_hz(microvolts / 1000, 130), microvolts)


@pytest.mark.parametrize("rate_hz", [100, 250, 360, 500, 1000])
def test_other_rates_keep_the_wave(rate_hz: int) -> None:
    t, at = np.arange(10 * rate_hz) / rate_hz, np.arange(1300) / 130
    wave = np.sin(2 * np.pi * 7 * t) + 0.5 * np.sin(2 * np.pi * 31 * t)
    expected = np.sin(2 * np.pi * 7 * at) + 0.5 * np.sin(2 * np.pi * 31 * at)
    found = microvolts_at_130_hz(wave, rate_hz)
    assert len(found) == 1300
    assert np.abs(found[65:-65] / 1000 - expected[65:-65]).max() < 0.005


def test_an_ecg_is_as_scipy_resamples_it() -> None:
    heart = synthetic.ecg(10, rate_hz=500, seed=2).lead("I")
    difference = microvolts_at_130_hz(heart, 500) / 1000 - resample_poly(heart, 13, 50)
    assert np.abs(difference[65:-65]).max() < 0.02


def test_missing_samples_repeat_the_one_before() -> None:
    found = microvolts_at_130_hz([np.nan, 0.1, np.nan, np.nan, 0.2], 130)
    assert found.tolist() == [100, 100, 100, 100, 200]


def test_nothing_to_emulate_is_an_error() -> None:
    with pytest.raises(SignalError, match="no finite sample"):
        microvolts_at_130_hz([np.nan, np.nan], 130)
