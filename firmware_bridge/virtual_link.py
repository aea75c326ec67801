"""A bleak backend whose radio is a bumble controller behind a socket: the same client code, no Bluetooth adapter.

bleak takes its backends as classes, so `VirtualLink` makes two that know their central.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import bleak
from bleak.backends import BleakBackend
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError

from edge_mi.errors import ConfigError, DeviceNotFound
from edge_mi.optional import require

CENTRAL_ADDRESS: Final = "C0:C1:C2:C3:C4:C5"
ASKED_MTU: Final = 517  # what BlueZ asks for
POWER_ON_S: Final = 10.0
_BASE_UUID = "{:08x}-0000-1000-8000-00805f9b34fb"
_UUID_LISTS = {2: 2, 3: 2, 6: 16, 7: 16}  # advertising structure -> bytes of one UUID
_hanging_up: set[asyncio.Future[Any]] = set()  # the event loop alone would not keep them alive
_PROPERTIES = (
    ("read", 0x02), ("write-without-response", 0x04), ("write", 0x08), ("notify", 0x10), ("indicate", 0x20),
)  # fmt: skip


def socket_path(link: str) -> str:
    """The path in `unix:PATH`. Raises ConfigError for anything else."""
    kind, colon, path = link.partition(":")
    if kind != "unix" or not colon or not path:
        raise ConfigError(f"a link of {link!r}; expected unix:PATH, as edge-mi emulate prints it")
    return path


class VirtualLink:
    """A central on the controller behind `link`, as an async context; `scanner` and `client` go to bleak.

    Raises ConfigError for another kind of link, MissingDependency without bumble, DeviceNotFound where
    nothing listens.
    """

    def __init__(self, link: str) -> None:
        self._path = socket_path(link)
        self._exits = AsyncExitStack()
        self._ended: asyncio.Future[None]
        self.scanner: type[BaseBleakScanner]
        self.client: type[BaseBleakClient]

    async def __aenter__(self) -> VirtualLink:
        transport = require("bumble.transport", extra="emulate")
        device, hci = require("bumble.device", extra="emulate"), require("bumble.hci", extra="emulate")
        try:
            opened = await transport.open_transport(f"unix-client:{self._path}")
        except OSError as exc:
            raise DeviceNotFound(
                f"nothing listens at {self._path} ({exc.strerror or exc}): start edge-mi emulate with the same --link first"
            ) from exc
        async with AsyncExitStack() as exits:
            exits.push_async_callback(opened.close)
            central = device.Device.with_hci(
                "edge-mi", hci.Address(CENTRAL_ADDRESS), opened.source, opened.sink
            )
            self._ended = opened.source.terminated
            await self._power_on(central)
            self._bind(central)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    @property
    def gone(self) -> bool:
        """Whether the other end of the socket is gone for good."""
        return bool(self._ended.done())

    async def _power_on(self, central: Any) -> None:
        starting = asyncio.ensure_future(_checked(central.power_on()))
        try:
            await asyncio.wait(
                (starting, self._ended), timeout=POWER_ON_S, return_when=asyncio.FIRST_COMPLETED
            )
            if self.gone:
                raise DeviceNotFound(f"the emulator at {self._path} went away")
            if not starting.done():
                raise DeviceNotFound(
                    f"what listens at {self._path} does not answer as a Bluetooth controller: is it edge-mi emulate?"
                )
            starting.result()
        finally:
            if not starting.done():
                starting.cancel()
                with suppress(asyncio.CancelledError):
                    await starting

    def _bind(self, central: Any) -> None:
        """Make the two classes for a bumble device that is powered on."""
        self.scanner = type("VirtualScanner", (_Scanner,), {"central": central})
        self.client = type("VirtualClient", (_Client,), {"central": central})


@asynccontextmanager
async def as_platform(link: str) -> AsyncIterator[None]:
    """Let every bleak program in this process reach the emulator at `link` instead of the system's adapter.

    For apps and libraries that make their own `BleakClient`: run them unchanged inside this context.
    """
    names = ("get_platform_scanner_backend_type", "get_platform_client_backend_type")
    before = {name: getattr(bleak, name) for name in names}
    async with VirtualLink(link) as virtual:
        for name, backend in zip(names, (virtual.scanner, virtual.client), strict=True):
            setattr(bleak, name, lambda backend=backend: (backend, BleakBackend.BLUEZ_DBUS))
        try:
            yield
        finally:
            for name, function in before.items():
                setattr(bleak, name, function)


class _Scanner(BaseBleakScanner):
    central: Any

    def __init__(
        self,
        detection_callback: Any = None,
        service_uuids: Any = None,
        scanning_mode: str = "active",
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)

    async def start(self) -> None:
        self.seen_devices = {}
        self.central.on("advertisement", self._heard)
        try:
            await _whole(self.central.start_scanning(legacy=True, filter_duplicates=False))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        self.central.remove_listener("advertisement", self._heard)
        await _whole(self.central.stop_scanning(legacy=True))

    def _heard(self, advertisement: Any) -> None:
        uuids, name = [], None
        for kind, raw in advertisement.data.ad_structures:
            size = _UUID_LISTS.get(kind, 0)
            if size:
                uuids += [_uuid(raw[i : i + size]) for i in range(0, len(raw), size)]
            if kind in (8, 9):  # shortened and complete local name
                name = raw.decode("utf-8", "replace")
        if not self.is_allowed_uuid(uuids):
            return
        data = AdvertisementData(
            local_name=name,
            manufacturer_data={},
            service_data={},
            service_uuids=uuids,
            tx_power=None,
            rssi=advertisement.rssi,
            platform_data=(advertisement,),
        )
        address = advertisement.address.to_string(False)
        details = {"address": advertisement.address}
        device = self.create_or_update_device(address, address, name, details, data)
        self.call_detection_callbacks(device, data)


class _Client(BaseBleakClient):
    central: Any

    def __init__(
        self,
        address_or_ble_device: Any,
        *,
        disconnected_callback: Callable[[], None] | None = None,
        timeout: float = 10.0,
        **_: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._target = address_or_ble_device.details["address"]
        self._name = address_or_ble_device.name or self.address
        self._connection: Any = None
        self._subscriptions: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        return str(self._name)

    @property
    def mtu_size(self) -> int:
        return int(self._connection.att_mtu) if self._connection else 23

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:
        peer_of = require("bumble.device", extra="emulate").Peer
        connecting = asyncio.ensure_future(_checked(self.central.connect(self._target, timeout=None)))
        try:
            async with asyncio.timeout(self._timeout):
                connection = await asyncio.shield(connecting)
        except BaseException:
            # bumble's controller goes on trying, and a patch that it gets hold of for nobody is lost to everybody
            connecting.add_done_callback(_hang_up)
            raise
        connection.on("disconnection", self._gone)
        self._connection = connection
        peer = peer_of(connection)
        await _checked(peer.request_mtu(ASKED_MTU))
        services = BleakGATTServiceCollection()
        for found in await _checked(peer.discover_services()):
            service = BleakGATTService(found, found.handle, _uuid(bytes(found.uuid)))
            services.add_service(service)
            for inner in await _checked(found.discover_characteristics()):
                properties: Any = [name for name, bit in _PROPERTIES if int(inner.properties) & bit]
                characteristic = BleakGATTCharacteristic(
                    inner,
                    inner.handle,
                    _uuid(bytes(inner.uuid)),
                    properties,
                    lambda: self.mtu_size - 3,
                    service,
                )
                services.add_characteristic(characteristic)
                for lowest in await _checked(inner.discover_descriptors()):
                    services.add_descriptor(
                        BleakGATTDescriptor(lowest, lowest.handle, _uuid(bytes(lowest.type)), characteristic)
                    )
        self.services = services

    def _gone(self, *_: Any) -> None:
        self._connection, self.services = None, None
        self._subscriptions.clear()
        if self._disconnected_callback:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        if self._connection:
            await _checked(self._connection.disconnect())

    async def pair(self, *_: Any, **__: Any) -> None:
        if self._connection is None:
            raise BleakError("not connected")
        if not self._connection.is_encrypted:
            await _checked(self._connection.pair())

    async def unpair(self) -> None:
        """Bonds live as long as the connection here."""

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_: Any) -> bytearray:
        return bytearray(await _checked(characteristic.obj.read_value()))

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_: Any) -> bytearray:
        return bytearray(await _checked(descriptor.obj.read_value()))

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: Any, response: bool
    ) -> None:
        await _checked(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: Any) -> None:
        await _checked(descriptor.obj.write_value(bytes(data), with_response=True))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: Callable[[bytearray], None], **_: Any
    ) -> None:
        def hand_over(value: bytes) -> None:
            callback(bytearray(value))

        self._subscriptions[characteristic.handle] = hand_over
        await _checked(characteristic.obj.subscribe(hand_over))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        subscription = self._subscriptions.pop(characteristic.handle, None)
        if subscription is not None:
            await _checked(characteristic.obj.unsubscribe(subscription))


async def _checked(call: Any) -> Any:
    """The result of one of bumble's calls, its errors as bleak's."""
    errors = require("bumble.core", extra="emulate")
    try:
        return await call
    except errors.ProtocolError as exc:  # whose text has colours, for a terminal
        raise BleakError(f"{exc.error_name or exc.error_code}") from exc
    except (errors.BaseBumbleError, ConnectionError) as exc:
        raise BleakError(str(exc) or type(exc).__name__) from exc
    except asyncio.CancelledError as exc:
        # bumble cancels what waits for an answer when the link is lost
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BleakError("the link was lost before the answer") from exc


async def _whole(call: Any) -> Any:
    """As `_checked`, and carried through when cancelled: bumble loses count of commands whose answer nobody awaits."""
    carried = asyncio.ensure_future(_checked(call))
    try:
        return await asyncio.shield(carried)
    except asyncio.CancelledError:
        await asyncio.wait((carried,))
        raise


def _hang_up(connecting: asyncio.Future[Any]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        _hanging_up.add(task := asyncio.ensure_future(connecting.result().disconnect()))
        task.add_done_callback(_hanging_up.discard)


def _uuid(little_endian: bytes) -> str:
    digits = little_endian[::-1].hex()
    if len(digits) <= 8:
        return _BASE_UUID.format(int(digits, 16))
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])
