"""An emulated patch on a bumble controller: it advertises, is connected to, answers and streams."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from edge_mi.optional import require

from .gatt import BATTERY_SERVICE, DEVICE_INFORMATION, Characteristic, Send
from .sensor import EmulatedSensor

_QUEUED_PACKETS: Final = 48
_ADVERTISING_MS: Final = 100
_LEGACY_BYTES: Final = 31  # of one advertising packet
_ALLOTTED: Final = "-0000-1000-8000-00805f9b34fb"  # how UUIDs end that the Bluetooth SIG gave out


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
        self._over_link: set[asyncio.Task[None]] = set()  # what a lost link ends
        self._background: set[asyncio.Task[None]] = set()
        self._answers: list[Send] = []
        self._answering = False
        self._away_s = 0.0  # from the next loss of the link on
        self._characteristics: dict[str, tuple[Characteristic, Any]] = {}
        self._epoch_s: float | None = None  # the loop's time at which the sensor was switched on
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
        await self._advertise(0.0)

    async def drop_link(self) -> None:
        """Break the link, as a patch that goes out of reach does."""
        refused = require("bumble.core", extra="emulate").BaseError
        for connection in list(self.device.connections.values()):
            with suppress(refused):  # where the client was faster
                await connection.disconnect()

    async def _advertise(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.device.start_advertising()

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
        for service in self.patch.services(self.sensor.state):
            wants = self.sensor.plan.pairing and service.uuid not in (BATTERY_SERVICE, DEVICE_INFORMATION)
            made = [
                self._characteristic(gatt, device.gatt_server, each, encrypted=wants or each.encrypted)
                for each in service.characteristics
            ]
            device.add_service(gatt.Service(service.uuid, made))
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
        found = [core.UUID(_short(uuid)).to_bytes() for uuid in self.patch.advertised]
        return [(kinds[len(uuid)], uuid) for uuid in found]

    def _characteristic(self, gatt: Any, server: Any, described: Characteristic, *, encrypted: bool) -> Any:
        kind = gatt.Characteristic
        properties = kind.Properties(0)
        for name in described.properties:
            properties |= kind.Properties[name.upper()]
        permissions = kind.Permissions.READABLE | kind.Permissions.WRITEABLE
        if encrypted:
            permissions |= (
                kind.Permissions.READ_REQUIRES_ENCRYPTION | kind.Permissions.WRITE_REQUIRES_ENCRYPTION
            )
        uuid = described.uuid
        value = gatt.CharacteristicValue(
            read=lambda _: self._value(uuid),
            write=lambda connection, data: self._on_write(connection, described, data),
        )
        made = kind(uuid, properties, permissions, value)
        if encrypted and properties & (kind.Properties.NOTIFY | kind.Properties.INDICATE):
            # who may not write may not subscribe either; bumble's own descriptor lets everybody. All may read it
            # (Core Specification 5.4, volume 3, part G, 3.3.3.3)
            made.descriptors = [
                gatt.Descriptor(
                    gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
                    permissions & ~kind.Permissions.READ_REQUIRES_ENCRYPTION,
                    server.make_descriptor_value(made),
                )
            ]
        made.on(
            made.EVENT_SUBSCRIPTION,
            lambda connection, notify, indicate: self._on_subscription(connection, uuid, notify or indicate),
        )
        self._characteristics[uuid] = (described, made)
        return made

    def _value(self, uuid: str) -> bytes:
        """What a read gives now."""
        services = self.patch.services(self.sensor.state)
        return next(each.value for found in services for each in found.characteristics if each.uuid == uuid)

    def _on_connection(self, connection: Any) -> None:
        self._catch_up(alone=True)
        connection.on("disconnection", self._on_disconnection)

    def _on_disconnection(self, *_: Any) -> None:
        self._halt()
        for task in self._over_link:
            task.cancel()
        self._answers, self._answering = [], False
        self.patch.parted()
        away_s, self._away_s = self._away_s, 0.0
        self._spawn(self._advertise(away_s), self._background)

    def _on_subscription(self, connection: Any, uuid: str, on: bool) -> None:
        before = self.patch.measurement
        self.patch.subscribed(uuid, on=on)
        if self.patch.measurement != before:
            self._halt()
            self._follow(connection)

    def _on_write(self, connection: Any, described: Characteristic, data: bytes) -> None:
        if "write" not in described.properties:
            att = require("bumble.att", extra="emulate")
            raise att.ATT_Error(att.ATT_WRITE_NOT_PERMITTED_ERROR)
        self.commands.append(bytes(data))
        before = self.patch.measurement
        self._answers += self.patch.written(
            described.uuid, bytes(data), connection.att_mtu, self.sensor.state
        )
        if self.patch.measurement != before:
            self._halt()  # before the answer, behind which nothing of the old measurement may come
        if not self._answering:
            self._answering = True
            # the answer must follow the write's own response, which goes out after this handler
            self._spawn(self._answer(connection), self._over_link)

    async def _answer(self, connection: Any) -> None:
        """Send all answers in the order of their commands; what they begin comes after the last."""
        while self._answers:
            await self._send(connection, [self._answers.pop(0)])
        self._answering = False
        self._follow(connection)

    def _follow(self, connection: Any) -> None:
        if self.patch.measuring and not self.streaming:
            self._task = self._spawn(self._stream(connection), self._over_link)

    def _halt(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _spawn(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        """Run `work` on its own, one of `tasks`; the event loop alone would not keep it alive."""
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(_end_with_words)
        return task

    async def _send(self, connection: Any, sends: Sequence[Send]) -> None:
        for each in sends:
            described, characteristic = self._characteristics[each.characteristic]
            if "indicate" in described.properties:
                # whoever halts the stream must not cut it off: the next one has to wait for its confirmation
                indication = self._indicate(connection, characteristic, each.data)
                await asyncio.shield(self._spawn(indication, self._over_link))
            else:
                await self.device.notify_subscriber(connection, characteristic, each.data)

    async def _indicate(self, connection: Any, characteristic: Any, data: bytes) -> None:
        try:
            await self.device.indicate_subscriber(connection, characteristic, data)
        except TimeoutError:
            # over a link where a confirmation is missing nothing may be sent any more: Core, volume 3, part F, 3.3.3
            self._spawn(self.drop_link(), self._background)

    async def _stream(self, connection: Any) -> None:
        if self._speed:
            await asyncio.sleep(self._paced(self.sensor.plan.slow_start_s))
        epoch_s = self._switch_on()
        self._catch_up(alone=False)
        self.sensor.begin()
        try:
            await self._send_packets(connection, epoch_s)
        finally:
            self._rest()

    async def _send_packets(self, connection: Any, epoch_s: float) -> None:
        queue = self.device.host.get_data_packet_queue(connection.handle)
        while not self.sensor.plan.mute:
            packet = self.sensor.next_packet(connection.att_mtu)
            if self._speed:
                await asyncio.sleep(max(0.0, epoch_s + self._paced(packet.due_s) - _now_s()))
            self.packets += 1
            await self._send(connection, packet.sends)
            if not self._speed and queue.pending > _QUEUED_PACKETS:
                await queue.drain(connection.handle)
            if packet.after == "disconnect":
                await queue.drain(connection.handle)
                self._away_s = self._paced(packet.away_s)
                self._spawn(self.drop_link(), self._background)  # not here: the loss cancels this task
            if packet.after is not None:
                return

    def _switch_on(self) -> float:
        """The sensor is on from its first measurement: a record that ran before anybody came would be of no use."""
        if self._epoch_s is None:
            self._epoch_s = _now_s() - self._paced(self.sensor.world_s)
        return self._epoch_s

    def _catch_up(self, *, alone: bool) -> None:
        """The sensor went on while it had nobody to send to. Where nothing is waited for, it did not."""
        if self._speed and self._epoch_s is not None:
            self.sensor.live_until((_now_s() - self._epoch_s) * self._speed, alone=alone)

    def _rest(self) -> None:
        """Nothing is sent from now on; a machine too slow for the pace loses the sensor no samples."""
        if self._epoch_s is not None:
            self._epoch_s = max(self._epoch_s, _now_s() - self._paced(self.sensor.due_s))

    def _paced(self, seconds: float) -> float:
        return seconds / self._speed if self._speed else 0.0


def _end_with_words(task: asyncio.Task[None]) -> None:
    """Nobody waits for such a task: what goes wrong in it ends the program, which would be a silent patch otherwise."""
    if not task.cancelled() and isinstance(exc := task.exception(), Exception):
        raise SystemExit(f"edge-mi: the emulated patch failed: {type(exc).__name__}: {exc}") from exc


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _short(uuid: str) -> str:
    """As it is in the air: an allotted UUID has 16 bits there, or there is no room for the name beside it."""
    return uuid[4:8] if uuid.startswith("0000") and uuid.endswith(_ALLOTTED) else uuid
