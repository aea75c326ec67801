"""One scan of the adapter for everybody who looks for a patch: BlueZ and controllers refuse a second one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

_CALL_S: Final = 10.0

# a device of bleak and what it advertises
Matches: TypeAlias = Callable[[Any, Any], bool]


class SharedScan:
    """Looks for any number of devices at once.

    make_scanner: a scanner of bleak that calls back with a device and its advertisement. Whoever begins to look has the
    scan started anew, so that the system says again what is in the air, after a restart of its Bluetooth service too.
    """

    def __init__(self, make_scanner: Callable[[Callable[[Any, Any], None]], Any]) -> None:
        self._make_scanner = make_scanner
        self._seekers: dict[asyncio.Future[Any], Matches] = {}
        self._turn = asyncio.Lock()
        self._scanner: Any = None

    async def find(self, matches: Matches, timeout_s: float) -> Any:
        """The first device that matches, None where none does in time. Raises what the scan raises."""
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._seekers[found] = matches
        try:
            await self._renew()
            await asyncio.wait({found}, timeout=timeout_s)
        finally:
            del self._seekers[found]
            await self._settle()
        result = found.result() if found.done() else None
        if isinstance(result, Exception):
            raise result
        return result

    async def close(self) -> None:
        """End a scan whose end was cancelled."""
        async with self._turn:
            if self._scanner is not None:
                with suppress(Exception):
                    await self._end()

    async def _renew(self) -> None:
        async with self._turn:
            try:
                if self._scanner is not None:
                    with suppress(Exception):  # of a service that is gone; the start says so
                        await self._end()
                    self._scanner = None
                scanner = self._make_scanner(self._heard)
                async with asyncio.timeout(_CALL_S):
                    await scanner.start()
                self._scanner = scanner
            except Exception as exc:
                self._answer(exc)

    async def _settle(self) -> None:
        """End the scan where nobody looks; start it where somebody does and whoever was to start it has left."""
        waiting = any(not found.done() for found in self._seekers)
        if waiting and self._scanner is None and not self._turn.locked():
            await self._renew()
        async with self._turn:
            if not self._seekers and self._scanner is not None:
                await self._end()

    async def _end(self) -> None:
        async with asyncio.timeout(_CALL_S):
            await self._scanner.stop()
        self._scanner = None

    def _heard(self, device: Any, advertisement: Any) -> None:
        for found, matches in self._seekers.items():
            if matches(device, advertisement) and not found.done():
                found.set_result(device)

    def _answer(self, error: Exception) -> None:
        for found in self._seekers:
            if not found.done():
                found.set_result(error)
