"""The emulated H10 is an H10 to libraries that were written for a real one, unchanged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.firmware_bridge.virtual_link import as_platform
from patches import emulated

N = 73
FRAMES = 40


def ramp() -> np.ndarray:
    return np.arange(FRAMES * N, dtype=np.int64)


async def strap() -> Any:
    import bleak

    return await bleak.BleakScanner.find_device_by_name("Polar H10 EDGE0001", timeout=5)


async def test_bleakheart_streams_from_the_emulator(tmp_path: Path) -> None:
    bleakheart = pytest.importorskip("bleakheart", reason="bleakheart is not installed")
    import bleak

    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with emulated(tmp_path / "hci", ramp()) as patch, as_platform(f"unix:{tmp_path / 'hci'}"):
        async with bleak.BleakClient(await strap()) as client:
            pmd = bleakheart.PolarMeasurementData(client, ecg_queue=heard)
            assert "ECG" in await pmd.available_measurements()
            error, *_ = await pmd.start_streaming("ECG")
            assert error == 0
            frames = [await asyncio.wait_for(heard.get(), 5) for _ in range(FRAMES)]
            await pmd.stop_streaming("ECG")
        assert not patch.patch.measuring
    assert [sample for frame in frames for sample in frame[2]] == ramp().tolist()


async def test_polar_python_streams_from_the_emulator(tmp_path: Path) -> None:
    polar = pytest.importorskip("polar_python", reason="polar-python is not installed")
    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with (
        emulated(tmp_path / "hci", ramp(), repeat=True) as patch,
        as_platform(f"unix:{tmp_path / 'hci'}"),
    ):
        async with polar.PolarDevice(await strap()) as device:
            await device.start_ecg_stream(heard.put_nowait, sample_rate=130, resolution=14)
            frames = [await asyncio.wait_for(heard.get(), 5) for _ in range(FRAMES)]
            await device.stop_ecg_stream()
        assert not patch.patch.measuring
    assert [getattr(s, "ecg", s) for frame in frames for s in frame.data] == ramp().tolist()
