"""The signal chain as data: taps on their grid, for the model's rate and for every rate a sensor may have.

The design is made in the workshop (`edge_mi.train.filters`, with scipy), travels in the checkpoint and the
bundle, and is applied by `edge_mi.chain`. Taps are integers in units of 2^-20, millivolts live on a grid of
2^-14 (contract C1).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

TAP_BITS: Final = 20
MV_BITS: Final = 14
TAP_SUM_BITS: Final = 29
SUPPORTED_RATES_HZ: Final = (100, 125, 128, 130, 200, 250, 256, 300, 360, 500, 512, 1000)
RATE_TOLERANCE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ResamplerDesign:
    """Polyphase resampling from `from_hz` by up/down; taps at the rate from_hz * up.

    taps: odd in number and symmetric, units of 2^-20; every phase sums to exactly 2^20, so that a constant
    stays constant. The delay is a whole number of output samples: (len(taps) - 1) / 2 / down.
    """

    from_hz: int
    up: int
    down: int
    taps: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.up < 1 or self.down < 1 or Fraction(self.up, self.down).numerator != self.up:
            raise ValueError(f"up/down must be a reduced fraction, found {self.up}/{self.down}")
        if len(self.taps) % 2 == 0 or self.taps != self.taps[::-1]:
            raise ValueError("resampler taps must be odd in number and symmetric")
        if (len(self.taps) // 2) % self.down:
            raise ValueError("the resampler's delay is not a whole number of output samples")
        for phase in range(self.up):
            if sum(self.taps[phase :: self.up]) != 1 << TAP_BITS:
                raise ValueError(f"phase {phase} of the resampler from {self.from_hz} Hz has no unit gain")

    @property
    def delay_samples(self) -> int:
        """Delay in output samples."""
        return len(self.taps) // 2 // self.down


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDesign:
    """Everything between a sensor's millivolts and the model's input.

    rate_hz: the model's rate. fir: odd number of symmetric band-pass taps, units of 2^-20, summing to zero.
    resamplers: one for each supported rate other than rate_hz.
    """

    rate_hz: int
    band_hz: tuple[float, float]
    fir: tuple[int, ...]
    resamplers: tuple[ResamplerDesign, ...]

    def __post_init__(self) -> None:
        if len(self.fir) % 2 == 0 or self.fir != self.fir[::-1]:
            raise ValueError("band-pass taps must be odd in number and symmetric")
        if len(self.fir) < 3 or not self.rate_hz > 0:
            raise ValueError(
                f"{len(self.fir)} band-pass taps at {self.rate_hz} Hz; expected 3 or more and a rate above 0"
            )
        for taps in (self.fir, *(resampler.taps for resampler in self.resamplers)):
            # beyond it float64 could not hold every sum of taps and samples exactly
            if sum(map(abs, taps)) >= 1 << TAP_SUM_BITS:
                raise ValueError(
                    f"taps of which the absolute values sum to 2^{TAP_SUM_BITS - TAP_BITS} or more"
                )
        if sum(self.fir) != 0:
            raise ValueError("band-pass taps must sum to zero")
        for resampler in self.resamplers:
            if resampler.from_hz * resampler.up != self.rate_hz * resampler.down:
                raise ValueError(
                    f"the resampler from {resampler.from_hz} Hz does not end at {self.rate_hz} Hz"
                )

    @property
    def fir_delay_samples(self) -> int:
        """Delay of the band-pass in samples at the model's rate."""
        return len(self.fir) // 2

    def supported_rates_hz(self) -> tuple[int, ...]:
        """Sensor rates that this design takes, ascending."""
        return tuple(sorted({self.rate_hz, *(r.from_hz for r in self.resamplers)}))

    def resampler(self, rate_hz: float) -> ResamplerDesign | None:
        """The resampler for a nominal rate; None where none is needed. Raises KeyError for an unlisted rate."""
        if rate_hz == self.rate_hz:
            return None
        for resampler in self.resamplers:
            if resampler.from_hz == rate_hz:
                return resampler
        raise KeyError(rate_hz)

    def delay_s(self, rate_hz: float) -> float:
        """Total delay of the chain in seconds for a sensor at `rate_hz`."""
        resampler = self.resampler(rate_hz)
        resampling = 0 if resampler is None else resampler.delay_samples
        return (self.fir_delay_samples + resampling) / self.rate_hz
