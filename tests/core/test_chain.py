"""The signal chain is exact, equal in any chunking, equal to scipy, and keeps the ST segment (contract C1)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import signal_design

from edge_mi import synthetic
from edge_mi.chain.chain import SignalChain, filter_segment
from edge_mi.chain.polyphase import PolyphaseStage, to_grid
from edge_mi.errors import SignalError
from edge_mi.signal_design import SUPPORTED_RATES_HZ

RATES = SUPPORTED_RATES_HZ


def noise(rate_hz: int, seconds: float = 6.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=round(seconds * rate_hz))


@settings(max_examples=60, deadline=None)
@given(rate=st.sampled_from(RATES), seed=st.integers(0, 9), data=st.data())
def test_any_chunking_gives_the_same_bits(rate: int, seed: int, data: st.DataObject) -> None:
    samples = noise(rate, 5.0, seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=12)))
    chain = SignalChain(signal_design(), rate)
    parts = [chain.push(part) for part in np.split(samples, cuts)]
    assert np.array_equal(
        np.concatenate([*parts, chain.close()]), filter_segment(signal_design(), rate, samples)
    )


@settings(max_examples=20, deadline=None)
@given(rate=st.sampled_from(RATES))
def test_one_sample_at_a_time_gives_the_same_bits(rate: int) -> None:
    samples = noise(rate, 4.2)
    chain = SignalChain(signal_design(), rate)
    parts = [chain.push(samples[i : i + 1]) for i in range(len(samples))]
    assert np.array_equal(
        np.concatenate([*parts, chain.close()]), filter_segment(signal_design(), rate, samples)
    )


@pytest.mark.parametrize("rate", RATES)
def test_scipy_gives_the_same_bits(rate: int) -> None:
    signal = pytest.importorskip("scipy.signal", reason="scipy is the reference of the chain (extra train)")
    design = signal_design()
    extra = 400

    def extended(x: np.ndarray) -> np.ndarray:
        return np.concatenate([2 * x[0] - x[extra:0:-1], x, 2 * x[-1] - x[-2 : -2 - extra : -1]])

    current = to_grid(noise(rate, 10.0))
    resampler = design.resampler(rate)
    if resampler is not None:
        taps = np.array(resampler.taps) / 2.0**20
        raised = signal.upfirdn(taps, extended(current), resampler.up, 1)
        n = (len(current) - 1) * resampler.up // resampler.down + 1
        current = to_grid(raised[extra * resampler.up + len(taps) // 2 :: resampler.down][:n])
    taps = np.array(design.fir) / 2.0**20
    half = len(taps) // 2
    expected = to_grid(np.convolve(extended(current), taps, "same")[extra:-extra])
    assert half < extra
    assert np.array_equal(filter_segment(design, rate, noise(rate, 10.0)), expected)


@pytest.mark.parametrize("rate", RATES)
def test_ten_seconds_give_ten_seconds(rate: int) -> None:
    assert len(filter_segment(signal_design(), rate, noise(rate, 10.0))) == 1000


def test_band_is_that_of_the_contract() -> None:
    taps = np.array(signal_design().fir) / 2.0**20
    n = np.arange(len(taps)) - len(taps) // 2

    def gain(f_hz: float) -> float:
        return abs(float((taps * np.cos(2 * np.pi * f_hz * n / 100)).sum()))

    assert gain(0.0) <= 0.005
    assert gain(0.2) <= 0.1
    assert 0.5 <= signal_design().band_hz[0] <= 0.67
    assert all(abs(gain(f) - 1) < 0.01 for f in (1.0, 5.0, 20.0, 38.0))
    assert gain(47.0) < 0.01


@pytest.mark.parametrize("rate", RATES)
def test_delay_is_declared_and_at_most_two_seconds(rate: int) -> None:
    design = signal_design()
    chain = SignalChain(design, rate)
    assert chain.delay_s <= 2.0
    impulse = np.zeros(8 * rate)
    impulse[4 * rate] = 1.0
    # the delay is taken out: the impulse stands where it stood
    assert int(np.argmax(filter_segment(design, rate, impulse))) == 400
    fresh = SignalChain(design, rate)
    needed = next(n for n in range(1, 8 * rate) if len(fresh.push(impulse[n - 1 : n])))
    assert (needed - 1) / rate == pytest.approx(chain.delay_s, abs=1.5 / rate)


@pytest.mark.parametrize("rate", [100, 130, 250, 500, 1000])
@pytest.mark.parametrize("bpm", [50, 70, 100])
def test_st_elevation_is_kept_and_a_normal_beat_stays_level(rate: int, bpm: int) -> None:
    def st_after(st_mv: float) -> float:
        samples, peaks_s = synthetic.st_beats(bpm, st_mv, rate_hz=rate, seconds=60.0)
        chain = SignalChain(signal_design(), rate)
        step = rate // 2
        parts = [chain.push(samples[i : i + step]) for i in range(0, len(samples), step)]
        filtered = np.concatenate([*parts, chain.close()])
        t = np.arange(len(filtered)) / 100.0
        levels = []
        for peak in peaks_s[5:-5]:
            baseline = np.interp(peak + np.linspace(-0.080, -0.050, 7), t, filtered).mean()
            levels.append(np.interp(peak + 0.100, t, filtered) - baseline)
        return float(np.mean(levels))

    assert st_after(0.2) >= 0.18
    assert abs(st_after(0.0)) <= 0.02


def test_a_constant_offset_vanishes() -> None:
    beats, _ = synthetic.st_beats(70, 0.0, rate_hz=130, seconds=20.0)
    plain, lifted = (filter_segment(signal_design(), 130, beats + offset) for offset in (0.0, 12.5))
    assert np.abs(plain - lifted).max() < 1e-3


def test_output_lies_on_the_grid() -> None:
    filtered = filter_segment(signal_design(), 360, noise(360))
    assert np.array_equal(filtered * 2.0**14, np.rint(filtered * 2.0**14))


@pytest.mark.parametrize("rate", [127.5, 131.9, 98.5])
def test_a_rate_within_two_percent_is_taken_as_its_nominal(rate: float) -> None:
    nominal = min(RATES, key=lambda r: abs(r - rate))
    samples = noise(nominal)
    assert np.array_equal(
        filter_segment(signal_design(), rate, samples), filter_segment(signal_design(), nominal, samples)
    )


@pytest.mark.parametrize("rate", [50.0, 160.0, 2000.0, float("nan"), 0.0])
def test_another_rate_is_refused_with_the_list(rate: float) -> None:
    with pytest.raises(SignalError, match=r"expected one within 2 % of 100, 125, .* Hz"):
        SignalChain(signal_design(), rate)


def test_a_segment_too_short_for_the_reflection_gives_nothing() -> None:
    assert len(filter_segment(signal_design(), 100, noise(100, 1.0))) == 0


def test_memory_of_a_stage_does_not_grow() -> None:
    stage = PolyphaseStage(signal_design().fir)
    sizes = set()
    for _ in range(50):
        stage.push(np.zeros(100))
        sizes.add(len(stage._buffer))
    assert max(sizes) < 2000
