"""An EdgeMI Patch that does not exist: the reference of docs/patch-protocol.md for those who write an app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..edge_mi_packet import (
    CLOCK_MODULUS_US,
    CONTROL,
    DATA,
    SERVICE,
    Describe,
    Info,
    Op,
    Start,
    Status,
    StopReason,
    decode_command,
    encode_answer,
    encode_data,
    encode_status,
    encode_stopped,
    next_measurement,
    refusal,
    samples_that_fit,
)
from ..frames import COUNTER_MODULUS, Codes
from .gatt import Characteristic, Send, SensorState, Service, battery_service

_RATE_HZ: Final = 250
_CODES_PER_MV: Final = 200
_ALONE_S: Final = 60.0  # how long it goes on without a link
_STATUS_EVERY_S: Final = 60.0
_PACKET_S: Final = 0.25


class EdgeMiPatch:
    """250 Hz, 16 bits, lead I; after a lost link it goes on for a minute, for a client that comes back to resume."""

    name = "EdgeMI Patch 0001"
    advertised: tuple[str, ...] = (SERVICE,)
    rate_hz = float(_RATE_HZ)
    codes_per_mv = float(_CODES_PER_MV)
    limit = 1 << 15
    clock_start_ns = 0
    status_every_s = _STATUS_EVERY_S

    def __init__(self, lead: str = "I") -> None:
        self._lead = lead
        self._forget()

    def _forget(self) -> None:
        """What a pulled battery leaves is what a new one begins with."""
        self._last = 0  # number of the latest measurement
        self._runs = False
        self._listened_to = False
        self._began_at: int | None = None  # number of the sensor's sample that is the measurement's first
        self._alone_s = 0.0

    @property
    def measuring(self) -> bool:
        """See `EmulatedPatch`; a client listens only once it has asked for a measurement."""
        return self._runs and self._listened_to

    @property
    def measurement(self) -> int:
        """See `EmulatedPatch`."""
        return self._last if self._runs else 0

    def services(self, state: SensorState) -> Sequence[Service]:
        """See `EmulatedPatch`."""
        control = Characteristic(CONTROL, ("write", "indicate"), encrypted=True)
        data = Characteristic(DATA, ("notify",), encrypted=True)
        return (battery_service(state), Service(SERVICE, (control, data)))

    def written(self, characteristic: str, data: bytes, mtu: int, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        del mtu
        if characteristic != CONTROL:
            return ()
        wrong = refusal(data)
        if wrong is not None:
            return (Send(CONTROL, wrong),)
        command = decode_command(data)
        if isinstance(command, Start):
            return (Send(CONTROL, self._start(command, state)),)
        if isinstance(command, Describe):
            return (Send(CONTROL, encode_answer(Op.DESCRIBE, Status.OK, self._info(state))),)
        if not self._runs:
            return (Send(CONTROL, encode_answer(Op.STOP, Status.NOT_MEASURING)),)
        self._runs = False
        stopped = encode_stopped(StopReason.COMMANDED)
        return (Send(CONTROL, encode_answer(Op.STOP)), Send(CONTROL, stopped))

    def subscribed(self, characteristic: str, *, on: bool) -> None:
        """See `EmulatedPatch`."""

    def parted(self) -> None:
        """See `EmulatedPatch`; it goes on for a while."""
        self._listened_to, self._alone_s = False, 0.0

    def alone(self, seconds: float) -> None:
        """See `EmulatedPatch`."""
        self._alone_s += seconds
        if self._alone_s > _ALONE_S:
            self._runs = False

    def samples_in_packet(self, mtu: int) -> int:
        """See `EmulatedPatch`."""
        return min(samples_that_fit(mtu, 16), round(_PACKET_S * _RATE_HZ))

    def packet(
        self, codes: Codes, number: int, stamps_ns: tuple[int, int], state: SensorState
    ) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        if self._began_at is None:
            self._began_at = number
        data = encode_data(
            codes,
            measurement=self._last,
            counter=(number - self._began_at) % COUNTER_MODULUS,
            clock_us=round(stamps_ns[0] / 1000) % CLOCK_MODULUS_US,
            contact=state.contact,
        )
        return (Send(DATA, data),)

    def status(self, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        return (Send(CONTROL, encode_status(state.battery_percent, state.contact)),)

    def ended(self) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        self._runs = False
        return (Send(CONTROL, encode_stopped(StopReason.FAULT)),)

    def reset(self) -> None:
        """See `EmulatedPatch`."""
        self._forget()

    def _start(self, command: Start, state: SensorState) -> bytes:
        if command.rate_hz not in (0, _RATE_HZ):
            return encode_answer(Op.START, Status.RATE_NOT_SUPPORTED)
        if not (self._runs and command.resume == self._last):
            self._last, self._began_at = next_measurement(self._last, command.resume), None
        self._runs = self._listened_to = True
        return encode_answer(Op.START, Status.OK, self._info(state))

    def _info(self, state: SensorState) -> Info:
        return Info(
            measurement=self.measurement,
            lead=self._lead,
            bits=16,
            rate_millihz=_RATE_HZ * 1000,
            codes_per_v=_CODES_PER_MV * 1000,
            battery_percent=state.battery_percent,
        )
