"""Records with missing samples through the signal chain: every finite stretch on its own, nothing made up between."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edge_mi.chain.chain import filter_segment, nominal_rate_hz
from edge_mi.samples import FloatArray
from edge_mi.signal_design import SignalDesign


def filter_leads(design: SignalDesign, rate_hz: float, signals_mv: FloatArray) -> FloatArray:
    """A record's leads, float64 (leads, n), at the model's rate, float64 (leads, m), millivolts.

    What is not finite is missing. NaN stands where a lead is missing, and where a stretch between two gaps is
    too short to filter. A stretch begins at the first of its samples that an output falls on, so that all leads
    stay on one grid of time. Raises SignalError for a rate that the design does not list.
    """
    nominal_hz = nominal_rate_hz(design, rate_hz)
    shared = math.gcd(nominal_hz, design.rate_hz)
    up, down = design.rate_hz // shared, nominal_hz // shared
    outputs = (signals_mv.shape[-1] - 1) * up // down + 1 if signals_mv.shape[-1] else 0
    if np.isfinite(signals_mv).all():
        whole = filter_segment(design, nominal_hz, signals_mv)
        if whole.shape[-1] == outputs:
            return whole
    filtered = np.full((len(signals_mv), outputs), np.nan)
    for lead, samples in zip(filtered, signals_mv, strict=True):
        for start, stop in finite_stretches(samples):
            first = -(-start // down) * down
            part = filter_segment(design, nominal_hz, samples[first:stop])
            at = first // down * up
            lead[at : at + len(part)] = part
    return filtered


def finite_stretches(samples: FloatArray) -> Iterator[tuple[int, int]]:
    """Start and stop of every run of finite samples of float64 (n,)."""
    finite = np.isfinite(samples).astype(np.int8)
    edges = np.flatnonzero(np.diff(finite, prepend=0, append=0))
    return ((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))
