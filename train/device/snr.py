"""Signal-to-noise ratio of an ECG as `nst` of the WFDB package defines it, and noise mixed in at a wanted one.

SNR = 10 log10(S / (N a^2)) with a the gain on the noise. S is a square over 8: that of the mean of the middle 90 % of
the peak-to-peak amplitudes of the QRS complexes, each within 50 ms of its beat, among the first 300 beats. N is a
square: that of the mean of the middle 90 % of the RMS deviation in pieces of 1 s, among the first 300 s.
Source: the manual page of nst (https://physionet.org/physiotools/wag/nst-1.htm). Chosen here, since a record of 10 s
has some ten beats and the page is silent: the middle 90 % leaves out the whole twentieths at either end, so of fewer
than 20 values none; beats are those that the detector finds, of whatever kind; N is that of the crop that is mixed
in, so that each record has the SNR that is asked for; where no beat is found, each whole second is taken for one.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.chain.chain import filter_segment
from edge_mi.errors import SignalError
from edge_mi.heartbeats import r_peaks
from edge_mi.signal_design import MV_BITS, SignalDesign

QRS_HALF_S: Final = 0.05
PIECE_S: Final = 1.0
MOST_BEATS: Final = 300
MOST_PIECES: Final = 300

FloatArray: TypeAlias = NDArray[np.float64]


def find_beats(samples_mv: FloatArray, rate_hz: int, design: SignalDesign) -> NDArray[np.int64]:
    """Sample numbers of the beats of a record float64 (n,), int64 (beats,), found in the filtered signal."""
    filtered = filter_segment(design, rate_hz, samples_mv)
    peaks = filtered_beats(filtered, design.rate_hz) * rate_hz / design.rate_hz
    return np.rint(peaks).astype(np.int64)


def filtered_beats(filtered_mv: FloatArray, rate_hz: int) -> NDArray[np.int64]:
    """Sample numbers of the beats, int64 (beats,), of a signal float64 (n,) that went through the chain."""
    units = np.rint(filtered_mv * (1 << MV_BITS)).astype(np.int64)
    return np.array(r_peaks(units, rate_hz), dtype=np.int64)


def middle_mean(values: FloatArray) -> float:
    """Mean without the largest and the smallest twentieth of `values` (n,), whole numbers of them."""
    left_out = len(values) // 20
    return float(np.sort(values)[left_out : len(values) - left_out].mean())


def signal_power(samples_mv: FloatArray, rate_hz: float, beats: NDArray[np.int64]) -> float:
    """S in mV^2 of a record float64 (n,). Raises SignalError for a record shorter than a second without a beat."""
    half = round(QRS_HALF_S * rate_hz)
    if len(beats):
        pieces = [samples_mv[max(0, beat - half) : beat + half + 1] for beat in beats[:MOST_BEATS]]
        spans = np.array([piece.max() - piece.min() for piece in pieces])
    else:
        seconds = _pieces(samples_mv, rate_hz)
        spans = seconds.max(axis=1) - seconds.min(axis=1)
    return middle_mean(spans) ** 2 / 8


def noise_power(noise_mv: FloatArray, rate_hz: float) -> float:
    """N in mV^2 of noise float64 (n,). Raises SignalError for less than a second."""
    return middle_mean(_pieces(noise_mv, rate_hz)[:MOST_PIECES].std(axis=1)) ** 2


def noise_gain(snr_db: float, signal: float, noise: float) -> float:
    """The gain a that mixes noise of power N = `noise` into a signal of power S = `signal` at `snr_db`.

    Raises SignalError where there is no signal or no noise.
    """
    if not (signal > 0 and noise > 0):
        raise SignalError(f"a signal of {signal:g} mV^2 and noise of {noise:g} mV^2 have no ratio")
    return float(np.sqrt(signal / (noise * 10 ** (snr_db / 10))))


def mix_at_snr(
    samples_mv: FloatArray, noise_mv: FloatArray, rate_hz: float, beats: NDArray[np.int64], snr_db: float
) -> FloatArray:
    """The record float64 (n,) with the noise float64 (n,) of the same rate added at `snr_db`."""
    gain = noise_gain(snr_db, signal_power(samples_mv, rate_hz, beats), noise_power(noise_mv, rate_hz))
    return samples_mv + gain * noise_mv


def _pieces(samples: FloatArray, rate_hz: float) -> FloatArray:
    size = round(PIECE_S * rate_hz)
    count = len(samples) // size
    if count == 0:
        raise SignalError(f"{len(samples)} samples at {rate_hz:g} Hz; a power needs a second at least")
    return samples[: count * size].reshape(count, size)
