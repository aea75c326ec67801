"""Each element of a patch does in a batch what its unit says, and nothing else; the same seed gives the same views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from device_patches import only
from edge_mi.train.augment import SignalTable
from edge_mi.train.config import AugmentConfig
from edge_mi.train.device.batch import DeviceSimulation, convert, signal_powers
from edge_mi.train.device.config import (
    AdcConfig,
    DeviceConfig,
    GainConfig,
    NoiseConfig,
    RateConfig,
    WanderConfig,
)
from edge_mi.train.device.noise import NO_TRACKS, NoiseTracks, load_noise
from edge_mi.train.device.snr import filtered_beats, noise_power, signal_power
from heart_store import heart_store
from torch import Tensor

from edge_mi.chain.chain import filter_segment
from edge_mi.errors import ConfigError
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

RATE_HZ, SAMPLES = 100, 800
ROWS = torch.arange(24)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> WindowStore:
    return WindowStore.open(heart_store(tmp_path_factory.mktemp("hearts") / "store", records=24))


@pytest.fixture(scope="module")
def noise() -> NoiseTracks:
    return load_noise(None)


def views(
    store: WindowStore, device: DeviceConfig | None, noise: NoiseTracks = NO_TRACKS, **augment: Any
) -> Tensor:
    table = SignalTable(store, ("I",))
    if device is not None:
        table.put_on(device, noise)
    torch.manual_seed(3)
    quiet = {"log_gain": 0.0, "noise_mv": 0.0, **augment}
    return table.augmented_mv(ROWS, AugmentConfig(device=device, **quiet))


def simulation(config: DeviceConfig, noise: NoiseTracks = NO_TRACKS, records: int = 24) -> DeviceSimulation:
    return DeviceSimulation(config, noise, np.full((records, 1), 0.2, dtype=np.float32), RATE_HZ)


def test_without_a_patch_views_are_what_they_always_were(store: WindowStore) -> None:
    """The drawing of random numbers that earlier runs made, in its order."""
    torch.manual_seed(3)
    starts = torch.randint(0, 1000 - SAMPLES + 1, (24, 1, 1))
    gain = torch.exp((2 * torch.rand(24, 1, 1) - 1) * 0.2)
    level = 0.02 * torch.rand(24, 1, 1)
    records = torch.from_numpy(store.signals_mv(ROWS.numpy()))[:, None]
    crops = records.gather(2, starts + torch.arange(SAMPLES))
    noise_mv = level * torch.randn_like(crops)
    found = views(store, None, log_gain=0.2, noise_mv=0.02)
    assert torch.equal(found, crops * gain + noise_mv)


def test_a_patch_without_elements_changes_nothing(store: WindowStore) -> None:
    torch.testing.assert_close(views(store, only()), views(store, None), rtol=0, atol=1e-6)


def test_the_same_seed_gives_the_same_views(store: WindowStore, noise: NoiseTracks) -> None:
    first, second = (views(store, DeviceConfig(), noise) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.isfinite(first).all()


def test_a_gain_error_stays_within_its_bounds_and_uses_them(store: WindowStore) -> None:
    plain, patch = views(store, None), views(store, only(gain=GainConfig(error=0.1)))
    ratio = (patch * plain).sum(2) / plain.square().sum(2)
    assert ((ratio > 0.9) & (ratio < 1.1)).all()
    assert ratio.max() - ratio.min() > 0.1
    torch.testing.assert_close(patch, plain * ratio[:, :, None], rtol=1e-4, atol=1e-4)


def test_codes_of_a_converter_lie_on_its_grid_and_within_its_range() -> None:
    config = AdcConfig(lsb_uv=(50.0, 50.0), range_mv=(2.0, 2.0), offset=0.0)
    torch.manual_seed(0)
    signal = 1.5 * torch.randn(4, 1, 500)
    codes = convert(signal, config) / 0.05
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-3)
    assert codes.abs().max() == pytest.approx(40)
    inside = signal.abs() < 1.95
    assert (codes * 0.05 - signal)[inside].abs().max() <= 0.025 + 1e-5


def test_a_converter_with_a_baseline_saturates_on_one_side_first() -> None:
    torch.manual_seed(0)
    wave = torch.sin(torch.arange(500) / 20).expand(64, 1, -1)
    found = convert(wave, AdcConfig(lsb_uv=(1.0, 1.0), range_mv=(1.2, 1.2), offset=0.5))
    clipped_above, clipped_below = found.amax(2) < 0.99, found.amin(2) > -0.99
    assert clipped_above.any()
    assert clipped_below.any()
    assert not (clipped_above & clipped_below).any()


def test_fine_codes_leave_the_signal_as_it_is(store: WindowStore) -> None:
    fine = AdcConfig(lsb_uv=(1.0, 1.0), range_mv=(10.0, 10.0))
    difference = views(store, only(adc=fine)) - views(store, None)
    # a code is 1 uV; its rounding has a deviation of a third of that
    assert difference.std() < 0.5e-3


def test_rounding_is_filtered_as_the_chain_filters(design: SignalDesign) -> None:
    """What a patch adds passes the same taps as in the product."""
    torch.manual_seed(1)
    config = only(wander=WanderConfig(amplitude_mv=(1.0, 1.0), frequency_hz=(0.9, 0.9)))
    found = simulation(config).sensed_mv(torch.zeros(1, 1, SAMPLES), torch.ones(1, 1), torch.ones(1, 1, 1))
    seconds = np.arange(-190, SAMPLES + 190) / RATE_HZ
    patterns = [
        filter_segment(design, RATE_HZ, f(2 * np.pi * 0.9 * seconds))[190:-190] for f in (np.sin, np.cos)
    ]
    weights, rest, *_ = np.linalg.lstsq(np.stack(patterns, axis=1), found[0, 0].numpy(), rcond=None)
    assert rest < 1e-4
    assert np.hypot(*weights) == pytest.approx(1.0, abs=1e-3)


def test_breathing_is_mostly_stopped(store: WindowStore) -> None:
    wander = WanderConfig(amplitude_mv=(1.0, 1.0), frequency_hz=(0.15, 0.2))
    assert (views(store, only(wander=wander)) - views(store, None)).abs().max() < 0.1


@pytest.mark.parametrize("wanted_db", [-6.0, 6.0, 24.0])
def test_noise_is_mixed_in_at_the_ratio_that_is_asked_for(
    store: WindowStore, noise: NoiseTracks, wanted_db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured with the definition, on what reaches the band-pass."""
    config = only(noise=NoiseConfig(kinds=("ma",), probability=1.0, snr_db=(wanted_db, wanted_db)))
    monkeypatch.setattr(
        DeviceSimulation, "_band_pass", lambda self, added: added[:, :, self.margin : -self.margin]
    )
    added = (views(store, config, noise) - views(store, None)).numpy().astype(np.float64)
    signals = store.signals_mv(ROWS.numpy()).astype(np.float64)
    for row, record in enumerate(signals):
        ratio = signal_power(record, RATE_HZ, filtered_beats(record, RATE_HZ)) / noise_power(
            added[row, 0], RATE_HZ
        )
        assert 10 * np.log10(ratio) == pytest.approx(wanted_db, abs=0.05)


def test_noise_falls_on_the_share_of_records_that_is_asked_for(noise: NoiseTracks) -> None:
    torch.manual_seed(0)
    config = only(noise=NoiseConfig(probability=0.5))
    found = simulation(config, noise).sensed_mv(
        torch.zeros(400, 1, 200), torch.ones(400, 1), torch.ones(400, 1, 1)
    )
    assert 0.4 < (found.abs().amax(2) > 0).float().mean() < 0.6


def test_noise_follows_the_gain_of_a_record(noise: NoiseTracks) -> None:
    config = only(noise=NoiseConfig(probability=1.0))
    powers, zero = torch.ones(8, 1), torch.zeros(8, 1, SAMPLES)
    found = []
    for gain in (1.0, 2.0):
        torch.manual_seed(0)
        found.append(simulation(config, noise).sensed_mv(zero, powers, torch.full((8, 1, 1), gain)))
    torch.testing.assert_close(found[1], 2 * found[0])


def test_a_clock_that_is_off_stretches_time() -> None:
    """A tone of 10 Hz, sampled by a clock that is 1 % fast, is taken for one of 9.9 Hz."""
    torch.manual_seed(0)
    tone = torch.sin(2 * torch.pi * 10 * torch.arange(1000) / 100)[None, None].repeat(64, 1, 1)
    device = simulation(only(rate=RateConfig(error=0.01)))
    found = device.views(tone, torch.full((64, 1, 1), 50), SAMPLES)
    spectrum = torch.fft.rfft(found * torch.hann_window(SAMPLES), n=40_000).abs()
    tones = spectrum.argmax(2) * 100 / 40_000
    assert tones.min() == pytest.approx(9.9, abs=0.01)
    assert tones.max() == pytest.approx(10.1, abs=0.01)


@pytest.mark.parametrize("tone_hz", [1.0, 20.0, 35.0])
def test_stretching_keeps_what_the_chain_lets_through(tone_hz: float) -> None:
    torch.manual_seed(0)
    t_s = torch.arange(1000, dtype=torch.float64) / 100
    tone = torch.sin(2 * torch.pi * tone_hz * t_s).float()[None, None].repeat(16, 1, 1)
    found = simulation(only(rate=RateConfig(error=0.01))).views(tone, torch.full((16, 1, 1), 90), SAMPLES)
    power = 2 * found.square().mean(2)
    assert ((power > 0.98) & (power < 1.02)).all()


def test_powers_are_those_of_the_definition(store: WindowStore) -> None:
    signals = store.signals_mv(ROWS.numpy())
    record = signals[5].astype(np.float64)
    expected = signal_power(record, RATE_HZ, filtered_beats(record, RATE_HZ))
    assert signal_powers(signals[:, None], RATE_HZ)[5, 0] == pytest.approx(expected)


def test_noise_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="no noise of the kind bw, ma, em"):
        simulation(DeviceConfig())


def test_a_table_refuses_another_patch_than_its_own(store: WindowStore) -> None:
    with pytest.raises(ValueError, match="another patch"):
        SignalTable(store, ("I",)).augmented_mv(ROWS, AugmentConfig(device=only()))
