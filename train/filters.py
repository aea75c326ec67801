"""Design of the signal chain, made once here and carried as integers ever after (contract C1).

The band-pass is linear-phase because a causal filter of the same band erases the ST segment; the low corner
leaves ST within 0.02 mV at 50 bpm, the high corner is that of a monitor.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edge_mi.signal_design import SUPPORTED_RATES_HZ, TAP_BITS, ResamplerDesign, SignalDesign

MODEL_RATE_HZ = 100
BAND_HZ = (0.55, 40.0)
FIR_HALF = 190  # 1.9 s at 100 Hz; with the resampler's 0.1 s the delay is the 2 s that C1 allows
RESAMPLER_DELAY = 10  # output samples
RESAMPLER_CUTOFF_HZ = 50.0
RESAMPLER_KAISER_BETA = 5.65  # 60 dB; what folds back from beyond 60 Hz lands above the band-pass


def design_band_pass(rate_hz: int) -> tuple[int, ...]:
    """Band-pass taps for `rate_hz`, units of 2^-20, symmetric, summing to exactly zero."""
    length = 2 * FIR_HALF + 1
    taps = signal.firwin(length, BAND_HZ, pass_zero=False, fs=rate_hz, window="hamming")
    window = signal.get_window("hamming", length, fftbins=False)
    taps -= window * (taps.sum() / window.sum())
    half = np.round(taps[:FIR_HALF] * (1 << TAP_BITS)).astype(np.int64)
    centre = -2 * int(half.sum())
    return (*(int(v) for v in half), centre, *(int(v) for v in half[::-1]))


def design_resampler(from_hz: int, to_hz: int) -> ResamplerDesign:
    """Polyphase taps from `from_hz` to `to_hz`; every phase sums to exactly one."""
    ratio = Fraction(to_hz, from_hz)
    up, down = ratio.numerator, ratio.denominator
    half = RESAMPLER_DELAY * down
    taps = signal.firwin(
        2 * half + 1, RESAMPLER_CUTOFF_HZ, fs=from_hz * up, window=("kaiser", RESAMPLER_KAISER_BETA)
    )
    return ResamplerDesign(from_hz=from_hz, up=up, down=down, taps=_unit_phases(taps * up, up))


def _unit_phases(taps: NDArray[np.float64], up: int) -> tuple[int, ...]:
    half = len(taps) // 2
    result = np.zeros(len(taps), dtype=np.int64)
    for phase in range(up):
        part = taps[phase::up]
        result[phase::up] = np.round(part / part.sum() * (1 << TAP_BITS))
    # mirror first, so that the corrections below stay symmetric
    result[half + 1 :] = result[:half][::-1]
    for phase in range(up):
        mirror = (2 * half - phase) % up
        if mirror < phase:
            continue
        short = (1 << TAP_BITS) - int(result[phase::up].sum())
        index = phase + up * round((half - phase) / up)
        if mirror == phase and index != half:
            # a phase that mirrors onto itself without the centre has pairs only: its shortage is even
            result[index] += short // 2
            result[2 * half - index] += short // 2
        elif index == 2 * half - index:
            result[index] += short
        else:
            result[index] += short
            result[2 * half - index] += short
    return tuple(int(v) for v in result)


def design_signal_chain(rate_hz: int) -> SignalDesign:
    """The whole chain for a model at `rate_hz`."""
    return SignalDesign(
        rate_hz=rate_hz,
        band_hz=BAND_HZ,
        fir=design_band_pass(rate_hz),
        resamplers=tuple(design_resampler(rate, rate_hz) for rate in SUPPORTED_RATES_HZ if rate != rate_hz),
    )
