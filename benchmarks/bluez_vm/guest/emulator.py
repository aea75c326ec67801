"""The emulator's process: patches in the reach of the guest's kernel, and a socket by which scenarios handle them.

One JSON document a line, and one back: `do` says what, `patch` with whom.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.firmware_bridge.emulator.air import KernelAir
from edge_mi.firmware_bridge.emulator.fault_plan import read_plan
from edge_mi.firmware_bridge.emulator.gatt import EmulatedPatch
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.virtual_air import virtual_air
from numpy.typing import NDArray

SOCKET: Final = Path("/run/emulator.sock")
_LONGEST: Final = 16_384

Json = dict[str, Any]


def ramp(patch: EmulatedPatch, samples: int) -> NDArray[np.int64]:
    """Codes int64 (samples,) that are each their own number, modulo `period(patch)`: a wrong place shows."""
    return np.arange(samples, dtype=np.int64) % period(patch.limit)


def period(limit: int) -> int:
    """After how many samples the codes of a patch begin again."""
    return min(limit, _LONGEST)


class Emulator:
    """Patches by the names that scenarios give them."""

    def __init__(self) -> None:
        self._air = KernelAir()
        self._patches: dict[str, Peripheral] = {}
        self._controllers: dict[str, Any] = {}

    async def serve(self) -> None:
        """Answer until the process ends."""
        await self._plug()
        server = await asyncio.start_unix_server(self._talk, SOCKET)
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            answer = await self._do(json.loads(line))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _do(self, asked: Json) -> Json:
        match asked["do"]:
            case "add":
                await self._add(asked)
            case "remove":
                await self._remove(asked["patch"])
            case "drop":
                await self._patches[asked["patch"]].drop_link()
            case "plug":
                await self._plug()
            case "unplug":
                await self._unplug()
        return self._state(asked["patch"]) if asked.get("patch") in self._patches else {}

    async def _add(self, asked: Json) -> None:
        plan = read_plan(asked["plan"])
        patch = PATCHES[asked["profile"]](plan)
        sensor = EmulatedSensor(patch, ramp(patch, asked["samples"]), plan, repeat=asked["repeat"])
        source, sink = self._air.hci(asked["patch"])
        peripheral = Peripheral(source, sink, sensor, address=asked["address"], speed=asked["speed"])
        self._patches[asked["patch"]], self._controllers[asked["patch"]] = peripheral, source
        await peripheral.start()

    async def _remove(self, name: str) -> None:
        """Out of reach for good."""
        peripheral, controller = self._patches.pop(name), self._controllers.pop(name)
        await peripheral.drop_link()
        controller.link.remove_controller(controller)
        controller.link = virtual_air()  # it advertises on, where nobody is

    async def _plug(self) -> None:
        await self._air.__aenter__()

    async def _unplug(self) -> None:
        """Pull the kernel's adapter out: every link breaks."""
        for peripheral in self._patches.values():
            await peripheral.drop_link()
        await self._air.__aexit__(None, None, None)

    def _state(self, name: str) -> Json:
        peripheral = self._patches[name]
        connections = list(peripheral.device.connections.values())
        return {
            "packets": peripheral.packets,
            "made": peripheral.sensor.made,
            "streaming": peripheral.streaming,
            "commands": [command.hex() for command in peripheral.commands],
            "links": len(connections),
            "mtu": connections[0].att_mtu if connections else None,
            "encrypted": bool(connections and connections[0].is_encrypted),
            "rate_hz": peripheral.patch.rate_hz,
            "period": period(peripheral.patch.limit),
            "name": peripheral.patch.name,
        }


if __name__ == "__main__":
    asyncio.run(Emulator().serve())
