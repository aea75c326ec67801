"""What is not lead I is not judged as lead I in silence, whoever says which lead it is."""

from __future__ import annotations

from typing import Final

from edge_mi.cli.talk import tell
from edge_mi.detector import Placement
from edge_mi.errors import ConfigError, PatchError
from edge_mi.records import leads

CHEST: Final = (
    "a strap on the chest is not lead I, so nothing is judged; hold its electrodes to the right and left arm and say "
    "--placement lead-i"
)


def check_lead(lead: str | None, placement: Placement) -> None:
    """Raises PatchError where lead I is to be judged and the patch says that it measures another."""
    if placement == "lead-i" and lead not in (None, "I"):
        raise PatchError(
            f"the patch says that it measures lead {lead}, which is not lead I: nothing would be judged; "
            "edge-mi record keeps it"
        )


def check_wish(lead: str) -> None:
    """Warn where another lead of a record is asked for. Raises ConfigError for a strap as worn, which is never judged."""
    if lead.casefold() == leads.CHEST:
        raise ConfigError(f"--lead {lead}: a strap as worn on the chest is not lead I and is not judged")
    if leads.canonical_lead(lead).casefold() != "i":
        tell(f"warning: the model knows lead I only: what it says of lead {lead} was never measured")
