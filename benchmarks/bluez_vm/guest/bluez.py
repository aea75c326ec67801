"""BlueZ in the guest: the bus, the daemon that scenarios kill and restart, and the adapter's switch."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from edge_mi.optional import require

BUS: Final = Path("/run/dbus/system_bus_socket")
ADAPTER: Final = "/org/bluez/hci0"
_DAEMON: Final = ("/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd")
_READY_S: Final = 120.0  # an emulated processor takes its time


class Bluez:
    """The bus and bluetoothd, started when entered and ended with the guest."""

    def __init__(self) -> None:
        self._bus: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the bus and bluetoothd."""
        BUS.parent.mkdir(parents=True, exist_ok=True)
        self._bus = subprocess.Popen(["/usr/bin/dbus-daemon", "--system", "--nofork", "--nopidfile"])
        deadline = time.monotonic() + _READY_S
        while not BUS.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("the bus does not come up")
            time.sleep(0.05)
        self.start_daemon()

    def start_daemon(self) -> None:
        """Start bluetoothd."""
        program = next(each for each in _DAEMON if Path(each).is_file())
        self._daemon = subprocess.Popen([program, "-n"])

    @property
    def pid(self) -> int | None:
        """Of bluetoothd, None where it is dead."""
        if self._daemon is None or self._daemon.poll() is not None:
            return None
        return self._daemon.pid

    def kill_daemon(self) -> None:
        """End bluetoothd as a crash does."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGKILL)
        self._daemon.wait()


async def ready() -> None:
    """Wait until there is an adapter that is switched on. Raises TimeoutError."""
    async with asyncio.timeout(_READY_S):
        while True:
            if await _ask("Get", "ss", ["org.bluez.Adapter1", "Powered"]) is True:
                return
            await power(on=True)
            await asyncio.sleep(0.1)


async def power(*, on: bool) -> None:
    """Switch the adapter, as a user does in the system's settings; without an adapter nothing happens."""
    variant = require("dbus_fast", extra="ble").Variant("b", on)
    await _ask("Set", "ssv", ["org.bluez.Adapter1", "Powered", variant])


async def _ask(member: str, signature: str, body: list[Any]) -> Any:
    """A property of the adapter; None where there is no answer."""
    aio, constants = require("dbus_fast.aio", extra="ble"), require("dbus_fast.constants", extra="ble")
    message = require("dbus_fast", extra="ble").Message(
        destination="org.bluez", path=ADAPTER, interface="org.freedesktop.DBus.Properties",
        member=member, signature=signature, body=body,
    )  # fmt: skip
    bus = await aio.MessageBus(bus_type=constants.BusType.SYSTEM).connect()
    try:
        reply = await bus.call(message)
    finally:
        bus.disconnect()
    return reply.body[0].value if reply.body and not reply.error_name else None
