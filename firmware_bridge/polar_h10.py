"""The Polar H10: start its ECG, whatever state the last visitor left it in, and read its frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from edge_mi.errors import ConfigError, FrameError

from .battery import BATTERY_LEVEL, decode_battery
from .frames import StreamFormat
from .polar_pmd import (
    CONTROL_POINT,
    DATA,
    NEEDED_MTU,
    RATE_HZ,
    SERVICE,
    START_ECG,
    STOP_ECG,
    Answer,
    DeviceStopped,
    Op,
    Status,
    decode_control_point,
    decode_ecg_frame,
)
from .profile import Profile, Wishes
from .session import BadFrame, Ended, Message, Refused, Started, Write

State: TypeAlias = Literal["starting", "stopping_first", "streaming", "over"]

FORMAT: Final = StreamFormat(rate_hz=RATE_HZ, codes_per_mv=1000.0, bits=24, stamped="last")

_ADVICE = {
    Status.INVALID_MTU: f"the link's packets are too small: an MTU of {NEEDED_MTU} is needed",
    Status.NOT_SUPPORTED: "this device streams no ECG",
    Status.INVALID_MEASUREMENT_TYPE: "this device streams no ECG",
    Status.DEVICE_IN_CHARGER: "take the device out of its charger",
    Status.INVALID_STATE: "the device is busy with something else: close other apps that use it",
}
_START, _STOP = Write(CONTROL_POINT, START_ECG), Write(CONTROL_POINT, STOP_ECG)


class H10Session:
    """The dialogue of one connection.

    A device that was left streaming answers ALREADY_IN_STATE and then sends nothing: it is stopped first and started
    again. Raises ConfigError for another rate than the one it has.
    """

    def __init__(self, wishes: Wishes) -> None:
        if wishes.rate_hz not in (None, RATE_HZ):
            raise ConfigError(f"the Polar H10 has {RATE_HZ} Hz and no other rate, found {wishes.rate_hz}")
        self._state: State = "starting"
        self._stopped_before = False

    def begin(self) -> Sequence[Message]:
        """Ask for the ECG."""
        return [_START]

    def receive(self, characteristic: str, data: bytes) -> Sequence[Message]:
        """What a notification or indication means."""
        if characteristic == DATA:
            return [_decode(data)]
        if characteristic == BATTERY_LEVEL:
            return [decode_battery(data)]
        return self._control(data) if characteristic == CONTROL_POINT else []

    def end(self) -> Sequence[Message]:
        """Stop the ECG: otherwise the H10 goes on until its battery is empty."""
        return [_STOP]

    def _control(self, data: bytes) -> Sequence[Message]:
        message = decode_control_point(data)
        if isinstance(message, DeviceStopped):
            self._state = "over"
            return [Ended()]
        if isinstance(message, Answer):
            if self._state == "starting" and message.op == Op.START:
                return [self._on_start(message.status)]
            if self._state == "stopping_first" and message.op == Op.STOP:
                self._state = "starting"
                return [_START]
        return []

    def _on_start(self, status: int) -> Message:
        if status == Status.SUCCESS:
            self._state = "streaming"
            return Started(FORMAT)
        if status == Status.ALREADY_IN_STATE and not self._stopped_before:
            self._state, self._stopped_before = "stopping_first", True
            return _STOP
        self._state = "over"
        return Refused(describe(status))


PROFILE: Final = Profile(
    key="h10",
    title="Polar H10",
    names=("Polar H10",),
    service=SERVICE,
    subscribe=(CONTROL_POINT, DATA),  # commands before that are not answered
    needed_mtu=NEEDED_MTU,
    session=H10Session,
)


def describe(status: int) -> str:
    """A status in words, with what helps against it."""
    try:
        known = Status(status)
    except ValueError:
        return f"status {status}, which is not documented"
    name = known.name.lower().replace("_", " ")
    return f"{name} ({_ADVICE[known]})" if known in _ADVICE else name


def _decode(data: bytes) -> Message:
    try:
        return decode_ecg_frame(data)
    except FrameError as exc:
        return BadFrame(str(exc))
