"""A Polar H10 that does not exist: its control point, its refusals and its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ..frames import Codes
from ..polar_pmd import (
    CLOCK_AFTER_RESET_NS,
    CONTROL_POINT,
    DATA,
    ECG_SETTINGS,
    NEEDED_MTU,
    RATE_HZ,
    RESOLUTION_BITS,
    SAMPLES_PER_FRAME,
    SERVICE,
    TYPE_MASK,
    Op,
    Setting,
    Status,
    encode_answer,
    encode_device_stopped,
    encode_ecg_frame,
)
from .gatt import Characteristic, Send, SensorState, Service, battery_service, battery_status, model_service

_FEATURES = bytes([0x0F, 0x05]) + bytes(15)  # ECG and acceleration, as an H10 answers a read
_ACCELERATION = 2
_STAMP_MODULUS_NS: Final = 1 << 64
_HEART_RATE: Final = "0000180d-0000-1000-8000-00805f9b34fb"


class H10:
    """Its clock counts from 2019-01-01 after a reset; a measurement ends with its link.

    That is Polar's word (issue 148 of polar-ble-sdk). A link that the system keeps for a client that was killed is not
    lost: there it streams on, and answers the next START with ALREADY_IN_STATE.

    refuse: the status that answers START whatever it asks for. careless: cuts its frames to a small MTU instead of
    refusing to start.
    """

    name = "Polar H10 EDGE0001"
    # as the H10: the heart rate service, and not the one that carries the ECG
    advertised: tuple[str, ...] = (_HEART_RATE,)
    rate_hz = float(RATE_HZ)
    codes_per_mv = 1000.0
    limit = 20_000  # microvolts, its input range
    clock_start_ns = CLOCK_AFTER_RESET_NS
    status_every_s = math.inf

    def __init__(self, *, refuse: int | None = None, careless: bool = False) -> None:
        self._refuse, self._careless = refuse, careless
        self.measuring = False

    @property
    def measurement(self) -> int:
        """See `EmulatedPatch`."""
        return int(self.measuring)

    def services(self, state: SensorState) -> Sequence[Service]:
        """See `EmulatedPatch`."""
        control = Characteristic(CONTROL_POINT, ("read", "write", "indicate"), _FEATURES)
        return (
            battery_service(state),
            model_service("H10"),
            Service(SERVICE, (control, Characteristic(DATA, ("notify",)))),
        )

    def written(self, characteristic: str, data: bytes, mtu: int, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        del state
        if characteristic != CONTROL_POINT:
            return ()
        op, kind = (data + b"\0\0")[:2]
        status = self._status(op, kind, data[2:], mtu)
        parameters = ECG_SETTINGS if op == Op.GET_SETTINGS else b""
        if status == Status.SUCCESS and op != Op.GET_SETTINGS:
            self.measuring = op == Op.START
        return (Send(CONTROL_POINT, encode_answer(op, status, parameters)),)

    def subscribed(self, characteristic: str, *, on: bool) -> None:
        """See `EmulatedPatch`."""

    def parted(self) -> None:
        """See `EmulatedPatch`; a measurement ends with the link."""
        self.measuring = False

    def alone(self, seconds: float) -> None:
        """See `EmulatedPatch`."""

    def samples_in_packet(self, mtu: int) -> int:
        """See `EmulatedPatch`."""
        del mtu
        return SAMPLES_PER_FRAME

    def packet(
        self, codes: Codes, number: int, stamps_ns: tuple[int, int], state: SensorState
    ) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        del number, state
        return (Send(DATA, encode_ecg_frame(stamps_ns[1] % _STAMP_MODULUS_NS, codes)),)

    def status(self, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`; an H10 says nothing of contact."""
        return (battery_status(state),)

    def ended(self) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        self.measuring = False
        return (Send(CONTROL_POINT, encode_device_stopped()),)

    def reset(self) -> None:
        """See `EmulatedPatch`."""
        self.measuring = False

    def _status(self, op: int, kind: int, settings: bytes, mtu: int) -> int:
        if op not in list(Op):
            return Status.INVALID_OP_CODE
        if kind & TYPE_MASK == _ACCELERATION:
            return Status.NOT_SUPPORTED
        if kind & TYPE_MASK:
            return Status.INVALID_MEASUREMENT_TYPE
        if op == Op.STOP:
            return Status.SUCCESS if self.measuring else Status.ALREADY_IN_STATE
        if op == Op.GET_SETTINGS:
            return Status.SUCCESS
        if self._refuse is not None:
            return self._refuse
        asked = _parse_settings(settings)
        if asked is None:
            return Status.INVALID_LENGTH
        if asked.get(Setting.RATE) != RATE_HZ:
            return Status.INVALID_SAMPLE_RATE
        if asked.get(Setting.RESOLUTION) != RESOLUTION_BITS:
            return Status.INVALID_RESOLUTION
        if mtu < NEEDED_MTU and not self._careless:
            return Status.INVALID_MTU
        return Status.ALREADY_IN_STATE if self.measuring else Status.SUCCESS


def _parse_settings(data: bytes) -> dict[int, int] | None:
    """Settings id -> value, each written as id, count 1 and two bytes; None for anything else."""
    if len(data) % 4:
        return None
    found = {}
    for i in range(0, len(data), 4):
        if data[i + 1] != 1:
            return None
        found[data[i]] = int.from_bytes(data[i + 2 : i + 4], "little")
    return found
