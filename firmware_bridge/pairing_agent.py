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
_REGISTERED: Final = "org.bluez.Error.AlreadyExists"
_CALL_S: Final = 5.0


class PairingAgent:
    """An async context; `register` lets BlueZ pair until it ends. On other systems that does nothing."""

    def __init__(self) -> None:
        self._bus: Any = None

    async def __aenter__(self) -> PairingAgent:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._bus is not None:
            self._bus.disconnect()  # BlueZ forgets the agent with its connection

    async def register(self) -> None:
        """Say to BlueZ that this process agrees; again where BlueZ may have been restarted, which forgets it.

        Raises PatchError where BlueZ cannot be reached.
        """
        if not is_bluez():
            return
        aio, constants = require("dbus_fast.aio", extra="ble"), require("dbus_fast.constants", extra="ble")
        try:
            if self._bus is None:
                self._bus = await aio.MessageBus(bus_type=constants.BusType.SYSTEM).connect()
                self._bus.export(_PATH, _agent())
            await self._ask("RegisterAgent", "os", [_PATH, _CAPABILITY])
            await self._ask("RequestDefaultAgent", "o", [_PATH])
        except (OSError, EOFError, TimeoutError) as exc:
            self._bus = None  # the next try makes another
            raise PatchError(f"no agent for pairing can be registered with BlueZ ({exc})") from exc

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
        if reply.error_name not in (None, _REGISTERED):
            raise PatchError(f"BlueZ refuses the agent for pairing: {reply.error_name}")


def is_bluez() -> bool:
    """Whether bleak speaks with BlueZ here."""
    return bool(require("bleak.backends", extra="ble").get_default_backend().name == "BLUEZ_DBUS")


def _agent() -> Any:
    """The object of the agent; its class needs dbus-fast, whose decorators read its signatures."""
    from .agent_object import AgentObject

    return AgentObject()
