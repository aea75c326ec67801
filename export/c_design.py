"""The numbers of the C code that need thought: sizes of its buffers, exact conversions, thresholds in integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import QuantParams
from edge_mi.chain.polyphase import LIMIT_MV, to_grid
from edge_mi.errors import ConfigError
from edge_mi.firmware import Firmware
from edge_mi.netspec import NetSpec
from edge_mi.signal_design import MV_BITS, SignalDesign

_SLACK = 32  # samples that a filter's buffer takes before it is moved
_MAX_GAIN_SHIFT = 46
_CODES = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class AdcScale:
    """grid = ((code + 2^15) * multiplier + offset >> shift) - base, all in uint64 up to the shift."""

    multiplier: int
    offset: int
    shift: int
    base: int


def adc_scale(firmware: Firmware) -> AdcScale:
    """The cheapest exact conversion from codes to 2^-14 mV, tried on all 65,536 codes.

    Raises ConfigError for a gain that has none.
    """
    gain = firmware.codes_per_mv
    codes_mv = (_CODES - firmware.baseline) / float(gain)
    expected = np.rint(to_grid(codes_mv) * (1 << MV_BITS)).astype(np.int64)
    step = Fraction(1 << MV_BITS) / gain
    base = math.ceil((1 << 17) * step) + 1
    limit = int(LIMIT_MV) << MV_BITS
    for shift in range(16, _MAX_GAIN_SHIFT):
        multiplier = round(step * (1 << shift))
        offset = math.floor(
            (Fraction(1, 2) + base - ((1 << 15) + firmware.baseline) * step) * (1 << shift)
        ) + (1 if multiplier < step * (1 << shift) else 0)
        if multiplier.bit_length() > 46 or offset.bit_length() > 62:
            break
        found = (((_CODES + (1 << 15)) * multiplier + offset) >> shift) - base
        if np.array_equal(np.clip(found, -limit, limit), expected):
            return AdcScale(multiplier, offset, shift, base)
    raise ConfigError(f"a gain of {firmware.gain} codes/mV has no exact form in 64 bits; round it")


@dataclass(frozen=True, slots=True)
class StageDesign:
    """One filter in C; taps in rows of `length`, oldest input first (up = 1: the first half and the middle)."""

    taps: NDArray[np.int64]
    up: int
    down: int
    half: int
    length: int
    reach: int
    keep: int

    @property
    def capacity(self) -> int:
        """Samples in its buffer."""
        return self.keep + _SLACK


def stage_design(taps: tuple[int, ...], *, up: int = 1, down: int = 1) -> StageDesign:
    """As `edge_mi.chain.polyphase.PolyphaseStage` has it."""
    half, length = len(taps) // 2, -(-len(taps) // up)
    reach = length - 1 - half // up + (1 if up > 1 else 0)
    padded = np.zeros(length * up, dtype=np.int64)
    padded[: len(taps)] = taps
    rows = padded.reshape(length, up).T[:, ::-1]
    kept = rows[0, : half + 1] if up == 1 else rows
    return StageDesign(kept, up, down, half, length, reach, max(length, 2 * reach + 1))


def input_edges(params: QuantParams) -> NDArray[np.int64]:
    """int64 (255,): smallest sample, in 2^-14 mV, of each int8 code above -128."""
    limit = int(LIMIT_MV) << MV_BITS
    low = np.full(255, -limit - 1, dtype=np.int64)
    high = np.full(255, limit + 1, dtype=np.int64)
    wanted = np.arange(-127, 128)
    while int((high - low).max()) > 1:
        middle = (low + high) >> 1
        reached = params.quantise(middle / float(1 << MV_BITS)) >= wanted
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return high


def block_capacity(net: NetSpec, signal: SignalDesign, rate_hz: int) -> int:
    """Blocks of raw samples between the start of the oldest window that is waiting and the newest sample."""
    resampler = signal.resampler(rate_hz)
    delay = signal.fir_delay_samples + (0 if resampler is None else resampler.delay_samples)
    span = net.window_samples + net.hop_samples + delay + 2
    return 2 * -(-span // net.hop_samples) + 2
