"""Several who look for a patch at once: none waits for another, and the scan ends with the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edge_mi.firmware_bridge.client import PatchStream
from edge_mi.firmware_bridge.emulator.fault_plan import Fault, FaultPlan
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir
from edge_mi.firmware_bridge.radio import Radio
from edge_mi.firmware_bridge.shared_scan import SharedScan
from edge_mi.firmware_bridge.target import target_of
from virtual_time import in_virtual_time, now_s
from worn import ramp

from edge_mi.samples import Gap


class Air:
    """What scanners hear: devices by name. fails: the start of a scan."""

    def __init__(self) -> None:
        self.running: list[Scanner] = []
        self.most = self.started = 0
        self.fails: Exception | None = None
        self.start_s = self.stop_s = 0.1

    def scanner(self, heard: Callable[[Any, Any], None]) -> Scanner:
        return Scanner(self, heard)

    def say(self, name: str) -> None:
        for each in self.running:
            each.heard(name, None)


class Scanner:
    """As bleak's, of one radio."""

    def __init__(self, air: Air, heard: Callable[[Any, Any], None]) -> None:
        self.air, self.heard = air, heard

    async def start(self) -> None:
        await asyncio.sleep(self.air.start_s)
        if self.air.fails is not None:
            raise self.air.fails
        self.air.running.append(self)
        self.air.started += 1
        self.air.most = max(self.air.most, len(self.air.running))

    async def stop(self) -> None:
        await asyncio.sleep(self.air.stop_s)
        self.air.running.remove(self)


def named(name: str) -> Callable[[Any, Any], bool]:
    return lambda device, _: bool(device == name)


@in_virtual_time
async def test_everybody_hears_the_one_scan() -> None:
    air = Air()
    scan = SharedScan(air.scanner)
    asyncio.get_running_loop().call_later(5, air.say, "b")
    asyncio.get_running_loop().call_later(9, air.say, "a")
    found = await asyncio.gather(*(scan.find(named(name), 20) for name in "abc"))
    assert found == ["a", "b", None]
    assert air.most == 1
    assert not air.running
    assert 20 < now_s() < 21


@in_virtual_time
async def test_a_scan_that_cannot_start_is_said_to_all_who_wait_for_it() -> None:
    air = Air()
    scan = SharedScan(air.scanner)
    first = asyncio.ensure_future(scan.find(named("a"), 20))
    await asyncio.sleep(5)
    air.fails = OSError("the service is gone")
    second = asyncio.ensure_future(scan.find(named("b"), 20))
    for each in (first, second):
        with pytest.raises(OSError, match="the service is gone"):
            await each
    assert not air.running
    air.fails = None
    asyncio.get_running_loop().call_later(5, air.say, "a")
    assert await scan.find(named("a"), 20) == "a"


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.25, 3.0])
@in_virtual_time
async def test_who_stops_looking_leaves_the_others_their_scan(after_s: float) -> None:
    air = Air()
    scan = SharedScan(air.scanner)
    staying = asyncio.ensure_future(scan.find(named("a"), 20))
    await asyncio.sleep(0.12)
    leaving = asyncio.ensure_future(scan.find(named("b"), 20))
    await asyncio.sleep(after_s)
    leaving.cancel()
    await asyncio.sleep(1)
    assert len(air.running) == 1
    air.say("a")
    assert await staying == "a"
    assert not air.running


@in_virtual_time
async def test_who_comes_while_the_scan_ends_gets_one_too() -> None:
    air = Air()
    scan = SharedScan(air.scanner)

    async def later() -> Any:
        await asyncio.sleep(1.15)  # the first is ended from 1.1 to 1.2 s
        return await scan.find(named("b"), 3)

    asyncio.get_running_loop().call_later(3, air.say, "b")
    assert await asyncio.gather(scan.find(named("a"), 1), later()) == [None, "b"]
    assert (air.started, air.most) == (2, 1)
    assert not air.running


@in_virtual_time
async def test_a_patch_is_found_again_however_many_others_are_away(tmp_path: Path) -> None:
    again = FaultPlan(fault=(Fault(kind="disconnect", at_s=20, for_s=0.5, every_s=60),))
    away = FaultPlan(fault=(Fault(kind="disconnect", at_s=10, for_s=3000),))
    gaps: list[Gap] = []
    async with SocketAir(tmp_path / "hci") as air, Radio(link=f"unix:{tmp_path / 'hci'}") as radio:

        async def listen(i: int, name: str) -> None:
            patch = H10()
            patch.name = f"Polar H10 {name}"
            sensor = EmulatedSensor(patch, ramp(2600), again if i == 0 else away, repeat=True)
            await Peripheral(*air.hci(name), sensor, address=f"F0:F1:F2:F3:F4:0{i}").start()
            async with PatchStream(radio, target_of(patch.name)) as stream:
                async for item in stream:
                    if i == 0 and isinstance(item, Gap):
                        gaps.append(item)
                    if now_s() > 250:
                        return

        everybody = [asyncio.ensure_future(listen(i, name)) for i, name in enumerate("ABCDE")]
        await everybody[0]
        for each in everybody:
            each.cancel()
        await asyncio.gather(*everybody, return_exceptions=True)
    assert len(gaps) == 4
    assert all(each.n_samples is not None and each.n_samples < 2 * 130 for each in gaps)
