"""Where emulated patches are in the air: a socket, the kernel's virtual adapter, or a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeAlias

from edge_mi.errors import ConfigError, OutputError
from edge_mi.optional import require

from ..virtual_link import socket_path
from .socket_air import SocketAir
from .virtual_air import virtual_air

KERNEL: Final = "vhci"
_KERNEL_ADDRESS: Final = "00:AA:01:02:03:04"  # without a public address BlueZ finds no adapter
_ADAPTERS: Final = ("hci-socket:", "usb:", "serial:", "pyusb:")


class KernelAir:
    """The kernel gets an adapter (module hci_vhci, as root), and what is emulated is in its reach; an async context.

    Raises OutputError where the kernel has no such adapter to give.
    """

    def __init__(self) -> None:
        self._controllers = require("bumble.controller", extra="emulate")
        self._link = virtual_air()

    def hci(self, name: str) -> tuple[Any, Any]:
        """Source and sink of a new controller in this air."""
        controller = self._controllers.Controller(name, link=self._link)
        return controller, controller

    async def __aenter__(self) -> KernelAir:
        self._transport = await _open(KERNEL)
        self._kernel = self._controllers.Controller(
            "kernel",
            host_source=self._transport.source,
            host_sink=self._transport.sink,
            link=self._link,
            public_address=_KERNEL_ADDRESS,
        )
        # with these Linux waits for a kind of event that bumble 0.0.236 does not send, and closes no link meanwhile
        features = require("bumble.hci", extra="emulate").LeFeatureMask
        self._kernel.le_features &= ~(features.LL_PRIVACY | features.LE_EXTENDED_ADVERTISING)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._link.remove_controller(self._kernel)  # it may come back, as an adapter that is plugged in again
        await self._transport.close()


class AdapterAir:
    """One emulated patch on a real adapter, which must not be in use by the system; an async context."""

    def __init__(self, transport: str) -> None:
        self._name = transport

    def hci(self, name: str) -> tuple[Any, Any]:
        """Source and sink of the adapter."""
        del name
        return self._transport.source, self._transport.sink

    async def __aenter__(self) -> AdapterAir:
        self._transport = await _open(self._name)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()


Air: TypeAlias = SocketAir | KernelAir | AdapterAir


def air(link: str) -> Air:
    """The air that `link` names. Raises ConfigError for anything else."""
    if link == KERNEL:
        return KernelAir()
    if link.startswith(_ADAPTERS):
        return AdapterAir(link)
    if not link.startswith("unix:"):
        raise ConfigError(
            f"a link of {link!r}; expected unix:PATH, {KERNEL}, or an adapter such as hci-socket:0"
        )
    return SocketAir(Path(socket_path(link)))


async def _open(name: str) -> Any:
    transport = require("bumble.transport", extra="emulate")
    try:
        return await transport.open_transport(name)
    except Exception as exc:  # each of bumble's transports has errors of its own kind
        raise OutputError(
            f"cannot open {name} ({' '.join(str(exc).split()) or type(exc).__name__}): it needs root, and for {KERNEL} the "
            "module hci_vhci"
        ) from exc
