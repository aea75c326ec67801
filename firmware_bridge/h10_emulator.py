"""A Polar H10 that does not exist: a record served as its PMD ECG from a bumble controller, with faults on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import SignalError
from edge_mi.optional import require

from .polar_pmd import (
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

NAME: Final = "Polar H10 EDGE0001"
ADDRESS: Final = "F0:F1:F2:F3:F4:F5"
_RANGE_UV = 20_000  # the input range of the H10; beyond it the sensor clips
_FEATURES = bytes([0x0F, 0x05]) + bytes(15)  # ECG and acceleration, as an H10 answers a read
_ACCELERATION = 2
_QUEUED_PACKETS = 48
_ADVERTISING_MS = 100


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, by the number of the frame: a field of tests.

    drop, double: frames that never come, and that come twice. cut: frames of which only some samples arrive.
    lose_link_after: frames after which the link breaks; away_samples pass until the next start. refuse: the
    status that answers the first START. mute: START is accepted and nothing comes.
    """

    drop: frozenset[int] = frozenset()
    double: frozenset[int] = frozenset()
    cut: Mapping[int, int] = field(default_factory=dict)
    lose_link_after: frozenset[int] = frozenset()
    away_samples: int = 0
    refuse: int | None = None
    mute: bool = False


class H10Emulator:
    """One emulated H10 on a bumble controller (`source` and `sink` of its HCI).

    samples_uv: int (n,), microvolts at 130 Hz. speed: times real time; 0 as fast as the link takes them.
    repeat: start again at the record's end instead of stopping the measurement.
    """

    def __init__(
        self,
        source: Any,
        sink: Any,
        samples_uv: NDArray[np.int64],
        *,
        speed: float = 1.0,
        repeat: bool = False,
        faults: Faults | None = None,
        max_mtu: int = NEEDED_MTU,
        start_ns: int = CLOCK_AFTER_RESET_NS,
    ) -> None:
        if samples_uv.ndim != 1 or samples_uv.size == 0:
            raise SignalError(f"a record has one row of samples, found shape {samples_uv.shape}")
        self._samples_uv = np.clip(samples_uv, -_RANGE_UV, _RANGE_UV)
        self._speed, self._repeat, self._faults, self._start_ns = speed, repeat, faults or Faults(), start_ns
        self._position = 0  # samples since the clock started, sent or not
        self._task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.frames_made = 0
        self.commands: list[bytes] = []
        self.device = self._build(source, sink, max_mtu)

    @property
    def streaming(self) -> bool:
        """Whether a measurement runs."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Power on and advertise, again after every connection."""
        await self.device.power_on()
        await self.device.start_advertising(auto_restart=True)

    async def drop_link(self) -> None:
        """Break the link, as a patch that goes out of reach does."""
        for connection in list(self.device.connections.values()):
            await connection.disconnect()

    def _build(self, source: Any, sink: Any, max_mtu: int) -> Any:
        core, gatt = require("bumble.core", extra="emulate"), require("bumble.gatt", extra="emulate")
        devices, hci = require("bumble.device", extra="emulate"), require("bumble.hci", extra="emulate")
        configuration = devices.DeviceConfiguration(
            name=NAME,
            address=hci.Address(ADDRESS),
            advertising_interval_min=_ADVERTISING_MS,
            advertising_interval_max=_ADVERTISING_MS,
        )
        device = devices.Device.from_config_with_hci(configuration, source, sink)
        device.gatt_server.max_mtu = max_mtu
        kind = gatt.Characteristic
        does, readable, writeable = kind.Properties, kind.READABLE, kind.WRITEABLE
        self._control = kind(
            CONTROL_POINT,
            does.READ | does.WRITE | does.INDICATE,
            readable | writeable,
            gatt.CharacteristicValue(read=lambda _: _FEATURES, write=self._on_write),
        )
        self._data = kind(DATA, does.NOTIFY, readable, b"")
        device.add_services([
            gatt.Service("180F", [kind("2A19", does.READ | does.NOTIFY, readable, bytes([87]))]),
            gatt.Service("180A", [kind("2A24", does.READ, readable, b"H10")]),
            gatt.Service(SERVICE, [self._control, self._data]),
        ])  # fmt: skip
        advertised = core.AdvertisingData
        device.advertising_data = bytes(
            advertised([
                (advertised.FLAGS, bytes([6])),
                (advertised.COMPLETE_LOCAL_NAME, NAME.encode()),
                # as the H10: the heart rate service, and not the one that carries the ECG
                (advertised.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, b"\x0d\x18"),
            ])
        )  # fmt: skip
        device.on("connection", lambda connection: connection.on("disconnection", self._on_disconnection))
        return device

    def _on_disconnection(self, *_: Any) -> None:
        self._halt()
        self._position += self._faults.away_samples

    def _halt(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _on_write(self, connection: Any, value: bytes) -> None:
        self.commands.append(bytes(value))
        # the answer must follow the write's own response, which goes out after this handler
        self._spawn(self._answer(connection, bytes(value)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` on its own; the event loop alone would not keep it alive."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _answer(self, connection: Any, command: bytes) -> None:
        op, kind = (command + b"\0\0")[:2]
        status = self._status(connection, op, kind, command[2:])
        parameters = ECG_SETTINGS if op == Op.GET_SETTINGS else b""
        await self.device.indicate_subscriber(
            connection, self._control, encode_answer(op, status, parameters)
        )
        if status != Status.SUCCESS:
            return
        if op == Op.START:
            ended = self._position >= len(self._samples_uv) and not self._repeat
            self._position = 0 if ended else self._position
            self._task = asyncio.get_running_loop().create_task(self._stream(connection))
        elif op == Op.STOP:
            self._halt()

    def _status(self, connection: Any, op: int, kind: int, settings: bytes) -> int:
        if op not in list(Op):
            return Status.INVALID_OP_CODE
        if kind & TYPE_MASK == _ACCELERATION:
            return Status.NOT_SUPPORTED
        if kind & TYPE_MASK:
            return Status.INVALID_MEASUREMENT_TYPE
        if op == Op.STOP:
            return Status.SUCCESS if self.streaming else Status.ALREADY_IN_STATE
        if op == Op.GET_SETTINGS:
            return Status.SUCCESS
        if self._faults.refuse is not None:
            return self._faults.refuse
        asked = _parse_settings(settings)
        if asked is None:
            return Status.INVALID_LENGTH
        if asked.get(Setting.RATE) != RATE_HZ:
            return Status.INVALID_SAMPLE_RATE
        if asked.get(Setting.RESOLUTION) != RESOLUTION_BITS:
            return Status.INVALID_RESOLUTION
        if connection.att_mtu < NEEDED_MTU:
            return Status.INVALID_MTU
        return Status.ALREADY_IN_STATE if self.streaming else Status.SUCCESS

    async def _stream(self, connection: Any) -> None:
        queue = self.device.host.get_data_packet_queue(connection.handle)
        began_s, began_at = time.monotonic(), self._position
        while not self._faults.mute:
            samples = self._next_samples()
            if samples.size == 0:
                await self.device.indicate_subscriber(connection, self._control, encode_device_stopped())
                return
            self._position += len(samples)
            if self._speed > 0:
                due_s = began_s + (self._position - began_at) / RATE_HZ / self._speed
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            stamp_ns = self._start_ns + round((self._position - 1) * 1e9 / RATE_HZ)
            number = self.frames_made
            self.frames_made += 1
            frame = encode_ecg_frame(stamp_ns, samples[: self._faults.cut.get(number, len(samples))])
            times = 0 if number in self._faults.drop else 2 if number in self._faults.double else 1
            for _ in range(times):
                await self.device.notify_subscriber(connection, self._data, frame)
            if not self._speed and queue.pending > _QUEUED_PACKETS:
                await queue.drain(connection.handle)
            if number in self._faults.lose_link_after:
                await queue.drain(connection.handle)
                self._spawn(self.drop_link())  # not here: the loss cancels this task
                return

    def _next_samples(self) -> NDArray[np.int64]:
        if self._repeat:
            return self._samples_uv.take(
                np.arange(self._position, self._position + SAMPLES_PER_FRAME), mode="wrap"
            )
        return self._samples_uv[self._position : self._position + SAMPLES_PER_FRAME]


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
