"""The radio of this process through bleak: the system's adapter or an emulator's socket, shared by all its streams.

The rules that it keeps were each measured on BlueZ: a timeout on every call, since an unanswered one hangs for ever;
StartNotify, since the other method loses frames when this process is busy and can end BlueZ's daemon; `disconnect()`
after a loss as well, or every notification comes twice from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from edge_mi.errors import DeviceNotFound, PatchError
from edge_mi.optional import require

from .shared_scan import SharedScan
from .target import Target

_T = TypeVar("_T")
_SHOWN_CHARACTERS = 160
_BEFORE_LEFT_LINKS_S = 5.0  # of scanning: a patch that is free is heard by then


class AdapterMissing(DeviceNotFound):
    """There is no radio to look with, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. first_frame: some stacks took 30 s. silence: without a frame, then the link counts as lost."""

    scan: float = 20.0
    connect: float = 30.0
    pair: float = 30.0
    call: float = 10.0
    first_frame: float = 45.0
    silence: float = 10.0


class Radio:
    """Scans and connects, as an async context: one scan for all, one connection at a time.

    link: `unix:PATH` of an emulator; None for the system. adapter: such as `hci1`; None for the default.
    Raises MissingDependency without bleak (or bumble, for a link), DeviceNotFound where nothing listens.
    """

    def __init__(self, *, link: str | None = None, adapter: str | None = None) -> None:
        require("bleak", extra="ble")
        self.link, self._adapter = link, adapter
        self._virtual: Any = None
        self._exits = AsyncExitStack()
        self._scan = SharedScan(self._scanner)
        self.connecting = asyncio.Lock()
        self._agent: Any = None
        self.held: set[str] = set()  # addresses of this process's own connections

    async def __aenter__(self) -> Radio:
        if self.link is not None:
            from .virtual_link import VirtualLink

            self._virtual = await self._exits.enter_async_context(VirtualLink(self.link))
        self._exits.push_async_callback(self._scan.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    @property
    def gone(self) -> bool:
        """Whether the emulator at the other end of the link is gone for good."""
        return self._virtual is not None and bool(self._virtual.gone)

    async def find(self, target: Target, timeout_s: float) -> Any:
        """The device of bleak that is meant. Raises DeviceNotFound, AdapterMissing where it cannot be looked for."""
        heard: set[str] = set()
        first_s = timeout_s if self._virtual is not None else min(timeout_s, _BEFORE_LEFT_LINKS_S)
        found = await self._look(target, first_s, heard)
        if found is None and self._virtual is None:
            closed = await self._close_left_links(target)
            rest_s = timeout_s if closed else timeout_s - first_s
            found = await self._look(target, rest_s, heard) if rest_s > 0 else None
        if found is None:
            others = ", ".join(sorted(name for name in heard if name)) or "nothing"
            allowed = (
                f" at an allowed address ({', '.join(sorted(target.allowed))})" if target.allowed else ""
            )
            raise DeviceNotFound(
                f"no {target.text!r}{allowed} in {timeout_s:g} s of scanning, heard {others}: wear the strap, moisten it, "
                "close other apps that use it"
            )
        return found

    async def _look(self, target: Target, timeout_s: float, heard: set[str]) -> Any:
        """The device, or None where it is not in the air; `heard` gets the names that are."""
        errors = require("bleak.exc", extra="ble")

        def matches(device: Any, advertisement: Any) -> bool:
            name = advertisement.local_name or device.name or ""
            heard.add(name)
            return target.matches(name, device.address, advertisement.service_uuids)

        try:
            return await self._scan.find(matches, timeout_s)
        except errors.BleakBluetoothNotAvailableError as exc:
            raise AdapterMissing(
                f"no Bluetooth adapter can be used ({exc.args[0]}): switch it on, or reach an emulator with --link"
            ) from exc
        except (errors.BleakError, OSError, EOFError) as exc:
            raise AdapterMissing(
                f"the scan for {target.text!r} failed ({_short(exc)}): is the Bluetooth service running?"
            ) from exc

    def _scanner(self, heard: Callable[[Any, Any], None]) -> Any:
        options = self._options(None if self._virtual is None else self._virtual.scanner)
        return require("bleak", extra="ble").BleakScanner(heard, **options)

    async def _close_left_links(self, target: Target) -> bool:
        """Close what a killed program left open to the patch, so that it is heard again; whether there was something."""
        from .left_links import close_left_links

        try:
            return await close_left_links(target, self.held)
        except PatchError:
            return False  # the scan says what is wrong

    def connection(self, device: Any, timeouts: Timeouts, on_loss: Callable[[], None]) -> Connection:
        """A connection to `device`, not yet open; `on_loss` is called when it ends, whoever ends it."""
        bleak = require("bleak", extra="ble")
        client = bleak.BleakClient(
            device,
            disconnected_callback=lambda _: on_loss(),
            timeout=timeouts.connect,
            **self._options(None if self._virtual is None else self._virtual.client),
        )
        self.held.add(device.address)
        return Connection(client, timeouts, self)

    async def agree_to_pairing(self) -> None:
        """Let BlueZ pair without asking anybody: without an agent it refuses. Other systems ask the user."""
        if self._virtual is not None:
            return
        if self._agent is None:
            from .pairing_agent import PairingAgent

            self._agent = await self._exits.enter_async_context(PairingAgent())
        await self._agent.register()

    def _options(self, backend: Any) -> dict[str, Any]:
        if backend is not None:
            return {"backend": backend}
        return {} if self._adapter is None else {"bluez": {"adapter": self._adapter}}


class Connection:
    """One connection; every call has a timeout and raises PatchError where it fails."""

    def __init__(self, client: Any, timeouts: Timeouts, radio: Radio) -> None:
        self._client, self._timeouts, self._radio = client, timeouts, radio
        self._subscribed: list[Any] = []

    async def open(self) -> None:
        """Connect and discover what there is."""
        async with self._radio.connecting:
            await self._call(self._client.connect(), "the connection", self._timeouts.connect)
        self.services: frozenset[str] = frozenset(each.uuid for each in self._discovered())

    @property
    def is_open(self) -> bool:
        """Whether the link is up, as far as this machine knows."""
        return bool(self._client.is_connected)

    def has(self, characteristic: str) -> bool:
        """Whether the patch has this characteristic."""
        return self._found(characteristic) is not None

    def mtu(self, characteristic: str) -> int:
        """ATT MTU of the link; what `mtu_size` says is wrong on BlueZ until it is asked for."""
        return int(self._found(characteristic).max_write_without_response_size) + 3

    async def encrypt(self) -> None:
        """Pair, or use the bond that there is; macOS does so by itself, where the patch asks for it."""
        await self._radio.agree_to_pairing()
        with suppress(NotImplementedError):
            await self._call(self._client.pair(), "the pairing", self._timeouts.pair)

    async def subscribe(self, characteristic: str, take: Callable[[bytes], None]) -> None:
        """Hand every notification and indication of `characteristic` to `take`, from inside the event loop."""
        found = self._found(characteristic)
        await self._call(
            self._client.start_notify(
                found, lambda _, value: take(bytes(value)), bluez={"use_start_notify": True}
            ),
            "the subscription",
        )
        self._subscribed.append(found)

    async def read(self, characteristic: str) -> bytes:
        """The value of a characteristic."""
        return bytes(await self._call(self._client.read_gatt_char(characteristic), "the read"))

    async def write(self, characteristic: str, data: bytes) -> None:
        """Write with response."""
        await self._call(self._client.write_gatt_char(characteristic, data, response=True), "the command")

    async def close(self) -> None:
        """Unsubscribe where the link allows it, and disconnect: after a loss too. Never raises."""
        if self._client.is_connected:
            for characteristic in self._subscribed:
                with suppress(PatchError):
                    await self._call(self._client.stop_notify(characteristic), "the end of the subscription")
        self._subscribed.clear()
        with suppress(PatchError):
            await self._call(self._client.disconnect(), "the disconnection")
        self._radio.held.discard(self._client.address)

    def _discovered(self) -> Any:
        try:
            return self._client.services
        except require("bleak.exc", extra="ble").BleakError as exc:  # bleak forgets them with the link
            raise PatchError("the link was lost") from exc

    def _found(self, characteristic: str) -> Any:
        return self._discovered().get_characteristic(characteristic)

    async def _call(self, call: Awaitable[_T], what: str, timeout_s: float | None = None) -> _T:
        errors = require("bleak.exc", extra="ble")
        try:
            # not wait_for, which may lose a cancellation before Python 3.12
            async with asyncio.timeout(timeout_s or self._timeouts.call):
                return await call
        except TimeoutError as exc:
            raise PatchError(f"{what} was not answered in time") from exc
        except errors.BleakBluetoothNotAvailableError as exc:
            raise AdapterMissing(f"{what} failed: no Bluetooth adapter ({exc.args[0]})") from exc
        except (errors.BleakError, OSError, EOFError) as exc:
            help_ = ": ask for an encrypted link with --encrypt" if "insufficient" in str(exc).lower() else ""
            raise PatchError(f"{what} failed: {_short(exc)}{help_}") from exc


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:_SHOWN_CHARACTERS] or type(error).__name__
