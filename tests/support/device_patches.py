"""Patches for the tests of the device simulation."""

from __future__ import annotations

from edge_mi.train.device.config import DeviceConfig


def only(**elements: object) -> DeviceConfig:
    """A patch with the named elements and no other."""
    absent: dict[str, object] = dict.fromkeys(("rate", "adc", "gain", "noise", "motion", "wander", "gaps"))
    return DeviceConfig(**{**absent, **elements})  # type: ignore[arg-type]
