"""Scenarios: the patch is found, whichever way it is named, and nothing else is."""

from __future__ import annotations

from edge_mi.firmware_bridge.radio import Radio
from edge_mi.firmware_bridge.target import target_of

from edge_mi.errors import DeviceNotFound

from .lab import Failed, Json, Lab, check

_HEART_RATE = "0000180d-0000-1000-8000-00805f9b34fb"  # what an H10 says in the air
_SCAN_S = 20.0
_MISSED_S = 5.0


async def scan(lab: Lab) -> Json:
    """By the beginning of its name in any case, by address and by service; what is not there or not allowed is not found."""
    async with (
        lab.patch("h10", samples=73) as patch,
        lab.patch("edgemi", samples=73) as other,
        Radio() as radio,
    ):
        for text in ("polar h10", patch.address.lower(), _HEART_RATE):
            found = await radio.find(target_of(text), _SCAN_S)
            check(found.address == patch.address, f"{text!r} finds {found.address}, not {patch.address}")
        found = await radio.find(target_of("EdgeMI"), _SCAN_S)
        check(found.address == other.address, f"'EdgeMI' finds {found.address}, not {other.address}")
        refused = 0
        for target in (target_of("Movesense"), target_of("Polar H10", [other.address])):
            try:
                found = await radio.find(target, _MISSED_S)
            except DeviceNotFound as exc:
                check("heard" in str(exc), f"what was heard is not said: {exc}")
                refused += 1
            else:
                raise Failed(f"{target} finds {found}")
    return {"found": 4, "not_found": refused}
