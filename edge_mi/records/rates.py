"""Which listed rate a stated or measured one means."""

from __future__ import annotations

from edge_mi.signal_design import RATE_TOLERANCE, SUPPORTED_RATES_HZ

LISTED_RATES = ", ".join(map(str, SUPPORTED_RATES_HZ))


def nearest_listed_rate_hz(rate_hz: float) -> int | None:
    """The listed rate within 2 % of `rate_hz`; None where there is none."""
    nearest = min(SUPPORTED_RATES_HZ, key=lambda listed: abs(listed - rate_hz))
    return nearest if abs(nearest - rate_hz) <= RATE_TOLERANCE * nearest else None


def rates_agree(one_hz: float, other_hz: float) -> bool:
    """Whether two statements of a rate can mean the same one."""
    return abs(one_hz - other_hz) <= RATE_TOLERANCE * max(one_hz, other_hz)
