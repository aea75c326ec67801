"""Synthetic windows on which runners are compared: beats of every territory, slow and fast, clean and noisy."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge_mi import synthetic
from edge_mi.chain.chain import filter_segment
from edge_mi.netspec import NetSpec
from edge_mi.samples import FloatArray
from edge_mi.signal_design import SignalDesign
from edge_mi.synthetic import TERRITORIES
from edge_mi.window import RollingWindow

SENSOR_HZ: Final = 130
GOLDEN_S: Final = 24.0
MIN_WINDOWS: Final = 2000
_RATES_BPM = (48.0, 66.0, 84.0, 118.0)
_NOISE_MV = (0.005, 0.04)


def check_records(seconds: float) -> list[tuple[str, FloatArray]]:
    """(name, lead I float64 (n,) in whole microvolts, as millivolts) at 130 Hz, the same on every machine."""
    records = []
    for t, territory in enumerate(TERRITORIES):
        for r, bpm in enumerate(_RATES_BPM):
            for n, noise_mv in enumerate(_NOISE_MV):
                ecg = synthetic.ecg(
                    seconds,
                    rate_hz=SENSOR_HZ,
                    territory=territory,
                    heart_rate_bpm=bpm,
                    noise_mv=noise_mv,
                    seed=100 * t + 10 * r + n,
                )
                microvolts = np.rint(ecg.lead("I") * 1000.0)
                records.append((f"{territory}-{bpm:g}bpm-{noise_mv:g}mV", microvolts / 1000.0))
    return records


def check_windows(signal: SignalDesign, net: NetSpec, seconds: float | None = None) -> list[FloatArray]:
    """For each check record its filtered windows float64 (n, samples), millivolts, one a hop.

    seconds: of each record; by default such that there are at least 2,000 windows.
    """
    records = len(TERRITORIES) * len(_RATES_BPM) * len(_NOISE_MV)
    if seconds is None:
        seconds = math.ceil(net.window_s + (-(-MIN_WINDOWS // records) - 1) * net.hop_s)
    return [
        np.stack(_windows(net, filter_segment(signal, SENSOR_HZ, samples_mv)))
        for _, samples_mv in check_records(seconds)
    ]


def layer_windows(signal: SignalDesign, net: NetSpec) -> FloatArray:
    """One window float64 (samples,) of each check record, millivolts: what the figures of a layer rest on."""
    return np.stack(
        [
            last_window(net, filter_segment(signal, SENSOR_HZ, samples_mv))
            for _, samples_mv in check_records(GOLDEN_S)
        ]
    )


def last_window(net: NetSpec, filtered_mv: FloatArray) -> FloatArray:
    """The last window that a segment makes due, float64 (samples,), millivolts."""
    return _windows(net, filtered_mv)[-1]


def _windows(net: NetSpec, filtered_mv: FloatArray) -> list[FloatArray]:
    due = RollingWindow(net.window_samples, net.hop_samples).push(filtered_mv)
    return [window for _, window in due if window is not None]
