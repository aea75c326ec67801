"""The patches that the bridge speaks with: one row each. docs/bluetooth.md shows how to add one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from edge_mi.errors import ConfigError

from . import edge_mi_session, healthypi_session, movesense_session, polar_h10
from .profile import Profile

PROFILES: Final = {
    profile.key: profile
    for profile in (
        polar_h10.PROFILE,
        movesense_session.PROFILE,
        *healthypi_session.PROFILES,
        edge_mi_session.PROFILE,
    )
}


def profile_named(key: str) -> Profile:
    """The profile with this key. Raises ConfigError for another."""
    if key not in PROFILES:
        raise ConfigError(f"no profile {key!r}; there are {', '.join(PROFILES)}")
    return PROFILES[key]


def profiles_for(name: str, services: Collection[str]) -> list[Profile]:
    """The profiles that a patch of this name with these services (UUIDs) may have: one, where it is certain.

    Makers share UUIDs between layouts, so the name decides first; services alone only where one profile has them.
    """
    fitting = [profile for profile in PROFILES.values() if profile.service in services]
    return [profile for profile in fitting if profile.is_named(name)] or fitting
