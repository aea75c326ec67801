"""Emulated patches over a socket in this process, and the client that streams them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from edge_mi.firmware_bridge.client import Choices, PatchStream
from edge_mi.firmware_bridge.emulator.fault_plan import FaultPlan
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.radio import Radio, Timeouts
from edge_mi.firmware_bridge.target import target_of

from edge_mi.samples import Chunk, Item

ADDRESS = "F0:F1:F2:F3:F4:F5"
QUICK = Timeouts(scan=5, connect=5, pair=5, call=2, first_frame=5, silence=5)
PATIENT = Patience(first=5, lost=5, backoff=0.01)


@asynccontextmanager
async def emulated(
    path: Path, samples: np.ndarray, *, profile: str = "h10", repeat: bool = False, **faults: Any
) -> AsyncIterator[Peripheral]:
    """A patch that sends as fast as the link takes it."""
    plan = FaultPlan(**faults)
    sensor = EmulatedSensor(PATCHES[profile](plan), samples, plan, repeat=repeat)
    async with SocketAir(path) as air:
        patch = Peripheral(*air.hci("patch"), sensor, address=ADDRESS, speed=0)
        await patch.start()
        yield patch


@asynccontextmanager
async def patch_stream(path: Path, name: str = "Polar H10", **options: Any) -> AsyncIterator[PatchStream]:
    """The production client on the emulator's socket."""
    options = {"timeouts": QUICK, "patience": PATIENT, **options}
    async with Radio(link=f"unix:{path}") as radio, PatchStream(radio, target_of(name), **options) as stream:
        yield stream


async def listen(
    path: Path, name: str = "Polar H10", *, events: list[str] | None = None, **options: Any
) -> tuple[list[Item], Any]:
    """All items until the patch ends its measurement, and the statistics."""
    tell = events.append if events is not None else None
    async with patch_stream(path, name, on_event=tell, **options) as stream:
        items = [item async for item in stream]
    return items, stream.statistics


def codes(items: list[Item], codes_per_mv: float = 1000.0) -> np.ndarray:
    """Samples of all chunks as the sensor's integers."""
    return np.rint(np.concatenate([i.samples_mv for i in items if isinstance(i, Chunk)]) * codes_per_mv)


async def until(condition: Any) -> None:
    """Let the event loop turn until `condition()` holds."""
    while not condition():
        await asyncio.sleep(0)


__all__ = ["ADDRESS", "PATIENT", "QUICK", "Choices", "codes", "emulated", "listen", "patch_stream", "until"]
