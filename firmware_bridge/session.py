"""What a profile is to the rest of the bridge: a dialogue in bytes, without a clock and without a radio.

A client subscribes to the profile's characteristics, carries out what `begin` says, hands every notification to
`receive` and carries out what that says, and before it leaves what `end` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .frames import Frame, StreamFormat


@dataclass(frozen=True, slots=True)
class Write:
    """Write `data` to a characteristic, and wait for the response of the link."""

    characteristic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Started:
    """The patch measures from now on; frames that follow are of this format."""

    format: StreamFormat


@dataclass(frozen=True, slots=True)
class Refused:
    """The patch does not measure, and says so; reason: what it said, and what helps."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The patch ended the measurement by itself. reason: what it said of that, if anything."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A notification that is no frame of this profile: to be counted, never guessed at."""

    reason: str


@dataclass(frozen=True, slots=True)
class Contact:
    """Whether the electrodes touch skin, as the patch says; None from when it does not know."""

    on: bool | None


@dataclass(frozen=True, slots=True)
class Battery:
    """Charge of the patch's battery, 0 to 100."""

    percent: int


Message: TypeAlias = Write | Started | Refused | Ended | BadFrame | Contact | Battery | Frame


class Session(Protocol):
    """The dialogue of one connection."""

    def begin(self) -> Sequence[Message]:
        """What to do once everything is subscribed."""

    def receive(self, characteristic: str, data: bytes) -> Sequence[Message]:
        """What a notification or indication of `characteristic` means. Never raises, whatever the bytes are."""

    def end(self) -> Sequence[Message]:
        """What leaves the patch stopped."""
