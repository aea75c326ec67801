"""A radio whose GATT calls hang: they reach the patch, or not even that, and no answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge_mi.firmware_bridge.radio import Radio


class HungCalls:
    """hangs: names of methods of bleak's client that hang; whoever takes them out lets the next calls through.

    reached: whether what hangs reached the patch before its answer was lost. closes: names of methods after whose next
    call the link is gone. called: every call, in order.
    """

    def __init__(self, *hangs: str, reached: bool = False) -> None:
        self.hangs = set(hangs)
        self.reached = reached
        self.closes: set[str] = set()
        self.called: list[str] = []

    def over(self, client: type[Any]) -> type[Any]:
        """A client of bleak whose calls come here first."""
        names = (
            "connect",
            "pair",
            "start_notify",
            "stop_notify",
            "read_gatt_char",
            "write_gatt_char",
            "disconnect",
        )
        return type("HungClient", (client,), {name: self._method(client, name) for name in names})

    def _method(self, client: type[Any], name: str) -> Any:
        async def method(this: Any, *args: Any, **kwargs: Any) -> Any:
            self.called.append(name)
            hangs = name in self.hangs
            answer = (
                None if hangs and not self.reached else await getattr(client, name)(this, *args, **kwargs)
            )
            if hangs:
                await asyncio.Event().wait()
            if name in self.closes:
                self.closes.remove(name)
                await client.disconnect(this)
            return answer

        return method


@asynccontextmanager
async def radio_with(path: Path, calls: HungCalls) -> AsyncIterator[Radio]:
    """The radio of an emulator's socket, with these calls."""
    async with Radio(link=f"unix:{path}") as radio:
        radio._virtual.client = calls.over(radio._virtual.client)
        yield radio
