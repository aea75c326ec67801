"""Names of ECG leads, as headers spell them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from edge_mi.errors import RecordError

TWELVE_LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
CHEST: Final = "chest"  # what a recording calls the signal of a strap as worn
_CANONICAL = {name.casefold(): name for name in TWELVE_LEADS}
_PREFIX = re.compile(r"lead[ _-]+", re.IGNORECASE)
_NO_NAME = re.compile(r"((ecg|ekg)[ _-]*[0-9]*)?", re.IGNORECASE)


def canonical_lead(name: str) -> str:
    """The usual spelling of a lead: `avr`, `AVR` and `lead aVR` are `aVR`; other names as they are."""
    name = " ".join(name.split())
    bare = _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name
    return _CANONICAL.get(bare.casefold(), name)


def names_no_lead(name: str) -> bool:
    """Whether a signal's name says nothing about where it was taken: empty, `ECG`, `ecg 1`."""
    return _NO_NAME.fullmatch(name) is not None


def choose_lead(record: str, leads: Sequence[str], wanted: str) -> tuple[int, tuple[str, ...]]:
    """Index of the lead `wanted` among `leads`, and warnings about what was assumed for it.

    The only signal of a record is taken as lead I where its name names no lead.
    Raises RecordError, with the leads found, where there is none such or more than one.
    """
    wanted = canonical_lead(wanted)
    matches = [i for i, lead in enumerate(leads) if canonical_lead(lead).casefold() == wanted.casefold()]
    if len(matches) == 1:
        return matches[0], ()
    if len(matches) > 1:
        raise RecordError(f"{record} has {len(matches)} signals called {wanted}; expected one")
    if wanted == "I" and len(leads) == 1 and names_no_lead(leads[0]):
        called = f"is called {leads[0]}, which names no lead" if leads[0] else "has no name"
        return 0, (f"the only signal of {record} {called}: taken as lead I",)
    listed = ", ".join(lead if lead.isprintable() and lead else repr(lead) for lead in leads)
    if all(lead.casefold() == CHEST for lead in leads):
        raise RecordError(f"{record} has no lead {wanted}: it was recorded from a strap as worn on the chest")
    raise RecordError(f"{record} has no lead {wanted}; found {listed}: choose one of them with --lead")


def lead_rows(record: str, leads: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Index of each of the leads `wanted` among `leads`, by name and without regard to case.

    Raises RecordError, naming the leads, where some are missing or there more than once.
    """
    found = [canonical_lead(lead).casefold() for lead in leads]
    names = [canonical_lead(lead).casefold() for lead in wanted]
    missing = [lead for lead, name in zip(wanted, names, strict=True) if name not in found]
    if missing:
        listed = ", ".join(ascii(lead)[1:-1] for lead in leads)
        raise RecordError(f"{record}: no lead {', '.join(missing)}; found {listed}")
    twice = [lead for lead, name in zip(wanted, names, strict=True) if found.count(name) > 1]
    if twice:
        raise RecordError(
            f"{record} has more than one signal called {', '.join(twice)}; expected one of each"
        )
    return [found.index(name) for name in names]
