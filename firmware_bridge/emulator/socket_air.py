"""The socket of the virtual air: each visitor gets a controller of its own, in reach of the emulated patches."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_mi.errors import OutputError
from edge_mi.optional import require

from .virtual_air import virtual_air


class SocketAir:
    """Serves HCI on the unix socket `path`, as an async context.

    Raises OutputError where the socket cannot be made, or somebody else listens there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._controllers = require("bumble.controller", extra="emulate")
        self._link = virtual_air()
        self._transports: set[asyncio.BaseTransport] = set()

    def hci(self, name: str) -> tuple[Any, Any]:
        """Source and sink of a new controller in this air, for an emulated patch."""
        controller = self._controllers.Controller(name, link=self._link)
        return controller, controller

    async def __aenter__(self) -> SocketAir:
        await self._free_path()
        try:
            self._server = await asyncio.get_running_loop().create_unix_server(self._visitor, str(self._path))
        except OSError as exc:
            raise OutputError(f"cannot listen at {self._path}: {exc.strerror or exc}") from exc
        self._path.chmod(0o600)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in list(self._transports):
            transport.close()
        while self._transports:  # each leaves when the event loop has told its protocol
            await asyncio.sleep(0)
        with suppress(FileNotFoundError):
            self._path.unlink()

    async def _free_path(self) -> None:
        """Remove the socket that a killed emulator left. Raises OutputError for anything that is in use."""
        if not self._path.exists():
            return
        if not self._path.is_socket():
            raise OutputError(f"{self._path} is there and is no socket: choose another path")
        try:
            _, writer = await asyncio.open_unix_connection(str(self._path))
        except OSError:
            self._path.unlink()
            return
        writer.close()
        await writer.wait_closed()
        raise OutputError(f"an emulator listens at {self._path} already: stop it or choose another path")

    def _visitor(self) -> asyncio.BaseProtocol:
        return _Visitor(self._controllers.Controller, self._link, self._transports)


class _Visitor(asyncio.Protocol):
    """One client of the socket and its controller; when the client goes, its links go with it."""

    def __init__(self, controller: Any, link: Any, transports: set[asyncio.BaseTransport]) -> None:
        self._controller_type, self._link, self._transports = controller, link, transports
        self._source = require("bumble.transport.common", extra="emulate").StreamPacketSource()
        self._controller: Any = None
        self._transport: asyncio.BaseTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transports.add(transport)
        sink = require("bumble.transport.common", extra="emulate").StreamPacketSink(transport)
        self._controller = self._controller_type(
            "visitor", host_source=self._source, host_sink=sink, link=self._link
        )

    def data_received(self, data: bytes) -> None:
        self._source.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        hci = require("bumble.hci", extra="emulate")
        self._transports.discard(self._transport)
        self._controller.host = None
        for connection in list(self._controller.le_connections.values()):
            self._controller.on_hci_disconnect_command(
                hci.HCI_Disconnect_Command(
                    connection_handle=connection.handle,
                    reason=hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR,
                )
            )
        self._link.remove_controller(self._controller)
