"""What the decisions of a stream come to, in memory that does not grow with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from edge_mi.decision import Decision, Reason

_PROBABILITY_DIGITS = 4
_BPM_DIGITS = 1


@dataclass(slots=True)
class StreamTally:
    """Counts of windows. positive: answered, and not negative. alarm: whether there was one at any time."""

    windows: int = 0
    answered: int = 0
    positive: int = 0
    alarm: bool = False
    withheld: Counter[Reason] = field(default_factory=Counter)
    _probabilities: Counter[float] = field(default_factory=Counter)
    _rates_bpm: Counter[float] = field(default_factory=Counter)

    def add(self, decision: Decision) -> None:
        """Count one more."""
        self.windows += 1
        self.alarm |= decision.state == "alarm"
        if decision.reason is not None:
            self.withheld[decision.reason] += 1
        if decision.probability is None:
            return
        self.answered += 1
        self.positive += decision.state != "negative"
        self._probabilities[round(decision.probability, _PROBABILITY_DIGITS)] += 1
        if decision.heart_rate_bpm is not None:
            self._rates_bpm[round(decision.heart_rate_bpm, _BPM_DIGITS)] += 1

    @property
    def median_probability(self) -> float | None:
        """Of the windows that were answered, to within 0.0001; None where there are none."""
        return _median(self._probabilities)

    @property
    def median_heart_rate_bpm(self) -> float | None:
        """Of the windows that were answered, to within 0.1 beats a minute; None where none has one."""
        return _median(self._rates_bpm)


def _median(counts: Counter[float]) -> float | None:
    n = counts.total()
    if n == 0:
        return None
    middle = ((n - 1) // 2, n // 2)  # two places, or twice the same
    found, passed = [], 0
    for value in sorted(counts):
        before, passed = passed, passed + counts[value]
        found += [value for place in middle if before <= place < passed]
    return sum(found) / 2
