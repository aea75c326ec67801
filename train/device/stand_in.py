"""Noise made up where no record of noise is: its spectrum, its unrest and its size follow the noise records of NSTDB.

Baseline wander and muscle artefact are Gaussian noise with the share of power that the records have in each band,
louder and quieter in turn. Electrode motion is a train of potential steps that die away: stretched skin gives a
rectangular change with an exponential return (de Talhouet and Webster, Physiol. Meas. 17:81, 1996), and movement is
quick or slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .config import NOISE_KINDS, NoiseKind

FloatArray: TypeAlias = NDArray[np.float64]

CHANNELS: Final = 2
LENGTH_S: Final = 600
SEED: Final = 118
# band edges in Hz and the share of power in each, read off noise1 of NSTDB at 100 Hz (Welch, pieces of 41 s)
_EDGES_HZ: Final = (0.02, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0)
_MOTION_PER_S: Final = 1.5
_STEP_MV: Final = 0.4


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """rms_mv of the whole; unrest: standard deviation of the logarithm of the loudness, which changes in seconds."""

    rms_mv: float
    shares: tuple[float, ...]
    unrest: float


_SPECTRA: Final = {
    "bw": _Spectrum(0.47, (0.917, 0.068, 0.011, 0.003, 0.001, 0.0002, 0.0001, 0.0001, 0.0001, 0.0001), 0.5),
    "ma": _Spectrum(0.19, (0.618, 0.160, 0.096, 0.026, 0.008, 0.003, 0.022, 0.031, 0.027, 0.009), 0.6),
}


def stand_in(rate_hz: int, seed: int = SEED) -> dict[NoiseKind, NDArray[np.float32]]:
    """Ten minutes of each kind of noise, float32 (channels, samples), millivolts at `rate_hz`."""
    rng = np.random.default_rng(seed)
    count = LENGTH_S * rate_hz
    tracks = {}
    for kind in NOISE_KINDS:
        channels = [
            _motion(count, rate_hz, rng) if kind == "em" else _coloured(_SPECTRA[kind], count, rate_hz, rng)
            for _ in range(CHANNELS)
        ]
        tracks[kind] = np.stack(channels).astype(np.float32)
    return tracks


def _coloured(spectrum: _Spectrum, count: int, rate_hz: int, rng: np.random.Generator) -> FloatArray:
    frequency = np.fft.rfftfreq(count, 1 / rate_hz)
    white = np.fft.rfft(rng.normal(size=count))
    shape = np.zeros(len(frequency))
    for low, high, share in zip(_EDGES_HZ, _EDGES_HZ[1:], spectrum.shares, strict=False):
        band = (frequency >= low) & (frequency < high)
        shape[band] = np.sqrt(share / max(band.sum(), 1))
    noise = np.fft.irfft(white * shape, n=count) * _loudness(spectrum.unrest, count, rate_hz, rng)
    return np.asarray(spectrum.rms_mv * noise / noise.std(), dtype=np.float64)


def _loudness(unrest: float, count: int, rate_hz: int, rng: np.random.Generator) -> FloatArray:
    seconds = np.arange(count) / rate_hz
    knots = np.arange(0, count / rate_hz + 5.0, 5.0)
    return np.asarray(np.exp(np.interp(seconds, knots, unrest * rng.normal(size=len(knots)))))


def _motion(count: int, rate_hz: int, rng: np.random.Generator) -> FloatArray:
    noise = np.zeros(count)
    for _ in range(rng.poisson(_MOTION_PER_S * count / rate_hz)):
        start = int(rng.integers(count))
        height_mv = _STEP_MV * rng.normal()
        return_s = float(np.exp(rng.uniform(np.log(0.05), np.log(1.0))))
        t_s = np.arange(min(count - start, round(6 * return_s * rate_hz))) / rate_hz
        noise[start : start + len(t_s)] += height_mv * np.exp(-t_s / return_s)
    return noise
