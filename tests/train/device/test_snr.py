"""The ratio is that of the definition, counted by hand, and what is mixed has the ratio that was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from edge_mi.train.device.snr import (
    find_beats,
    middle_mean,
    mix_at_snr,
    noise_gain,
    noise_power,
    signal_power,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_mi import synthetic
from edge_mi.errors import SignalError
from edge_mi.signal_design import SignalDesign


def slow_middle(values: list[float]) -> float:
    """Throw away one twentieth at either end, counting in whole values."""
    ordered = sorted(values)
    for _ in range(math.floor(0.05 * len(values))):
        ordered.pop(0)
        ordered.pop()
    return sum(ordered) / len(ordered)


def slow_signal_power(samples: np.ndarray, rate_hz: int, beats: list[int]) -> float:
    spans = []
    for beat in beats[:300]:
        near = [samples[i] for i in range(len(samples)) if abs(i - beat) <= 0.05 * rate_hz]
        spans.append(max(near) - min(near))
    return slow_middle(spans) ** 2 / 8


def slow_noise_power(noise: np.ndarray, rate_hz: int) -> float:
    deviations = []
    for second in range(min(300, len(noise) // rate_hz)):
        piece = [float(v) for v in noise[second * rate_hz : (second + 1) * rate_hz]]
        mean = sum(piece) / rate_hz
        deviations.append(math.sqrt(sum((v - mean) ** 2 for v in piece) / rate_hz))
    return slow_middle(deviations) ** 2


@pytest.mark.parametrize(("seconds", "rate_hz"), [(10, 100), (10, 500), (45, 100)])
def test_powers_are_those_of_a_slow_count(seconds: int, rate_hz: int) -> None:
    heart = synthetic.ecg(seconds, rate_hz=rate_hz, seed=2)
    lead = heart.lead("I")
    beats = np.rint(heart.r_peaks_s * rate_hz).astype(np.int64)
    noise = np.cumsum(np.random.default_rng(0).normal(size=len(lead))) * 0.01
    assert signal_power(lead, rate_hz, beats) == pytest.approx(
        slow_signal_power(lead, rate_hz, beats.tolist())
    )
    assert noise_power(noise, rate_hz) == pytest.approx(slow_noise_power(noise, rate_hz))


@settings(max_examples=30, deadline=None)
@given(
    tenths_db=st.integers(-120, 300),
    seed=st.integers(0, 1000),
    loudness_uv=st.integers(1, 10_000),
    seconds=st.integers(3, 40),
)
def test_the_ratio_that_is_measured_is_the_one_that_was_asked_for(
    tenths_db: int, seed: int, loudness_uv: int, seconds: int
) -> None:
    snr_db = tenths_db / 10
    heart = synthetic.ecg(seconds, rate_hz=100, seed=seed)
    lead, beats = heart.lead("I"), np.rint(heart.r_peaks_s * 100).astype(np.int64)
    noise = loudness_uv / 1000 * np.random.default_rng(seed).normal(size=len(lead))
    added = mix_at_snr(lead, noise, 100, beats, snr_db) - lead
    measured = 10 * np.log10(signal_power(lead, 100, beats) / noise_power(added, 100))
    assert measured == pytest.approx(snr_db, abs=1e-6)


def test_of_few_beats_none_is_left_out_and_of_many_the_twentieth() -> None:
    assert middle_mean(np.array([0.0] * 9 + [10.0])) == pytest.approx(1.0)
    assert middle_mean(np.array([0.0] * 19 + [10.0])) == 0.0


def test_a_record_without_a_beat_is_measured_by_its_seconds() -> None:
    ramp = np.linspace(0, 3.0, 301)[:300]
    assert signal_power(ramp, 100, np.array([], dtype=np.int64)) == pytest.approx(0.99**2 / 8)


def test_beats_are_found_at_the_rate_of_the_record(design: SignalDesign) -> None:
    heart = synthetic.ecg(10, rate_hz=500, seed=1)
    found = find_beats(heart.lead("I"), 500, design) / 500
    inner = heart.r_peaks_s[(heart.r_peaks_s > 0.2) & (heart.r_peaks_s < 9.8)]
    assert all(np.abs(found - peak).min() < 0.03 for peak in inner)


@pytest.mark.parametrize(("signal", "noise"), [(0.0, 1.0), (1.0, 0.0)])
def test_silence_has_no_ratio(signal: float, noise: float) -> None:
    with pytest.raises(SignalError, match="have no ratio"):
        noise_gain(6.0, signal, noise)


def test_less_than_a_second_has_no_power() -> None:
    with pytest.raises(SignalError, match="a second at least"):
        noise_power(np.ones(99), 100)
