"""Which patch a user means: by name, address or service, and never one that is not on the allow list."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edge_mi.errors import ConfigError

# an address of BlueZ or Windows, or the random identifier that macOS gives instead
_ADDRESS = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}", re.IGNORECASE)
_UUID = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """text: the beginning of a name, an address, or the UUID of a service (or device, on macOS).

    allowed: addresses that may be connected to; empty for all.
    """

    text: str
    allowed: frozenset[str] = frozenset()

    def matches(self, name: str, address: str, services: Iterable[str]) -> bool:
        """Whether an advertisement is the patch that is meant, and allowed."""
        if self.allowed and address.lower() not in self.allowed:
            return False
        wanted = self.text.lower()
        if _ADDRESS.fullmatch(self.text) or _UUID.fullmatch(self.text):
            return wanted == address.lower() or wanted in {each.lower() for each in services}
        return name.lower().startswith(wanted)

    def at(self, address: str) -> Target:
        """The one of these that has this address."""
        return Target(address, self.allowed)


def target_of(text: str, allowed: Collection[str] = ()) -> Target:
    """The patch that `text` names. Raises ConfigError for nothing, and for an address that is none."""
    if not text.strip():
        raise ConfigError(
            'the device is empty; give the name of a patch, such as "Polar H10", or its address'
        )
    for address in allowed:
        if not (_ADDRESS.fullmatch(address) or _UUID.fullmatch(address)):
            raise ConfigError(f"{address!r} is no address; expected six bytes such as A0:9E:1A:00:00:01")
    return Target(text, frozenset(address.lower() for address in allowed))
