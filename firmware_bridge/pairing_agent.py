"""The agent without which BlueZ refuses to pair: it agrees to what needs no keyboard and no display.

bleak registers none. Source: the BlueZ documents org.bluez.Agent and org.bluez.AgentManager.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from edge_mi.errors import PatchError
from edge_mi.optional import require

_PATH: Final = "/edge_mi/agent"
_CAPABILITY: Final = "NoInputNoOutput"
_CALL_S: Final = 5.0


class PairingAgent:
    """Registered with BlueZ for as long as this async context lasts; on other systems it does nothing.

    Raises PatchError where BlueZ cannot be reached.
    """

    def __init__(self) -> None:
        self._bus: Any = None

    async def __aenter__(self) -> PairingAgent:
        if not _is_bluez():
            return self
        aio, constants = require("dbus_fast.aio", extra="ble"), require("dbus_fast.constants", extra="ble")
        try:
            self._bus = await aio.MessageBus(bus_type=constants.BusType.SYSTEM).connect()
            self._bus.export(_PATH, _agent())
            await self._ask("RegisterAgent", "os", [_PATH, _CAPABILITY])
            await self._ask("RequestDefaultAgent", "o", [_PATH])
        except (OSError, TimeoutError) as exc:
            raise PatchError(f"no agent for pairing can be registered with BlueZ ({exc})") from exc
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._bus is not None:
            self._bus.disconnect()  # BlueZ forgets the agent with its connection

    async def _ask(self, member: str, signature: str, body: list[str]) -> None:
        message = require("dbus_fast", extra="ble").Message(
            destination="org.bluez",
            path="/org/bluez",
            interface="org.bluez.AgentManager1",
            member=member,
            signature=signature,
            body=body,
        )
        reply = await asyncio.wait_for(self._bus.call(message), _CALL_S)
        if reply.error_name:
            raise PatchError(f"BlueZ refuses the agent for pairing: {reply.error_name}")


def _is_bluez() -> bool:
    return bool(require("bleak.backends", extra="ble").get_default_backend().name == "BLUEZ_DBUS")


def _agent() -> Any:
    """The object of the agent; its class needs dbus-fast, whose decorators read its signatures."""
    from .agent_object import AgentObject

    return AgentObject()
