"""The emulated sensor's time passes whether anybody listens or not, and its record ends once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bleak
import numpy as np
import pytest
from edge_mi.firmware_bridge import edge_mi_packet as emp
from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.emulator.fault_plan import NO_FAULTS, Fault
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.radio import Timeouts
from edge_mi.firmware_bridge.virtual_link import as_platform
from patches import codes, patch_stream
from virtual_time import in_virtual_time, now_s
from worn import ramp, worn

from edge_mi.errors import PatchError
from edge_mi.samples import Gap, Item

SPOKEN = {"healthypi5": "healthypi5-fw1"}  # emulated patch -> profile that speaks with it, where not its own
PACKET = 62  # samples of an EdgeMI packet


class Data:
    """Counters of the data packets of one link, and when they came."""

    def __init__(self) -> None:
        self.came: list[tuple[int, float]] = []
        self.measurements: set[int] = set()
        self._more = asyncio.Event()

    def take(self, _: object, data: bytearray) -> None:
        """For bleak."""
        frame = emp.decode_data(bytes(data)).frame
        self.came.append((frame.counter or 0, now_s()))
        self.measurements.add(frame.measurement)
        self._more.set()

    async def grow(self, n: int) -> None:
        """Wait until there are n."""
        while len(self.came) < n:
            self._more.clear()
            await self._more.wait()


@asynccontextmanager
async def edge_mi_client(path: Path) -> AsyncIterator[tuple[bleak.BleakClient, Data]]:
    data = Data()
    async with as_platform(f"unix:{path}"):
        found = await bleak.BleakScanner.find_device_by_name("EdgeMI Patch 0001", timeout=5)
        assert found is not None
        async with bleak.BleakClient(found) as client:
            await client.pair()
            await client.start_notify(emp.CONTROL, lambda *_: None)
            await client.start_notify(emp.DATA, data.take)
            yield client, data


async def start(client: bleak.BleakClient, resume: int = 0) -> float:
    """When it was asked for."""
    at_s = now_s()
    await client.write_gatt_char(emp.CONTROL, emp.encode_start(0, resume), response=True)
    return at_s


def ends(data: Data, speed: float = 1.0) -> list[float]:
    """When the sensor was at counter 0, as each packet says that is sent once its last sample is made."""
    return [came_s - (counter + PACKET) / 250 / speed for counter, came_s in data.came]


@pytest.mark.parametrize("speed", [1.0, 4.0])
@pytest.mark.parametrize("waits_s", [0.0, 10.0, 300.0])
@in_virtual_time
async def test_a_measurement_that_goes_on_runs_as_if_nothing_had_been(
    tmp_path: Path, waits_s: float, speed: float
) -> None:
    fault = (Fault(kind="disconnect", at_s=20, for_s=2 * speed),)
    async with worn(tmp_path / "hci", ramp(5000), profile="edgemi", repeat=True, speed=speed, fault=fault):
        async with edge_mi_client(tmp_path / "hci") as (client, before):
            began_s = await start(client)
            while client.is_connected:
                await asyncio.sleep(0.1)
        async with edge_mi_client(tmp_path / "hci") as (client, after):
            await asyncio.sleep(waits_s)  # longer than the minute that it goes on without a link
            await start(client, resume=1)
            await after.grow(5)
    assert before.measurements == after.measurements == {1}
    # to a sample, in the beginning and for ever: no link makes the sensor early or late
    assert ends(before, speed) == pytest.approx([began_s] * len(before.came), abs=0.01)
    assert ends(after, speed) == pytest.approx([began_s] * len(after.came), abs=0.01)


@in_virtual_time
async def test_a_client_that_starts_late_or_again_finds_the_sensor_where_its_clock_is(tmp_path: Path) -> None:
    async with (
        worn(tmp_path / "hci", ramp(5000), profile="edgemi", repeat=True) as patch,
        edge_mi_client(tmp_path / "hci") as (client, data),
    ):
        await asyncio.sleep(50)  # the record begins with the first measurement
        began_s = await start(client)
        assert patch.sensor.made == 0
        await data.grow(1)
        for pause_s in (7.0, 90.0):
            await client.write_gatt_char(emp.CONTROL, emp.encode_stop(), response=True)
            await asyncio.sleep(pause_s)
            await start(client)
            await data.grow(len(data.came) + 2)
        assert patch.sensor.made / 250 == pytest.approx(now_s() - began_s, abs=0.3)


@in_virtual_time
async def test_a_machine_that_is_too_slow_for_the_pace_costs_no_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Peripheral._send

    async def slowly(*args: Any) -> None:
        await asyncio.sleep(2)  # of a packet that lasts half a second
        await send(*args)

    monkeypatch.setattr(Peripheral, "_send", slowly)
    fault = (Fault(kind="disconnect", at_s=10, for_s=2),)
    gaps: list[int | None] = []
    async with (
        worn(tmp_path / "hci", ramp(130 * 60), fault=fault),
        patch_stream(tmp_path / "hci", timeouts=Timeouts(), patience=Patience()) as stream,
    ):
        async for item in stream:
            gaps += [item.n_samples] if isinstance(item, Gap) else []
            if stream.statistics.reconnects:
                break
    (missing,) = gaps
    assert missing is not None
    assert 2 * 130 <= missing < 10 * 130  # away, and what the answer to the start takes


@pytest.mark.parametrize("profile", PATCHES)
@in_virtual_time
async def test_at_the_end_of_its_record_a_patch_stays_there_whoever_comes_back(
    tmp_path: Path, profile: str
) -> None:
    made = PATCHES[profile](NO_FAULTS)
    record = ramp(int(made.rate_hz * 20) // 144 * 144)  # whole packets of most patches
    async with worn(tmp_path / "hci", record, profile=profile) as patch:
        heard = await until_it_stops(tmp_path / "hci", profile, patch)
        delivered = codes(heard, made.codes_per_mv)
        assert np.array_equal(delivered, record[: len(delivered)])
        assert len(delivered) > len(record) - 144
        assert not await until_it_stops(tmp_path / "hci", profile, patch)


@pytest.mark.parametrize("profile", ["h10", "movesense"])
@in_virtual_time
async def test_unpaced_it_stays_at_its_end_too(tmp_path: Path, profile: str) -> None:
    async with worn(tmp_path / "hci", ramp(73 * 16), profile=profile, speed=0) as patch:
        assert await until_it_stops(tmp_path / "hci", profile, patch)
        assert not await until_it_stops(tmp_path / "hci", profile, patch)


async def until_it_stops(path: Path, profile: str, patch: Peripheral) -> list[Item]:
    """All that is heard, over as many links as a client makes who waits for more, for ten minutes at most."""
    items: list[Item] = []
    choices = Choices(profile=PROFILES[SPOKEN.get(profile, profile)])
    try:
        async with (
            asyncio.timeout(600),
            patch_stream(
                path, patch.patch.name, choices=choices, timeouts=Timeouts(), patience=Patience()
            ) as stream,
        ):
            async for item in stream:
                items.append(item)
    except (PatchError, TimeoutError):
        pass  # those that fall silent are given up some time
    return items


@pytest.mark.parametrize("profile", ["movesense", "edgemi"])
@in_virtual_time
async def test_with_repeat_the_record_begins_again(tmp_path: Path, profile: str) -> None:
    made = PATCHES[profile](NO_FAULTS)
    items: list[Item] = []
    async with (
        worn(tmp_path / "hci", ramp(1000), profile=profile, repeat=True),
        patch_stream(tmp_path / "hci", made.name, timeouts=Timeouts(), patience=Patience()) as stream,
    ):
        async for item in stream:
            items.append(item)
            if stream.statistics.samples >= 3000:
                break
    assert np.array_equal(codes(items, made.codes_per_mv)[:3000], np.tile(ramp(1000), 3))
