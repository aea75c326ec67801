"""What a scenario has to hand: BlueZ, the emulator by its socket, and emulated patches."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from .bluez import Bluez
from .emulator import SOCKET

_READY_S: Final = 120.0
_UNTIL_S: Final = 60.0
# never an address twice: BlueZ keeps bonds, which a new patch does not know
_NUMBERS: Final = itertools.count(1)

Json = dict[str, Any]


class Failed(Exception):
    """What a scenario found is not what it must be."""


def check(holds: bool, otherwise: str) -> None:
    """Raises Failed with the sentence `otherwise`."""
    if not holds:
        raise Failed(otherwise)


class Control:
    """The emulator's other end; several scenarios' tasks may ask at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asking = asyncio.Lock()

    async def ask(self, do: str, **more: Any) -> Json:
        """Have it done; the state of the patch that it was done with."""
        async with self._asking:
            self._writer.write(json.dumps({"do": do, **more}).encode() + b"\n")
            answer: Json = json.loads(await self._reader.readline())
            return answer

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def control() -> Control:
    """Reach the emulator, which may be starting. Raises TimeoutError."""
    async with asyncio.timeout(_READY_S):
        while True:
            try:
                return Control(*await asyncio.open_unix_connection(SOCKET))
            except OSError:
                await asyncio.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Patch:
    """An emulated patch in reach. address: where. rate_hz, period: of its samples; see `emulator.ramp`."""

    control: Control
    name: str
    address: str
    advertised: str
    rate_hz: float
    period: int

    async def state(self) -> Json:
        """What it is doing; the keys are in `Emulator`."""
        return await self.control.ask("state", patch=self.name)

    async def drop(self) -> None:
        """Break its link."""
        await self.control.ask("drop", patch=self.name)

    async def until(self, holds: Callable[[Json], bool], what: str) -> Json:
        """Its state once `holds` does. Raises Failed where that does not come."""

        deadline = asyncio.get_running_loop().time() + _UNTIL_S
        while not holds(state := await self.state()):
            if asyncio.get_running_loop().time() > deadline:
                last = {**state, "commands": state["commands"][-3:]}
                raise Failed(f"{self.advertised}: it never came to this: {what}; {last}")
            await asyncio.sleep(0.05)
        return state


class Lab:
    """The guest as scenarios see it. keeps_time: whether its clock may be quoted."""

    def __init__(self, bluez: Bluez, emulator: Control, *, keeps_time: bool) -> None:
        self.bluez, self.emulator, self.keeps_time = bluez, emulator, keeps_time

    @asynccontextmanager
    async def patch(
        self, profile: str, *, samples: int, plan: str = "", repeat: bool = False, speed: float = 0
    ) -> AsyncIterator[Patch]:
        """A patch that nobody has met, in reach inside this context. plan: in TOML. speed: 0 for unpaced."""
        number = next(_NUMBERS)
        name, address = f"{profile}-{number}", f"F0:F1:F2:00:00:{number:02X}"
        try:
            state = await self.emulator.ask(
                "add", patch=name, profile=profile, address=address, samples=samples, plan=plan,
                repeat=repeat, speed=speed,
            )  # fmt: skip
            yield Patch(self.emulator, name, address, state["name"], state["rate_hz"], state["period"])
        finally:
            await self.emulator.ask("remove", patch=name)
