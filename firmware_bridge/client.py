"""Lead I from a Polar H10 by bleak: find, connect, start, decode, reconnect after a loss, stop on every way out.

The rules that it keeps were each measured on BlueZ: `disconnect()` after a loss, or every notification comes
twice from then on; a timeout on every call, since an unanswered one hangs for ever; STOP before leaving, or
the H10 goes on until its battery is empty.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeAlias, TypeVar

from edge_mi.errors import DeviceNotFound, FrameError, PatchError
from edge_mi.optional import require
from edge_mi.samples import Item

from .h10_session import H10Session
from .integrity import StampedStream, StreamStatistics
from .polar_pmd import (
    CONTROL_POINT,
    DATA,
    NEEDED_MTU,
    RATE_HZ,
    SERVICE,
    START_ECG,
    STOP_ECG,
    decode_ecg_frame,
)

_T = TypeVar("_T")
_ADDRESS = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}", re.IGNORECASE)
_QUEUED_MESSAGES = 4096  # 38 minutes of H10; what a stalled machine may fall behind
_BACKLOG = 256
_Entry: TypeAlias = tuple[Literal["control", "data", "lost"], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. first_frame: some stacks took 30 s. silence: without a frame, then the link counts as lost.

    reconnect: how long a lost patch is looked for. backoff: the first wait between tries; it doubles.
    """

    scan: float = 20.0
    connect: float = 30.0
    call: float = 10.0
    first_frame: float = 45.0
    silence: float = 10.0
    reconnect: float = 300.0
    backoff: float = 1.0
    longest_backoff: float = 30.0


class PatchStream:
    """Chunks and gaps of one patch: an async context, iterated once.

    device: a name (its beginning is enough) or an address. link: `unix:PATH` of an emulator instead of the
    system's adapter. stop: ends the iteration when set. on_event: takes lines for the user.
    Raises DeviceNotFound where there is no such patch or no adapter, PatchError where it refuses or is lost
    for longer than `timeouts.reconnect`, MissingDependency without bleak (or bumble, for a link).
    """

    def __init__(
        self,
        device: str,
        *,
        link: str | None = None,
        stop: asyncio.Event | None = None,
        on_event: Callable[[str], None] | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.statistics = StreamStatistics()
        self._wanted = device
        self._link = link
        self._stop = stop or asyncio.Event()
        self._tell = on_event or (lambda _: None)
        self._timeouts = timeouts or Timeouts()
        self._integrity = StampedStream(RATE_HZ, self.statistics)
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue()
        self._exits = AsyncExitStack()
        self._radio: Any = None
        self._scanner_backend: Any = None
        self._client_backend: Any = None
        self._device: Any = None
        self._client: Any = None
        self._session = H10Session()

    async def __aenter__(self) -> PatchStream:
        require("bleak", extra="ble")
        async with AsyncExitStack() as exits:
            if self._link is not None:
                from .virtual_link import VirtualLink

                self._radio = radio = VirtualLink(self._link)
                if await self._unless_stopped(exits.enter_async_context(radio)) is not None:
                    self._scanner_backend, self._client_backend = radio.scanner, radio.client
            exits.push_async_callback(self._leave)
            if not self._stop.is_set():
                await self._find()
                await self._unless_stopped(self._connect())
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    async def __aiter__(self) -> AsyncIterator[Item]:
        timeout = self._timeouts.first_frame
        while True:
            entry = await self._next_entry(timeout)
            if entry is None:
                if self._stop.is_set() or self._session.state == "stopped_by_device":
                    return
                if self._session.state == "streaming" and self.statistics.frames == 0:
                    raise PatchError(
                        f"the patch accepted the start and sent nothing for {timeout:g} s: wear it again"
                    )
                self._tell(f"no frame for {timeout:g} s")
                await self._reconnect()
                timeout = self._timeouts.first_frame
                continue
            kind, data = entry
            if kind == "lost":
                self._tell("the link is lost")
                await self._reconnect()
                timeout = self._timeouts.first_frame
            elif kind == "control":
                if not await self._on_control(data):
                    continue  # the link broke; the queue says so next
                if self._session.state == "stopped_by_device":
                    self._tell("the patch ended the measurement")
                    return
            else:
                timeout = self._timeouts.silence
                for item in self._items(data):
                    yield item

    def _items(self, data: bytes) -> list[Item]:
        try:
            frame = decode_ecg_frame(data)
        except FrameError as exc:
            self.statistics.bad_frames += 1
            if self.statistics.bad_frames == 1:
                self._tell(f"{exc}; such frames are counted and left out")
            return []
        items = self._integrity.push(frame)
        wrong = self._integrity.wrong_rate_hz
        if wrong is not None:
            raise PatchError(
                f"the patch's clock says {wrong:.1f} Hz, expected {RATE_HZ} Hz within 2 %: samples are missing inside "
                "its frames, and an ECG spliced from them is not judged; use a link with larger packets"
            )
        return items

    async def _next_entry(self, timeout_s: float) -> _Entry | None:
        """The next message, or None when stopped or after `timeout_s` seconds."""
        if self._stop.is_set():
            return None
        if not self._queue.empty():
            # the event loop must breathe, but each breath may bring a socket full of frames: work those off first
            if self._queue.qsize() < _BACKLOG:
                await asyncio.sleep(0)
            return self._queue.get_nowait()
        getting = asyncio.ensure_future(self._queue.get())
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            done, _ = await asyncio.wait(
                (getting, stopping), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            return getting.result() if getting in done else None
        finally:
            getting.cancel()
            stopping.cancel()

    async def _on_control(self, data: bytes) -> bool:
        """Go on with the dialogue; False where the link broke under it. Raises PatchError for a refusal."""
        command = self._session.on_control_point(data)
        if command is None:
            return True
        try:
            await self._call(self._client.write_gatt_char(CONTROL_POINT, command, response=True), "the start")
        except PatchError:
            if self._client.is_connected:
                raise
            return False
        return True

    async def _find(self) -> None:
        bleak, errors = require("bleak", extra="ble"), require("bleak.exc", extra="ble")
        heard: set[str] = set()

        def matches(device: Any, advertisement: Any) -> bool:
            name = advertisement.local_name or device.name or ""
            heard.add(name)
            if _ADDRESS.fullmatch(self._wanted):
                return bool(device.address.lower() == self._wanted.lower())
            return name.lower().startswith(self._wanted.lower()) and bool(name)

        options = {} if self._scanner_backend is None else {"backend": self._scanner_backend}
        searching = bleak.BleakScanner.find_device_by_filter(matches, timeout=self._timeouts.scan, **options)
        try:
            self._device = await self._unless_stopped(searching)
        except errors.BleakBluetoothNotAvailableError as exc:
            raise DeviceNotFound(
                f"no Bluetooth adapter can be used ({exc.args[0]}): switch it on, or reach an emulator with --link"
            ) from exc
        except (errors.BleakError, OSError) as exc:
            raise DeviceNotFound(
                f"the scan for {self._wanted!r} failed ({_short(exc)}): is the Bluetooth service running?"
            ) from exc
        if self._device is None and not self._stop.is_set():
            others = ", ".join(sorted(name for name in heard if name)) or "nothing"
            raise DeviceNotFound(
                f"no {self._wanted!r} in {self._timeouts.scan:g} s of scanning, heard {others}: wear the strap, "
                "moisten it, close other apps that use it"
            )

    async def _connect(self) -> None:
        """Connect and ask for the ECG; the answer comes through the queue."""
        if self._device is None:  # stopped during the scan
            return
        bleak = require("bleak", extra="ble")
        options = {} if self._client_backend is None else {"backend": self._client_backend}
        self._queue = asyncio.Queue(_QUEUED_MESSAGES)
        self._session = H10Session()
        queue = self._queue
        self._client = bleak.BleakClient(
            self._device,
            disconnected_callback=lambda _: self._take(queue, ("lost", b"")),
            timeout=self._timeouts.connect,
            **options,
        )
        await self._call(self._client.connect(), "the connection", self._timeouts.connect)
        try:
            services = self._client.services
        except require("bleak.exc", extra="ble").BleakError as exc:
            raise PatchError(f"the link broke at once: {_short(exc)}") from exc
        data = services.get_characteristic(DATA)
        if data is None or services.get_characteristic(CONTROL_POINT) is None:
            raise PatchError(
                f"{self._device.name or self._wanted} has no service {SERVICE}; only the Polar H10 can be streamed so far"
            )
        mtu = data.max_write_without_response_size + 3
        if mtu < NEEDED_MTU:
            self._tell(
                f"the link's MTU is {mtu}; the H10 needs {NEEDED_MTU} and may refuse or cut its frames"
            )
        for characteristic, kind in ((CONTROL_POINT, "control"), (DATA, "data")):
            await self._call(
                self._client.start_notify(
                    characteristic,
                    lambda _, value, kind=kind: self._take(queue, (kind, bytes(value))),
                    # the other method loses frames when this process is busy, and can end BlueZ's daemon
                    bluez={"use_start_notify": True},
                ),
                "the subscription",
            )
        await self._call(self._client.write_gatt_char(CONTROL_POINT, START_ECG, response=True), "the start")
        self._tell(f"connected to {self._device.name or self._device.address}")

    def _take(self, queue: asyncio.Queue[_Entry], entry: _Entry) -> None:
        try:
            queue.put_nowait(entry)
        except asyncio.QueueFull:
            if entry[0] == "lost":  # must be heard; the frame in its place is counted
                queue.get_nowait()
                queue.put_nowait(entry)
            self.statistics.dropped_frames += 1

    async def _reconnect(self) -> None:
        """Connect again, with growing waits. Raises PatchError when the patch stays away for too long."""
        self._integrity.cause = "link_lost"
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + self._timeouts.reconnect
        wait_s = self._timeouts.backoff
        await self._drop_client()
        while not self._stop.is_set():
            if self._radio is not None and self._radio.gone:
                raise PatchError(f"the emulator at {self._link} is gone")
            try:
                await self._find()
                await self._unless_stopped(self._connect())
            except PatchError as exc:
                await self._drop_client()
                if loop.time() + wait_s > give_up_s:
                    raise PatchError(
                        f"the patch did not come back within {self._timeouts.reconnect:g} s: {exc}"
                    ) from exc
                self._tell(f"not connected ({exc}); next try in {wait_s:g} s")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), wait_s)
                wait_s = min(2 * wait_s, self._timeouts.longest_backoff)
            else:
                self.statistics.reconnects += not self._stop.is_set()
                return

    async def _leave(self) -> None:
        """Stop the measurement and part, whatever state the link is in."""
        client = self._client
        if client is not None and client.is_connected:
            with suppress(PatchError):
                await self._call(client.write_gatt_char(CONTROL_POINT, STOP_ECG, response=True), "the stop")
            for characteristic in (DATA, CONTROL_POINT):
                with suppress(PatchError):
                    await self._call(client.stop_notify(characteristic), "the end of the subscription")
        await self._drop_client()

    async def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # after a loss as well: only this frees the registration whose leftover doubles every notification
            with suppress(PatchError):
                await self._call(client.disconnect(), "the disconnection")

    async def _unless_stopped(self, call: Awaitable[_T]) -> _T | None:
        """The result of `call`, or None, and `call` cancelled, as soon as the user stops."""
        calling = asyncio.ensure_future(call)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((calling, stopping), return_when=asyncio.FIRST_COMPLETED)
            return calling.result() if calling.done() else None
        finally:
            stopping.cancel()
            if not calling.done():
                calling.cancel()
                with suppress(asyncio.CancelledError):
                    await calling

    async def _call(self, call: Awaitable[_T], what: str, timeout_s: float | None = None) -> _T:
        """One call to the patch, with a timeout, its errors as PatchError."""
        errors = require("bleak.exc", extra="ble")
        try:
            return await asyncio.wait_for(call, timeout_s or self._timeouts.call)
        except TimeoutError as exc:
            raise PatchError(f"{what} was not answered in time") from exc
        except (errors.BleakError, OSError, EOFError) as exc:
            raise PatchError(f"{what} failed: {_short(exc)}") from exc


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
