"""Batches of stored, filtered lead I as a patch would have given them; randomness from torch's global generator.

Whatever the patch adds is made at 100 Hz as the sensor sees it, in the order of a sensor: clock, amplifier, noise and
wander, converter. The chain is linear, so what was added passes its band-pass alone, once, and is laid on the stored
signal, which passed it already. One thing is approximate: the converter rounds and clips the filtered signal, since
the raw one is gone. Before and after a crop the patch's noise goes on, as in a long stream; the heart is still there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from edge_mi.errors import ConfigError
from edge_mi.signal_design import TAP_BITS

from ..filters import design_band_pass
from .config import AdcConfig, DeviceConfig, NoiseConfig, WanderConfig
from .noise import NoiseTracks
from .snr import PIECE_S, filtered_beats, signal_power

SINC_HALF: Final = 8  # samples to either side
FINER: Final = 8
SMALLEST_NOISE_MV: Final = 1e-6
NO_NOISE: Final = np.zeros((0, 0), dtype=np.float32)


class DeviceSimulation:
    """A patch for the signals of a table: `config`, its noise, and the QRS power of each record.

    noise: tracks of the kinds that `config` names, at rate_hz. signal_powers: float32 (records, leads), S of `snr.py`
    in mV^2. Raises ConfigError where a kind of noise is missing.
    """

    def __init__(
        self, config: DeviceConfig, noise: NoiseTracks, signal_powers: NDArray[np.float32], rate_hz: int
    ) -> None:
        missing = [kind for kind in config.kinds if kind not in noise.tracks]
        if missing:
            raise ConfigError(f"no noise of the kind {', '.join(missing)}; the simulation needs it")
        self.config, self._rate_hz = config, rate_hz
        tracks = [noise.tracks[kind] for kind in config.kinds]
        sizes = np.array([track.size for track in tracks], dtype=np.int64)
        self._kinds = config.kinds
        self._noises = torch.from_numpy(np.concatenate([track.ravel() for track in (*tracks, NO_NOISE)]))
        self._begins = torch.from_numpy(np.cumsum(sizes) - sizes)
        self._channels = torch.tensor([len(track) for track in tracks])
        self._lengths = torch.tensor([track.shape[1] for track in tracks])
        self.powers = torch.from_numpy(signal_powers)
        self._taps = torch.tensor(design_band_pass(rate_hz), dtype=torch.float32) / (1 << TAP_BITS)

    @property
    def margin(self) -> int:
        """Samples before and after a view that reach into it through the band-pass."""
        return len(self._taps) // 2

    def span(self, samples: int) -> int:
        """Most stored samples that a view of `samples` may be stretched from."""
        rate = self.config.rate
        return samples if rate is None else int(np.ceil(samples * (1 + rate.error)))

    def views(self, signals_mv: Tensor, starts: Tensor, samples: int) -> Tensor:
        """`samples` of each record from its start on, by the sensor's clock; float32 (batch, leads, samples).

        signals_mv: float32 (batch, leads, n), millivolts. starts: int64 (batch, 1, 1).
        """
        if self.config.rate is None:
            index = (starts + torch.arange(samples)).expand(-1, signals_mv.shape[1], -1)
            return signals_mv.gather(2, index)
        step = 1 / (1 + _symmetric(starts.shape, self.config.rate.error))
        return _interpolate(signals_mv, starts + step * torch.arange(samples))

    def sensed_mv(self, views_mv: Tensor, powers: Tensor, gain: Tensor) -> Tensor:
        """What the chain makes of the patch's signal, float32 as `views_mv` (batch, leads, samples).

        powers: of `signal_powers`, those of the views, (batch, leads). gain: what the views were already multiplied
        by, (batch, 1, 1): noise follows it, so that a record's SNR does not.
        """
        config = self.config
        if config.gain is not None:
            error = 1 + _symmetric((len(views_mv), views_mv.shape[1], 1), config.gain.error)
            views_mv, gain = views_mv * error, gain * error
        shape = (*views_mv.shape[:2], views_mv.shape[2] + 2 * self.margin)
        added = torch.zeros(shape)
        for noise in config.noises:
            added += self._noise(noise, shape, powers[:, :, None] * gain.square())
        if config.wander is not None:
            added += _wander(config.wander, shape, self._rate_hz)
        if config.adc is not None:
            heart = torch.nn.functional.pad(views_mv, (self.margin, self.margin))
            added = convert(heart + added, config.adc) - heart
        return views_mv + self._band_pass(added)

    def _noise(self, config: NoiseConfig, shape: tuple[int, ...], signal_powers: Tensor) -> Tensor:
        each = (*shape[:2], 1)
        kinds = torch.tensor([self._kinds.index(kind) for kind in config.kinds])
        crop = self._crop(kinds[torch.randint(len(kinds), each)], shape[2])
        wanted = torch.rand(each) < config.probability
        snr_db = _uniform(each, config.snr_db)
        gain = (signal_powers / (self._noise_power(crop) * 10 ** (snr_db / 10))).sqrt()
        return crop * torch.where(wanted, gain, 0.0)

    def _crop(self, kind: Tensor, samples: int) -> Tensor:
        """A crop for each `kind`, a number int64 (batch, leads, 1); float32 (batch, leads, samples)."""
        if samples > int(self._lengths.min()):
            raise ConfigError(f"views of {samples} samples with margins; a noise track is shorter")
        channels, length = self._channels[kind], self._lengths[kind]
        channel = (torch.rand(kind.shape) * channels).long()
        start = (torch.rand(kind.shape, dtype=torch.float64) * (length - samples + 1)).long()
        return self._noises[self._begins[kind] + channel * length + start + torch.arange(samples)]

    def _noise_power(self, crop: Tensor) -> Tensor:
        """N of `snr.py` of what lies over the view; fewer than 20 whole seconds, so none is left out."""
        piece = round(PIECE_S * self._rate_hz)
        inner = crop[:, :, self.margin : crop.shape[2] - self.margin]
        count = inner.shape[2] // piece
        seconds = inner[:, :, : count * piece].reshape(*inner.shape[:2], count, piece)
        # std() of torch takes ten times as long
        deviation = (seconds - seconds.mean(3, keepdim=True)).square().mean(3).sqrt()
        power: Tensor = deviation.mean(2, keepdim=True).clamp(min=SMALLEST_NOISE_MV).square()
        return power

    def _band_pass(self, added: Tensor) -> Tensor:
        # a constant is stopped by the taps; without it float32 keeps more of the rest
        added = added - added.mean(2, keepdim=True)
        length = next_fast_len(added.shape[2], real=True)
        product = torch.fft.rfft(added, n=length) * torch.fft.rfft(self._taps, n=length)
        valid: Tensor = torch.fft.irfft(product, n=length)[:, :, 2 * self.margin : added.shape[2]]
        return valid


def convert(signal_mv: Tensor, config: AdcConfig) -> Tensor:
    """Millivolts float32 (batch, leads, n) as a converter's codes say them, less the baseline it stands at.

    Resolution, range and baseline are drawn for each signal.
    """
    shape = (*signal_mv.shape[:2], 1)
    low, high = (np.log(end * 1e-3) for end in config.lsb_uv)
    lsb_mv = torch.exp(_uniform(shape, (low, high)))
    limit = _uniform(shape, config.range_mv)
    baseline = _symmetric(shape, config.offset) * limit
    codes = torch.round((signal_mv + baseline) / lsb_mv)
    most = torch.floor(limit / lsb_mv)
    return torch.minimum(torch.maximum(codes, -most), most) * lsb_mv - baseline


def signal_powers(signals_mv: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """S of `snr.py` of each filtered signal, float32 (records, leads); signals_mv: float32 (records, leads, n)."""
    powers = np.empty(signals_mv.shape[:2], dtype=np.float32)
    for index in np.ndindex(*powers.shape):
        samples = signals_mv[index].astype(np.float64)
        powers[index] = signal_power(samples, rate_hz, filtered_beats(samples, rate_hz))
    return powers


def _wander(config: WanderConfig, shape: tuple[int, ...], rate_hz: int) -> Tensor:
    ends = (*shape[:2], 1)
    amplitude, frequency = _uniform(ends, config.amplitude_mv), _uniform(ends, config.frequency_hz)
    phase = torch.rand(ends)
    turns = frequency * torch.arange(shape[2]) / rate_hz + phase
    return amplitude * torch.sin(2 * torch.pi * turns)


def _interpolate(signals_mv: Tensor, positions: Tensor) -> Tensor:
    """Values at fractional `positions` float32 (batch, 1, m): eight times finer by a windowed sinc, then straight lines."""
    batch, leads, samples = signals_mv.shape
    padded = torch.nn.functional.pad(signals_mv, (SINC_HALF - 1, SINC_HALF), mode="replicate")
    finer = torch.nn.functional.conv1d(padded.reshape(batch * leads, 1, -1), _FINER_TAPS)
    fine = finer.transpose(1, 2).reshape(batch, leads, samples * FINER)
    at = (positions * FINER).clamp(0, (samples - 1) * FINER)
    whole = at.floor().clamp(max=(samples - 1) * FINER - 1)
    index = whole.long().expand(-1, leads, -1)
    before, after = fine.gather(2, index), fine.gather(2, index + 1)
    return before + (at - whole) * (after - before)


def _finer_taps() -> Tensor:
    """Taps of the values at k / FINER after a sample, float32 (FINER, 1, 2 SINC_HALF); each row sums to 1."""
    offsets = np.arange(1 - SINC_HALF, SINC_HALF + 1)
    distance = np.arange(FINER)[:, None] / FINER - offsets
    taps = np.sinc(distance) * np.cos(np.pi * distance / (2 * SINC_HALF)) ** 2
    return torch.from_numpy((taps / taps.sum(axis=1, keepdims=True)).astype(np.float32))[:, None]


def _uniform(shape: tuple[int, ...], ends: tuple[float, float]) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * torch.rand(shape)


def _symmetric(shape: tuple[int, ...], half: float) -> Tensor:
    return (2 * torch.rand(shape) - 1) * half


_FINER_TAPS: Final = _finer_taps()
