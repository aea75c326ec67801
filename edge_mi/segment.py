"""One unbroken stretch of lead I on its way through chain and rolling window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_mi.chain.chain import SignalChain
from edge_mi.decision import Reason
from edge_mi.frame_ring import FrameRing
from edge_mi.netspec import NetSpec
from edge_mi.samples import FloatArray
from edge_mi.signal_design import SignalDesign
from edge_mi.window import RollingWindow


@dataclass(frozen=True, slots=True)
class Due:
    """A decision that is due.

    end: samples of the sensor from the segment's first to the window's end, a fraction as (numerator,
    denominator). position: the same in samples at the model's rate. window: float64 (n,) at the model's rate,
    or None where there is too little signal. raw: the sensor's samples under the window, float64 (m,).
    """

    end: tuple[int, int]
    position: int
    window: FloatArray | None
    raw: FloatArray


class Segment:
    """Samples without a gap: the chain starts with its first and ends with its last.

    `start_index` is the sensor's number of the first sample, `first_due` the position of the first decision in
    samples at the model's rate, `before` the reason for those that are due before there is enough signal.
    """

    def __init__(
        self,
        design: SignalDesign,
        net: NetSpec,
        rate_hz: float,
        *,
        start_index: int,
        first_due: int,
        before: Reason,
    ) -> None:
        self.start_index = start_index
        self.before: Reason = before
        self._chain = SignalChain(design, rate_hz)
        self._window = RollingWindow(net.window_samples, net.hop_samples, first_due)
        self._length = net.window_samples
        self.ring = FrameRing(net)
        self._rates = (self._chain.nominal_rate_hz, net.rate_hz)
        self._raw: FloatArray = np.zeros(0)
        self._raw_start = 0

    def push(self, samples_mv: FloatArray) -> list[Due]:
        """Decisions that finite samples, float64 (n,), make due."""
        self._raw = np.concatenate([self._raw, samples_mv])
        return self._due(self._chain.push(samples_mv))

    def close(self) -> list[Due]:
        """Decisions that are due when the segment ends."""
        return self._due(self._chain.close())

    def _due(self, filtered: FloatArray) -> list[Due]:
        sensor_hz, model_hz = self._rates
        result = []
        last = 0
        for position, window in self._window.push(filtered):
            first = max(0, position - self._length) * sensor_hz // model_hz
            stop = (position - 1) * sensor_hz // model_hz + 1
            raw = self._raw[first - self._raw_start : stop - self._raw_start]
            result.append(Due((position * sensor_hz, model_hz), position, window, raw))
            last = position
        if last:
            keep = max(0, last - self._length) * sensor_hz // model_hz
            self._raw = self._raw[keep - self._raw_start :].copy()
            self._raw_start = keep
        return result
