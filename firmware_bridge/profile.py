"""A profile: how a kind of patch is recognised, and what speaks with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .battery import BATTERY_LEVEL
from .session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a user asks of a patch. rate_hz: None for what the profile prefers."""

    rate_hz: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of patch.

    key: its name on the command line. title: its name for people. names: how advertised names begin, in any case.
    service: UUID of the service that must be there after connecting. subscribe: characteristics, in the order in
    which they are subscribed. optional: characteristics that are subscribed where they exist. needed_mtu: ATT MTU below
    which the patch refuses or cuts its frames. encrypted: whether the link must be encrypted before anything is read.
    session: makes the dialogue of one connection; raises ConfigError for a wish that the profile cannot meet. follow: makes
    the next one after a lost link, for patches whose measurement can be resumed.
    """

    key: str
    title: str
    names: tuple[str, ...]
    service: str
    subscribe: tuple[str, ...]
    needed_mtu: int
    session: Callable[[Wishes], Session]
    optional: tuple[str, ...] = (BATTERY_LEVEL,)
    encrypted: bool = False
    follow: Callable[[Wishes, Session], Session] | None = None

    def next_session(self, wishes: Wishes, before: Session | None) -> Session:
        """The dialogue of a connection; `before`: that of the one before it."""
        if before is None or self.follow is None:
            return self.session(wishes)
        return self.follow(wishes, before)

    def is_named(self, name: str) -> bool:
        """Whether a patch that advertises `name` is of this kind."""
        return name.lower().startswith(tuple(each.lower() for each in self.names))
