"""From a sensor's millivolts to the model's input: resample, band-pass, both exact (contract C1)."""

from __future__ import annotations

import numpy as np

from edge_mi.chain.polyphase import PolyphaseStage, to_grid
from edge_mi.errors import SignalError
from edge_mi.samples import FloatArray
from edge_mi.signal_design import RATE_TOLERANCE, SignalDesign


def nominal_rate_hz(design: SignalDesign, rate_hz: float) -> int:
    """The listed rate that `rate_hz` means. Raises SignalError where none lies within 2 %."""
    rates = design.supported_rates_hz()
    nearest = min(rates, key=lambda rate: abs(rate - rate_hz))
    if not abs(nearest - rate_hz) <= RATE_TOLERANCE * nearest:
        listed = ", ".join(map(str, rates))
        raise SignalError(f"a rate of {rate_hz:g} Hz; expected one within 2 % of {listed} Hz")
    return nearest


class SignalChain:
    """Streaming filter chain for one unbroken segment of lead I, or of several leads: time is the last axis.

    Output sample m stands at the time of input sample m * rate / model rate: `delay_s` is how long an answer
    takes, not an offset of its time. The same samples give the same bits in any chunking.
    Raises SignalError for a rate that the design does not list.
    """

    def __init__(self, design: SignalDesign, rate_hz: float) -> None:
        self.nominal_rate_hz = nominal_rate_hz(design, rate_hz)
        self.delay_s = design.delay_s(self.nominal_rate_hz)
        self._stages = _stages(design, self.nominal_rate_hz)

    def push(self, samples_mv: FloatArray) -> FloatArray:
        """Samples at the model's rate that `samples_mv`, finite float64 (..., n), complete; float64 (..., m), mV."""
        samples = to_grid(samples_mv)
        for stage in self._stages:
            samples = stage.push(samples)
        return samples

    def close(self) -> FloatArray:
        """The samples still waiting when the segment ends; float64 (..., m), mV."""
        first, *others = self._stages
        samples = first.close()
        for stage in others:
            samples = np.concatenate([stage.push(samples), stage.close()], axis=-1)
        return samples


def filter_segment(design: SignalDesign, rate_hz: float, samples_mv: FloatArray) -> FloatArray:
    """A whole segment, float64 (..., n), through the chain at once; the same bits as any streaming of it."""
    samples = to_grid(samples_mv)
    for stage in _stages(design, nominal_rate_hz(design, rate_hz)):
        samples = np.concatenate([stage.push(samples), stage.close()], axis=-1)
    return samples


def _stages(design: SignalDesign, nominal_hz: int) -> list[PolyphaseStage]:
    resampler = design.resampler(nominal_hz)
    band_pass = PolyphaseStage(design.fir)
    if resampler is None:
        return [band_pass]
    return [PolyphaseStage(resampler.taps, up=resampler.up, down=resampler.down), band_pass]
