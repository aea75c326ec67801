"""When decisions are due: one grid of hops over the whole stream, gaps included."""

from __future__ import annotations

from edge_mi.netspec import NetSpec


class HopClock:
    """The grid of a stream at `rate_hz` whose first sample has the number `first_index`.

    Its first point is where windows of the stream's first segment begin to be on the grid, so that a window
    ends as soon as there are enough samples. All in integers, in units of 1 / (rate_hz * model rate) s.
    """

    def __init__(self, net: NetSpec, rate_hz: int, first_index: int) -> None:
        self._rate_hz, self._model_hz, self._first_index = rate_hz, net.rate_hz, first_index
        self._phase = (net.window_samples % net.hop_samples or net.hop_samples) * rate_hz
        self._hop = net.hop_samples * rate_hz
        self._next = 0

    def begin(self, index: int) -> int:
        """Samples at the model's rate from a segment that starts at `index` to its first decision, from 1."""
        start = self._at(index)
        self._next = max(self._next, (start - self._phase) // self._hop + 1)
        return -(-(self._point(self._next) - start) // self._rate_hz)

    def answered(self, n: int) -> None:
        """The next `n` decisions were given."""
        self._next += n

    def passed(self, index: int, n: int, most: int) -> list[float]:
        """Points without a decision up to the end of a gap of `n` samples from `index`, in s from its start.

        The first `most` of them; all count as given afterwards.
        """
        start, stop = self._at(index), self._at(index + n)
        last = (stop - self._phase) // self._hop
        points = [self._point(k) for k in range(self._next, min(last + 1, self._next + most))]
        self._next = max(self._next, last + 1)
        return [(point - start) / (self._rate_hz * self._model_hz) for point in points]

    def _at(self, index: int) -> int:
        return (index - self._first_index) * self._model_hz

    def _point(self, k: int) -> int:
        return self._phase + k * self._hop
