"""An emulated patch that sends at the pace of a heart; for tests in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from edge_mi.firmware_bridge.emulator.fault_plan import FaultPlan
from edge_mi.firmware_bridge.emulator.gatt import EmulatedPatch
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir
from patches import ADDRESS


def ramp(n: int) -> np.ndarray:
    """Samples that are their own number, so that a wrong place shows."""
    return np.arange(n, dtype=np.int64) % 16_000


class StubbornH10(H10):
    """It goes on measuring when the link is lost, as after a program that was killed: only a command stops it."""

    def parted(self) -> None:
        """See `H10`."""


@asynccontextmanager
async def worn(
    path: Path,
    samples: np.ndarray,
    *,
    profile: str = "h10",
    patch: EmulatedPatch | None = None,
    repeat: bool = False,
    speed: float = 1.0,
    **faults: Any,
) -> AsyncIterator[Peripheral]:
    """A patch in an air of its own; `patch` in place of the profile's."""
    plan = FaultPlan(**faults)
    sensor = EmulatedSensor(patch or PATCHES[profile](plan), samples, plan, repeat=repeat)
    async with SocketAir(path) as air:
        peripheral = Peripheral(*air.hci("patch"), sensor, address=ADDRESS, speed=speed)
        await peripheral.start()
        yield peripheral
