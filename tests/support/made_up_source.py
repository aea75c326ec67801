"""Where made-up records come from."""

from __future__ import annotations

from edge_mi.store import StoreSource


def made_up_source(name: str = "toy", label_rule: str = "by hand") -> StoreSource:
    """A source without a licence whose records are all there, at 100 Hz."""
    return StoreSource(
        name=name,
        version="1",
        licence="none",
        selection="all",
        source_rate_hz=100,
        label_rule=label_rule,
        records_absent=0,
    )
