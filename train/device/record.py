"""A whole raw record as a patch delivers it: codes of its converter, with gaps, on the way into the real chain.

The elements act in the order of a sensor: clock, amplifier, noise and wander, converter, link.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.records import Record
from edge_mi.samples import Chunk, Gap, Item
from edge_mi.signal_design import SignalDesign
from edge_mi.sources import CHUNK_S

from .config import DeviceConfig, GapConfig, NoiseConfig
from .interpolate import interpolate
from .noise import NoiseTracks
from .snr import find_beats, noise_gain, noise_power, signal_power

IDEAL_LSB_MV: Final = 2.0**-14  # of a sensor without a converter: the chain's own grid

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SensedRecord:
    """What a sensor made of a record, codes int32 (n,), and what of it the link lost.

    rate_hz: the nominal rate. lost: bool (n,). snr_db: what was drawn, by kind of noise.
    """

    name: str
    codes: NDArray[np.int32]
    lsb_mv: float
    rate_hz: int
    lost: NDArray[np.bool_]
    snr_db: dict[str, float]

    @property
    def samples_mv(self) -> FloatArray:
        """What the codes mean, float64 (n,), millivolts; the baseline of the electrodes is still in it."""
        return self.codes.astype(np.float64) * self.lsb_mv

    def items(self) -> Iterator[Item]:
        """The stream, time zero at the first sample: chunks of half a second at most, and a gap for what was lost."""
        step = max(1, round(CHUNK_S * self.rate_hz))
        edges = [0, *(np.flatnonzero(np.diff(self.lost)) + 1), len(self.codes)]
        for first, stop in pairwise(edges):
            if self.lost[first]:
                yield Gap(t_s=first / self.rate_hz, n_samples=int(stop - first), cause="lost")
                continue
            for start in range(int(first), int(stop), step):
                samples = self.samples_mv[start : min(start + step, stop)]
                yield Chunk(t_s=start / self.rate_hz, samples_mv=samples, rate_hz=self.rate_hz, index=start)


def sense(
    record: Record, config: DeviceConfig, noise: NoiseTracks, design: SignalDesign, rng: np.random.Generator
) -> SensedRecord:
    """The patch of `config` on a clean record, everything drawn from `rng`.

    design: the chain, which finds the beats that an SNR is measured by. Raises ConfigError where a kind of noise is
    missing, SignalError for a record that no SNR can be had of.
    """
    source_hz = round(record.rate_hz)
    clean = record.samples_mv.astype(np.float64)
    rate_hz, samples = source_hz, clean
    if config.rate is not None:
        rate_hz = int(rng.choice(config.rate.rates_hz))
        true_hz = rate_hz * (1 + rng.uniform(-config.rate.error, config.rate.error))
        count = int((len(clean) - 1) / source_hz * true_hz) + 1
        positions = np.arange(count, dtype=np.float64)
        positions *= source_hz / true_hz
        samples = interpolate(clean, positions, min(1.0, true_hz / source_hz))
    gain = 1.0 if config.gain is None else 1 + rng.uniform(-config.gain.error, config.gain.error)
    samples = samples * gain
    power = gain**2 * signal_power(clean, source_hz, find_beats(clean, source_hz, design))
    drawn: dict[str, float] = {}
    for each in config.noises:
        samples = samples + _noise(each, noise, len(samples), rate_hz, power, drawn, rng)
    if config.wander is not None:
        amplitude, frequency = (
            rng.uniform(*ends) for ends in (config.wander.amplitude_mv, config.wander.frequency_hz)
        )
        turns = frequency * np.arange(len(samples)) / rate_hz + rng.uniform()
        samples = samples + amplitude * np.sin(2 * np.pi * turns)
    lsb_mv, most, baseline = IDEAL_LSB_MV, np.inf, 0.0
    if config.adc is not None:
        lsb_mv = 1e-3 * float(np.exp(rng.uniform(*np.log(config.adc.lsb_uv))))
        limit_mv = rng.uniform(*config.adc.range_mv)
        most = np.floor(limit_mv / lsb_mv)
        baseline = limit_mv * rng.uniform(-config.adc.offset, config.adc.offset)
    codes = np.clip(np.round((samples + baseline) / lsb_mv), -most, most).astype(np.int32)
    lost = np.zeros(len(codes), dtype=np.bool_)
    if config.gaps is not None:
        lost = _lost(config.gaps, len(codes), rate_hz, rng)
    return SensedRecord(
        name=record.name, codes=codes, lsb_mv=lsb_mv, rate_hz=rate_hz, lost=lost, snr_db=drawn
    )


def _noise(
    config: NoiseConfig, noise: NoiseTracks, count: int, rate_hz: int, power: float, drawn: dict[str, float],
    rng: np.random.Generator,
) -> FloatArray:  # fmt: skip
    kind = config.kinds[int(rng.integers(len(config.kinds)))]
    wanted, snr_db = rng.uniform() < config.probability, float(rng.uniform(*config.snr_db))
    if not wanted:
        return np.zeros(count)
    crop = noise.crop(kind, count, rate_hz, rng)
    drawn[kind] = snr_db
    return noise_gain(snr_db, power, noise_power(crop, rate_hz)) * crop


def _lost(config: GapConfig, count: int, rate_hz: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    lost = np.zeros(count, dtype=np.bool_)
    for _ in range(rng.poisson(config.per_minute * count / rate_hz / 60)):
        start = int(rng.integers(count))
        lost[start : start + max(1, round(rng.uniform(*config.length_s) * rate_hz))] = True
    return lost
