"""The whole life of a connection as a table: from the scan to the last disconnection, whatever happens between.

`TABLE` is everything there is to it; docs/bluetooth-states.md draws it. Time and chance come in as arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class State(Enum):
    """What the bridge is doing; the value says it to a person."""

    SCANNING = "looking for the patch"
    CONNECTING = "connecting"
    PAIRING = "asking for an encrypted link"
    SUBSCRIBING = "subscribing"
    STARTING = "starting the measurement"
    STREAMING = "streaming"
    PARTING = "freeing a broken link"
    WAITING = "waiting for the next try"
    LEAVING = "stopping the measurement"
    ABORTING = "stopping after an error"
    ENDED = "ended"
    FAILED = "given up"


class Event(Enum):
    """What can happen; the value says it to a person."""

    FOUND = "the patch is in reach"
    NOT_FOUND = "the patch is not in reach"
    NO_ADAPTER = "no adapter, or no Bluetooth service"
    CONNECTED = "connected"
    NEEDS_PAIRING = "the link must be encrypted"
    PAIRED = "the link is encrypted"
    SUBSCRIBED = "subscribed"
    STARTED = "the patch measures"
    FAILED = "a call failed or was not answered"
    LOST = "the link is lost"
    SILENT = "no frame in time"
    REFUSED = "the patch refuses"
    DEVICE_ENDED = "the patch ended the measurement"
    STOP = "the user stops"
    PARTED = "the link is free"
    WAITED = "the wait is over"
    GIVEN_UP = "away for too long"


FINAL: Final = frozenset({State.ENDED, State.FAILED})
_BROKEN: Final = (Event.FAILED, Event.LOST, Event.SILENT)

TABLE: Final[Mapping[tuple[State, Event], State]] = {
    (State.SCANNING, Event.FOUND): State.CONNECTING,
    (State.SCANNING, Event.NOT_FOUND): State.WAITING,
    (State.SCANNING, Event.NO_ADAPTER): State.WAITING,
    (State.SCANNING, Event.GIVEN_UP): State.FAILED,  # the emulator is gone
    (State.CONNECTING, Event.CONNECTED): State.SUBSCRIBING,
    (State.CONNECTING, Event.NEEDS_PAIRING): State.PAIRING,
    (State.CONNECTING, Event.REFUSED): State.ABORTING,  # no profile speaks with it
    (State.PAIRING, Event.PAIRED): State.SUBSCRIBING,
    (State.PAIRING, Event.REFUSED): State.ABORTING,
    (State.SUBSCRIBING, Event.SUBSCRIBED): State.STARTING,
    (State.STARTING, Event.STARTED): State.STREAMING,
    (State.STARTING, Event.REFUSED): State.ABORTING,
    (State.STREAMING, Event.REFUSED): State.ABORTING,
    (State.STARTING, Event.DEVICE_ENDED): State.LEAVING,
    (State.STREAMING, Event.DEVICE_ENDED): State.LEAVING,
    # after a loss as well: what is left of the old link would double every notification of the new one
    **{(s, e): State.PARTING for s in (State.CONNECTING, State.PAIRING, State.SUBSCRIBING, State.STARTING, State.STREAMING)
       for e in _BROKEN},
    (State.PARTING, Event.PARTED): State.WAITING,
    (State.WAITING, Event.WAITED): State.SCANNING,
    (State.WAITING, Event.GIVEN_UP): State.FAILED,
    **{(s, Event.STOP): State.LEAVING for s in (
        State.SCANNING, State.CONNECTING, State.PAIRING, State.SUBSCRIBING, State.STARTING, State.STREAMING,
        State.PARTING, State.WAITING,
    )},
    (State.LEAVING, Event.PARTED): State.ENDED,
    (State.ABORTING, Event.PARTED): State.FAILED,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: how long a patch is looked for, at first and once it was heard; waits between tries double.

    Each wait is shortened by up to `jitter` of itself, so that several bridges do not try in step.
    """

    first: float = 60.0
    lost: float = 300.0
    backoff: float = 1.0
    longest_backoff: float = 30.0
    jitter: float = 0.3


class Life:
    """Where one connection stands in `TABLE`, and how long it waits before the next try."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._trouble_since_s: float | None = None
        self._wait_s = patience.backoff
        self._has_delivered = False
        self.state = State.SCANNING

    def on(self, event: Event, now_s: float) -> State:
        """The state after `event` at `now_s`. Raises KeyError for an event that cannot happen in this state."""
        self.state = TABLE[self.state, event]
        if self.state in (State.PARTING, State.WAITING) and self._trouble_since_s is None:
            self._trouble_since_s = now_s
        return self.state

    def deliver(self) -> None:
        """A frame came: whatever the trouble was, it is over."""
        self._has_delivered = True
        self._trouble_since_s, self._wait_s = None, self._patience.backoff

    def next_wait_s(self, now_s: float, chance: float) -> float | None:
        """How long to wait in WAITING, or None to give up; chance: uniform in [0, 1)."""
        wait_s = self._wait_s * (1 - self._patience.jitter * chance)
        self._wait_s = min(2 * self._wait_s, self._patience.longest_backoff)
        since_s = now_s if self._trouble_since_s is None else self._trouble_since_s
        longest_s = self._patience.lost if self._has_delivered else self._patience.first
        return wait_s if now_s + wait_s <= since_s + longest_s else None
