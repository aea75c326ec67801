"""Records of any rate as the integers of an emulated sensor."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.firmware_bridge.resample import codes_at
from scipy.signal import resample_poly

from edge_mi import synthetic
from edge_mi.errors import SignalError


def test_130_hz_passes_unchanged() -> None:
    microvolts = np.arange(-500, 500)
    assert np.array_equal(codes_at(microvolts / 1000, 130, 130, 1000), microvolts)


@pytest.mark.parametrize("rate_hz", [100, 250, 360, 500, 1000])
def test_other_rates_keep_the_wave(rate_hz: int) -> None:
    t, at = np.arange(10 * rate_hz) / rate_hz, np.arange(1300) / 130
    wave = np.sin(2 * np.pi * 7 * t) + 0.5 * np.sin(2 * np.pi * 31 * t)
    expected = np.sin(2 * np.pi * 7 * at) + 0.5 * np.sin(2 * np.pi * 31 * at)
    found = codes_at(wave, rate_hz, 130, 1000)
    assert len(found) == 1300
    assert np.abs(found[65:-65] / 1000 - expected[65:-65]).max() < 0.005


def test_an_ecg_is_as_scipy_resamples_it() -> None:
    heart = synthetic.ecg(10, rate_hz=500, seed=2).lead("I")
    difference = codes_at(heart, 500, 130, 1000) / 1000 - resample_poly(heart, 13, 50)
    assert np.abs(difference[65:-65]).max() < 0.02


def test_missing_samples_repeat_the_one_before() -> None:
    found = codes_at([np.nan, 0.1, np.nan, np.nan, 0.2], 130, 130, 1000)
    assert found.tolist() == [100, 100, 100, 100, 200]


def test_nothing_to_emulate_is_an_error() -> None:
    with pytest.raises(SignalError, match="no finite sample"):
        codes_at([np.nan, np.nan], 130, 130, 1000)


def test_codes_are_in_the_sensors_own_unit() -> None:
    assert codes_at([1.0, -0.5], 128, 128, 2621.44).tolist() == [2621, -1311]
