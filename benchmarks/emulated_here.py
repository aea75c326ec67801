"""An emulated patch and the production client that streams it, both in this process."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from edge_mi.firmware_bridge.bridge import patch_stream, radio_of
from edge_mi.firmware_bridge.client import PatchStream
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir

_ADDRESS: Final = "F0:F1:F2:F3:F4:F5"


@asynccontextmanager
async def stream_of(sensor: EmulatedSensor, *, speed: float = 0.0) -> AsyncIterator[PatchStream]:
    """The stream of `sensor`, which sends at `speed` times real time; 0: as fast as it is taken."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hci"
        async with SocketAir(path) as air:
            peripheral = Peripheral(*air.hci("patch"), sensor, address=_ADDRESS, speed=speed)
            await peripheral.start()
            async with (
                radio_of(f"unix:{path}") as radio,
                patch_stream(radio, sensor.patch.name.partition(" ")[0]) as stream,
            ):
                yield stream
