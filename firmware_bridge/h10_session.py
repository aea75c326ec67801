"""Which command an H10 needs next: start the ECG, whatever state the last visitor left it in."""

from __future__ import annotations

from typing import Literal, TypeAlias

from edge_mi.errors import PatchError

from .polar_pmd import (
    NEEDED_MTU,
    START_ECG,
    STOP_ECG,
    Answer,
    DeviceStopped,
    Op,
    Status,
    decode_control_point,
)

State: TypeAlias = Literal["starting", "stopping_first", "streaming", "stopped_by_device"]

_ADVICE = {
    Status.INVALID_MTU: f"the link's packets are too small: an MTU of {NEEDED_MTU} is needed",
    Status.NOT_SUPPORTED: "this device streams no ECG",
    Status.INVALID_MEASUREMENT_TYPE: "this device streams no ECG",
    Status.DEVICE_IN_CHARGER: "take the device out of its charger",
    Status.INVALID_STATE: "the device is busy with something else: close other apps that use it",
}


class H10Session:
    """The control point's dialogue of one connection. It holds no clock and no link.

    Write `START_ECG`, hand every indication to `on_control_point` and write what it returns, until `state` is
    `streaming`. A device that was left streaming answers ALREADY_IN_STATE and then sends nothing: it is
    stopped first and started again.
    """

    def __init__(self) -> None:
        self.state: State = "starting"
        self._stopped_before = False

    def on_control_point(self, data: bytes) -> bytes | None:
        """The command to write after an indication, or None. Raises PatchError where the device refuses."""
        message = decode_control_point(data)
        if isinstance(message, DeviceStopped):
            self.state = "stopped_by_device"
            return None
        if isinstance(message, Answer):
            if self.state == "starting" and message.op == Op.START:
                return self._on_start(message.status)
            if self.state == "stopping_first" and message.op == Op.STOP:
                self.state = "starting"
                return START_ECG
        return None

    def _on_start(self, status: int) -> bytes | None:
        if status == Status.SUCCESS:
            self.state = "streaming"
            return None
        if status == Status.ALREADY_IN_STATE and not self._stopped_before:
            self.state, self._stopped_before = "stopping_first", True
            return STOP_ECG
        raise PatchError(f"the device refuses to start its ECG: {describe(status)}")


def describe(status: int) -> str:
    """A status in words, with what helps against it."""
    try:
        known = Status(status)
    except ValueError:
        return f"status {status}, which is not documented"
    name = known.name.lower().replace("_", " ")
    return f"{name} ({_ADVICE[known]})" if known in _ADVICE else name
