"""The patches that the bridge speaks with: one row each. docs/bluetooth.md shows how to add one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from edge_mi.errors import ConfigError, PatchError

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


def is_known(name: str, among: Collection[Profile]) -> bool:
    """Whether a patch of this name is one of these, or, where there are none, any that the bridge speaks with."""
    return any(profile.is_named(name) for profile in among or PROFILES.values())


def no_profile(name: str, found: Sequence[Profile], services: Collection[str]) -> PatchError:
    """Why the patch `name` cannot be spoken with, of which these were `found`: none, several, one that it is not whole."""
    if len(found) == 1:
        wanted = found[0]
        if wanted.service not in services:
            return PatchError(f"{name} does not have the service of the {wanted.title} ({wanted.service})")
        return PatchError(
            f"{name} does not have all characteristics of the {wanted.title} ({', '.join(wanted.subscribe)})"
        )
    if found:
        keys = ", ".join(each.key for each in found)
        return PatchError(f"{name} may be one of {keys}: say which with --profile")
    titles = ", ".join(each.title for each in PROFILES.values() if each.names)
    return PatchError(f"{name} is none of the patches that edge-mi speaks with ({titles})")
