"""An emulated patch on a bumble controller: it advertises, is connected to, answers and streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from edge_mi.optional import require

from .gatt import Characteristic, Send
from .sensor import EmulatedSensor

_QUEUED_PACKETS: Final = 48
_ADVERTISING_MS: Final = 100
_LEGACY_BYTES: Final = 31  # of one advertising packet


class Peripheral:
    """One patch in the air.

    source, sink: of the HCI of its controller. address: its random address. speed: times real time; 0 for as fast as the
    link takes it. packets: how many it made. commands: what was written to it.
    """

    def __init__(
        self, source: Any, sink: Any, sensor: EmulatedSensor, *, address: str, speed: float = 1.0
    ) -> None:
        self.sensor, self.patch = sensor, sensor.patch
        self._speed = speed
        self._task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._characteristics: dict[str, tuple[Characteristic, Any]] = {}
        self._alone_since_s: float | None = None
        self.packets = 0
        self.commands: list[bytes] = []
        self.device = self._build(source, sink, address)

    @property
    def streaming(self) -> bool:
        """Whether a measurement runs over a link."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Power on and advertise, again after every connection."""
        await self.device.power_on()
        await self.device.start_advertising(auto_restart=True)

    async def drop_link(self) -> None:
        """Break the link, as a patch that goes out of reach does."""
        for connection in list(self.device.connections.values()):
            await connection.disconnect()

    def _build(self, source: Any, sink: Any, address: str) -> Any:
        core, gatt = require("bumble.core", extra="emulate"), require("bumble.gatt", extra="emulate")
        devices, hci = require("bumble.device", extra="emulate"), require("bumble.hci", extra="emulate")
        configuration = devices.DeviceConfiguration(
            name=self.patch.name,
            address=hci.Address(address),
            advertising_interval_min=_ADVERTISING_MS,
            advertising_interval_max=_ADVERTISING_MS,
        )
        device = devices.Device.from_config_with_hci(configuration, source, sink)
        device.gatt_server.max_mtu = self.sensor.plan.mtu
        device.add_services([
            gatt.Service(service.uuid, [self._characteristic(gatt, each) for each in service.characteristics])
            for service in self.patch.services(self.sensor.state)
        ])  # fmt: skip
        advertised = core.AdvertisingData
        named = [(advertised.FLAGS, bytes([6])), (advertised.COMPLETE_LOCAL_NAME, self.patch.name.encode())]
        services = self._services_in_air(core)
        fits = len(bytes(advertised([*named, *services]))) <= _LEGACY_BYTES
        device.advertising_data = bytes(advertised([*named, *services] if fits else named))
        device.scan_response_data = b"" if fits else bytes(advertised(services))
        device.on("connection", self._on_connection)
        return device

    def _services_in_air(self, core: Any) -> list[tuple[int, bytes]]:
        kinds = {
            2: core.AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
            16: core.AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        }
        short = [core.UUID(uuid).to_bytes() for uuid in self.patch.advertised]
        return [(kinds[len(uuid)], uuid) for uuid in short]

    def _characteristic(self, gatt: Any, described: Characteristic) -> Any:
        kind = gatt.Characteristic
        properties = kind.Properties(0)
        for name in described.properties:
            properties |= kind.Properties[name.upper()]
        permissions = kind.Permissions.READABLE | kind.Permissions.WRITEABLE
        if described.encrypted or (self.sensor.plan.pairing and "write" in described.properties):
            permissions |= (
                kind.Permissions.READ_REQUIRES_ENCRYPTION | kind.Permissions.WRITE_REQUIRES_ENCRYPTION
            )
        uuid = described.uuid
        value: Any = described.value
        if "write" in described.properties:
            value = gatt.CharacteristicValue(
                read=lambda _: described.value,
                write=lambda connection, data: self._on_write(connection, uuid, data),
            )
        made = kind(uuid, properties, permissions, value)
        made.on(
            made.EVENT_SUBSCRIPTION,
            lambda connection, notify, indicate: self._on_subscription(connection, uuid, notify or indicate),
        )
        self._characteristics[uuid] = (described, made)
        return made

    def _on_connection(self, connection: Any) -> None:
        if self._alone_since_s is not None and self._speed:
            self.sensor.pass_time((time.monotonic() - self._alone_since_s) * self._speed)
        connection.on("disconnection", self._on_disconnection)

    def _on_disconnection(self, *_: Any) -> None:
        self._halt()
        self.patch.parted()
        self._alone_since_s = time.monotonic()

    def _on_subscription(self, connection: Any, uuid: str, on: bool) -> None:
        before = self.patch.measuring
        self.patch.subscribed(uuid, on=on)
        if self.patch.measuring != before:
            self._follow(connection)

    def _on_write(self, connection: Any, uuid: str, data: bytes) -> None:
        self.commands.append(bytes(data))
        answers = self.patch.written(uuid, bytes(data), connection.att_mtu, self.sensor.state)
        # the answer must follow the write's own response, which goes out after this handler
        self._spawn(self._answer(connection, answers))

    async def _answer(self, connection: Any, answers: Sequence[Send]) -> None:
        await self._send(connection, answers)
        self._follow(connection)

    def _follow(self, connection: Any) -> None:
        """Stream while the patch measures, and only then."""
        if self.patch.measuring and not self.streaming:
            self.sensor.begin()
            self._task = asyncio.get_running_loop().create_task(self._stream(connection))
        elif not self.patch.measuring:
            self._halt()

    def _halt(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` on its own; the event loop alone would not keep it alive."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _send(self, connection: Any, sends: Sequence[Send]) -> None:
        for each in sends:
            described, characteristic = self._characteristics[each.characteristic]
            by = (
                self.device.indicate_subscriber
                if "indicate" in described.properties
                else self.device.notify_subscriber
            )
            await by(connection, characteristic, each.data)

    async def _stream(self, connection: Any) -> None:
        queue = self.device.host.get_data_packet_queue(connection.handle)
        began_s, sensor_s = time.monotonic() + self._paced(self.sensor.plan.slow_start_s), None
        while not self.sensor.plan.mute:
            packet = self.sensor.next_packet(connection.att_mtu)
            sensor_s = packet.due_s if sensor_s is None else sensor_s
            if self._speed:
                await asyncio.sleep(
                    max(0.0, began_s + self._paced(packet.due_s - sensor_s) - time.monotonic())
                )
            self.packets += 1
            await self._send(connection, packet.sends)
            if not self._speed and queue.pending > _QUEUED_PACKETS:
                await queue.drain(connection.handle)
            if packet.after == "disconnect":
                await queue.drain(connection.handle)
                self._spawn(self.drop_link())  # not here: the loss cancels this task
            if packet.after is not None:
                return

    def _paced(self, seconds: float) -> float:
        return seconds / self._speed if self._speed else 0.0
