"""The EdgeMI Patch: start a measurement, or go on with one after a lost link, and read its packets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from edge_mi.errors import ConfigError, FrameError

from .battery import BATTERY_LEVEL, decode_battery
from .edge_mi_packet import (
    CLOCK_MODULUS_US,
    CONTROL,
    DATA,
    SERVICE,
    VERSION,
    Answer,
    Bits,
    Control,
    DataPacket,
    Info,
    Op,
    OtherVersion,
    Status,
    StatusEvent,
    StopReason,
    decode_control,
    decode_data,
    encode_start,
    encode_stop,
)
from .frames import StreamFormat
from .profile import Profile, Wishes
from .session import BadFrame, Battery, Contact, Ended, Message, Refused, Session, Started, Write

State: TypeAlias = Literal["starting", "streaming", "ending", "over"]

_RATE_SHARE = 0.02  # as far as a nominal rate may be off (contract C2)
_WORDS = {
    Status.UNKNOWN_COMMAND: "it does not know the command: its firmware needs an update",
    Status.BAD_LENGTH: "it does not read a command of this length: its firmware needs an update",
    Status.BAD_CRC: "the command was damaged on its way: try again",
    Status.RATE_NOT_SUPPORTED: "it does not have this rate: ask for another one, or for none",
    Status.NOT_MEASURING: "it is not measuring",
    Status.ENCRYPTION_NEEDED: "the link is not encrypted: pair with the patch",
    Status.CANNOT_MEASURE: "its hardware cannot measure",
}
_ENDS: dict[int, str] = {
    StopReason.BATTERY: "its battery is empty",
    StopReason.ELECTRODES: "its electrodes are off",
    StopReason.FAULT: "it has a fault",
}


class EdgeMiSession:
    """The dialogue of one connection.

    resume: the `measurement` of the session before, after a lost link; 0 to begin a new one. Raises ConfigError for a
    rate or a measurement that no command can hold.
    """

    def __init__(self, wishes: Wishes, resume: int = 0) -> None:
        rate_hz = wishes.rate_hz
        if rate_hz is not None and not 1 <= rate_hz <= 0xFFFF:
            raise ConfigError(f"a rate of {rate_hz} Hz cannot be asked for; expected 1 to 65535")
        self._start = Write(CONTROL, encode_start(rate_hz or 0, resume))
        self._rate_hz = rate_hz
        self._measurement = resume
        self._bits: Bits | None = None  # until the patch said it
        self._contact: bool | None = None
        self._state: State = "starting"

    @property
    def measurement(self) -> int:
        """What the next session has to resume; 0 where there is nothing to go on with."""
        return self._measurement

    def begin(self) -> Sequence[Message]:
        """Ask for the measurement."""
        return [self._start]

    def receive(self, characteristic: str, data: bytes) -> Sequence[Message]:
        """What a notification or indication means."""
        if characteristic == BATTERY_LEVEL:
            return [decode_battery(data)]
        try:
            if characteristic == DATA:
                return self._on_data(decode_data(data))
            return self._on_control(decode_control(data)) if characteristic == CONTROL else []
        except FrameError as exc:
            return [BadFrame(str(exc))]

    def end(self) -> Sequence[Message]:
        """Stop the measurement: otherwise the patch goes on for a minute, as after a lost link."""
        if self._state != "over":
            self._state = "ending"
        return [Write(CONTROL, encode_stop())]

    def _on_data(self, packet: DataPacket) -> Sequence[Message]:
        if self._bits is None:
            raise FrameError("a data packet before the patch answered the start")
        if self._state == "over":
            raise FrameError("a data packet after the measurement ended")
        if packet.frame.measurement != self._measurement:
            raise FrameError(
                f"a data packet of measurement {packet.frame.measurement}; {self._measurement} was started"
            )
        if packet.bits != self._bits:
            raise FrameError(f"samples of {packet.bits} bits; the patch announced {self._bits}")
        return [*self._on_contact(packet.contact), packet.frame]

    def _on_control(self, message: Control) -> Sequence[Message]:
        if isinstance(message, StatusEvent):
            return [*_battery(message.battery_percent), *self._on_contact(message.contact)]
        if isinstance(message, Answer):
            return self._on_answer(message)
        if isinstance(message, OtherVersion):
            return self._on_other_version(message)
        return self._on_stopped(message.reason)

    def _on_answer(self, answer: Answer) -> Sequence[Message]:
        if self._state == "starting" and answer.command == Op.START:
            if answer.info is not None:
                return self._on_started(answer.info)
            self._state = "over"
            return [Refused(describe(answer.status))]
        if self._state == "ending" and answer.command == Op.STOP:
            self._leave()
        return []

    def _on_started(self, info: Info) -> Sequence[Message]:
        rate_hz = info.rate_millihz / 1000
        if self._rate_hz is not None and abs(rate_hz / self._rate_hz - 1) > _RATE_SHARE:
            self._state = "over"
            return [Refused(f"it measures at {rate_hz:g} Hz and not at the {self._rate_hz} Hz asked for")]
        self._state, self._measurement, self._bits = "streaming", info.measurement, info.bits
        layout = StreamFormat(
            rate_hz=rate_hz,
            codes_per_mv=info.codes_per_v / 1000,
            bits=info.bits,
            counted=True,
            stamped="first",
            stamp_modulus_ns=CLOCK_MODULUS_US * 1000,
            lead=info.lead,
        )
        return [Started(layout), *_battery(info.battery_percent)]

    def _on_other_version(self, message: OtherVersion) -> Sequence[Message]:
        if self._state != "starting" or message.command != Op.START:
            return []
        self._state = "over"
        return [
            Refused(
                f"it speaks version {message.version}; this EdgeMI reads version {VERSION}: update the older one"
            )
        ]

    def _on_stopped(self, reason: int) -> Sequence[Message]:
        # before the answer to the start it can only be about the measurement that the start ended
        if self._state not in ("streaming", "ending"):
            return []
        by_itself = self._state == "streaming"
        self._leave()
        return [Ended(_ENDS.get(reason, ""))] if by_itself else []

    def _on_contact(self, on: bool | None) -> Sequence[Message]:
        if on == self._contact:
            return []
        self._contact = on
        return [Contact(on)]

    def _leave(self) -> None:
        self._state, self._measurement = "over", 0


def _follow(wishes: Wishes, before: Session) -> Session:
    return EdgeMiSession(wishes, before.measurement if isinstance(before, EdgeMiSession) else 0)


PROFILE: Final = Profile(
    key="edgemi",
    title="EdgeMI Patch",
    names=("EdgeMI",),
    service=SERVICE,
    subscribe=(CONTROL, DATA),
    needed_mtu=23,
    session=EdgeMiSession,
    encrypted=True,
    follow=_follow,
)


def describe(status: int) -> str:
    """A refusal in words, with what helps against it."""
    try:
        return _WORDS[Status(status)]
    except (ValueError, KeyError):
        return f"it answers with status {status}, which version {VERSION} of the protocol does not have"


def _battery(percent: int | None) -> Sequence[Battery]:
    return [] if percent is None else [Battery(percent)]
