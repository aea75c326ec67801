"""A Movesense sensor that does not exist: its commands, its status codes and its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_mi.errors import FrameError

from ..frames import Codes
from ..movesense_gsp import (
    CODES_PER_MV,
    COMMAND,
    DATA,
    SAMPLES_PER_FRAME,
    SERVICE,
    STAMP_MODULUS_MS,
    Command,
    Status,
    decode_command,
    ecg_path,
    encode_answer,
    encode_ecg,
)
from .gatt import Characteristic, Send, SensorState, Service, battery_service, battery_status

_RATE_HZ = 128


class Movesense:
    """It measures for the reference that subscribed, at the one rate that it has; a lost link unsubscribes."""

    name = "Movesense 000000000000"
    advertised: tuple[str, ...] = ()
    rate_hz = float(_RATE_HZ)
    codes_per_mv = CODES_PER_MV
    limit = 1 << 17  # codes of its converter
    clock_start_ns = 0
    status_every_s = math.inf

    def __init__(self) -> None:
        self._reference: int | None = None

    @property
    def measuring(self) -> bool:
        """See `EmulatedPatch`."""
        return self._reference is not None

    @property
    def measurement(self) -> int:
        """See `EmulatedPatch`."""
        return self._reference or 0

    def services(self, state: SensorState) -> Sequence[Service]:
        """See `EmulatedPatch`."""
        command, data = Characteristic(COMMAND, ("write",)), Characteristic(DATA, ("notify",))
        return (battery_service(state), Service(SERVICE, (command, data)))

    def written(self, characteristic: str, data: bytes, mtu: int, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`."""
        del mtu, state
        if characteristic != COMMAND:
            return ()
        try:
            request = decode_command(data)
        except FrameError:
            return ()
        if request.command == Command.UNSUBSCRIBE:
            self._reference = None if request.reference == self._reference else self._reference
            return ()
        if request.command != Command.SUBSCRIBE:
            return ()
        known = request.path == ecg_path(_RATE_HZ)
        if known:
            self._reference = request.reference
        status = Status.OK if known else Status.NOT_IMPLEMENTED
        return (Send(DATA, encode_answer(request.reference, status)),)

    def subscribed(self, characteristic: str, *, on: bool) -> None:
        """See `EmulatedPatch`."""

    def parted(self) -> None:
        """See `EmulatedPatch`."""
        self._reference = None

    def alone(self, seconds: float) -> None:
        """See `EmulatedPatch`."""

    def samples_in_packet(self, mtu: int) -> int:
        """See `EmulatedPatch`."""
        del mtu
        return SAMPLES_PER_FRAME

    def packet(
        self, codes: Codes, number: int, stamps_ns: tuple[int, int], state: SensorState
    ) -> Sequence[Send]:
        """See `EmulatedPatch`; its clock has whole milliseconds and 32 bits of them."""
        del number, state
        assert self._reference is not None, "packets are asked for while it measures"
        stamp_ms = round(stamps_ns[0] / 1e6) % STAMP_MODULUS_MS
        return [Send(DATA, part) for part in encode_ecg(self._reference, stamp_ms, codes)]

    def status(self, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`; it says nothing of contact."""
        return (battery_status(state),)

    def ended(self) -> Sequence[Send]:
        """See `EmulatedPatch`; it falls silent."""
        self._reference = None
        return ()

    def reset(self) -> None:
        """See `EmulatedPatch`."""
        self._reference = None
