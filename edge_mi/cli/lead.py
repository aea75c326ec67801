"""A patch that names the lead it measures is not judged as another one."""

from __future__ import annotations

from edge_mi.detector import Placement
from edge_mi.errors import PatchError


def check_lead(lead: str | None, placement: Placement) -> None:
    """Raises PatchError where lead I is to be judged and the patch says that it measures another."""
    if placement == "lead-i" and lead not in (None, "I"):
        raise PatchError(
            f"the patch says that it measures lead {lead}, which is not lead I: nothing would be judged; "
            "edge-mi record keeps it"
        )
