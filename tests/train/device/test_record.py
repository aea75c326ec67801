"""A raw record through a patch into the real chain: each element by its unit, and what a gap does to a decision."""

from __future__ import annotations

import numpy as np
import pytest
from device_patches import only
from edge_mi.train.device.config import (
    AdcConfig,
    DeviceConfig,
    GainConfig,
    GapConfig,
    NoiseConfig,
    RateConfig,
)
from edge_mi.train.device.noise import NO_TRACKS, NoiseTracks, load_noise
from edge_mi.train.device.record import SensedRecord, sense
from edge_mi.train.device.snr import find_beats, noise_power, signal_power

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.chain.chain import filter_segment
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError
from edge_mi.records import Record
from edge_mi.samples import Gap
from edge_mi.shipped import shipped_bundle
from edge_mi.signal_design import SUPPORTED_RATES_HZ, SignalDesign


def heart(seconds: float = 10, rate_hz: int = 500) -> Record:
    lead = synthetic.ecg(seconds, rate_hz=rate_hz, seed=4).lead("I")
    return Record(name="heart", lead="I", samples_mv=lead.astype(np.float32), rate_hz=float(rate_hz))


def sensed(
    config: DeviceConfig,
    design: SignalDesign,
    record: Record | None = None,
    noise: NoiseTracks = NO_TRACKS,
    seed: int = 0,
) -> SensedRecord:
    return sense(record or heart(), config, noise, design, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def noise() -> NoiseTracks:
    return load_noise(None)


def test_a_patch_without_elements_is_the_record(design: SignalDesign) -> None:
    found = sensed(only(), design)
    assert np.abs(found.samples_mv - heart().samples_mv).max() < 1e-4
    assert not found.lost.any()


def test_the_same_seed_gives_the_same_codes(design: SignalDesign, noise: NoiseTracks) -> None:
    first, second, other = (sensed(DeviceConfig(), design, noise=noise, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.codes, second.codes)
    assert np.array_equal(first.lost, second.lost)
    assert not np.array_equal(first.codes[:500], other.codes[:500])


@pytest.mark.parametrize("rate_hz", [rate for rate in SUPPORTED_RATES_HZ if rate <= 500])
def test_the_rate_of_a_sensor_does_not_reach_the_network(design: SignalDesign, rate_hz: int) -> None:
    """Why training leaves the sensor's rate out: what the chain gives is the same within 2 % of a heartbeat."""
    found = sensed(only(rate=RateConfig(rates_hz=(rate_hz,), error=0.0)), design)
    mine = filter_segment(design, rate_hz, found.samples_mv)
    clean = filter_segment(design, 500, heart().samples_mv.astype(np.float64))
    length = min(len(mine), len(clean)) - 100
    difference = (mine[:length] - clean[:length])[100:]
    assert difference.std() < 0.02 * clean.std()


def test_codes_are_whole_and_saturate(design: SignalDesign) -> None:
    adc = AdcConfig(lsb_uv=(50.0, 50.0), range_mv=(0.4, 0.4), offset=0.0)
    found = sensed(only(adc=adc), design)
    assert found.lsb_mv == pytest.approx(0.05)
    assert (found.codes.min(), found.codes.max()) == (-8, 8) or found.codes.max() == 8
    inside = np.abs(heart().samples_mv) < 0.375
    assert np.abs(found.samples_mv - heart().samples_mv)[inside].max() <= 0.025 + 1e-6


def test_the_gain_is_off_by_no_more_than_its_error(design: SignalDesign) -> None:
    ratios = []
    for seed in range(20):
        found = sensed(only(gain=GainConfig(error=0.05)), design, seed=seed)
        ratios.append(found.samples_mv.std() / heart().samples_mv.std())
    assert 0.949 < min(ratios) < 0.98 < 1.02 < max(ratios) < 1.051


@pytest.mark.parametrize("rate_hz", [100, 130, 500])
def test_noise_is_at_its_ratio_at_any_rate(design: SignalDesign, noise: NoiseTracks, rate_hz: int) -> None:
    config = NoiseConfig(kinds=("em",), probability=1.0, snr_db=(3.0, 3.0))
    rate = RateConfig(rates_hz=(rate_hz,), error=0.0)
    with_noise, without = (
        sensed(only(rate=rate, noise=each), design, noise=noise) for each in (config, None)
    )
    assert with_noise.snr_db == {"em": 3.0}
    added = with_noise.samples_mv - without.samples_mv
    clean = heart().samples_mv.astype(np.float64)
    ratio = signal_power(clean, 500, find_beats(clean, 500, design)) / noise_power(added, rate_hz)
    assert 10 * np.log10(ratio) == pytest.approx(3.0, abs=0.05)


def test_a_fast_clock_makes_more_samples(design: SignalDesign) -> None:
    lengths = {len(sensed(only(rate=RateConfig(rates_hz=(250,))), design, seed=s).codes) for s in range(10)}
    assert 2475 <= min(lengths) < 2490
    assert 2510 < max(lengths) <= 2525


def test_no_window_that_is_judged_holds_a_gap(design: SignalDesign) -> None:
    """Why training masks nothing: a gap ends the segment, and the next one answers as a record that begins there."""
    gaps = GapConfig(per_minute=2.0, length_s=(0.2, 1.0))
    record = heart(120, rate_hz=250)
    found = sensed(only(gaps=gaps), design, record, seed=1)
    assert sum(isinstance(item, Gap) for item in found.items()) >= 2
    bundle = Bundle.load(shipped_bundle())
    detector = Detector(bundle)
    decisions = [decision for item in found.items() for decision in detector.push(item)] + detector.close()
    answered = [decision for decision in decisions if decision.probability is not None]
    assert answered
    length = bundle.info.net.window_s
    for decision in answered:
        first, last = round((decision.t_s - length) * 250), round(decision.t_s * 250)
        assert not found.lost[first:last].any()
    assert any(decision.reason == "gap" for decision in decisions)


def test_lost_and_delivered_samples_are_all_that_the_sensor_made(design: SignalDesign) -> None:
    found = sensed(only(gaps=GapConfig(per_minute=20.0)), design, heart(60, rate_hz=100))
    items = list(found.items())
    lost = sum(item.n_samples or 0 for item in items if isinstance(item, Gap))
    delivered = sum(len(item.samples_mv) for item in items if not isinstance(item, Gap))
    assert lost > 0
    assert lost + delivered == len(found.codes)


def test_noise_that_is_missing_is_named(design: SignalDesign) -> None:
    with pytest.raises(ConfigError, match="no noise of the kind ma"):
        sensed(only(noise=NoiseConfig(kinds=("ma",), probability=1.0)), design)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (RateConfig, {"rates_hz": (111,)}, "expected some of"),
        (RateConfig, {"error": 0.05}, "less than 0.02"),
        (AdcConfig, {"lsb_uv": (5.0, 1.0)}, "a lower and an upper end"),
        (AdcConfig, {"range_mv": (0.0, 1.0)}, "above 0"),
        (AdcConfig, {"offset": 1.0}, "less than 1"),
        (GainConfig, {"error": 1.5}, "less than 1"),
        (NoiseConfig, {"kinds": ("hum",)}, "expected some of bw, ma, em"),
        (NoiseConfig, {"probability": 2.0}, "0 to 1"),
        (GapConfig, {"per_minute": -1.0}, "at least 0"),
    ],
)
def test_impossible_elements_are_refused(kind: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**values)
