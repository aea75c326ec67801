"""What an emulated patch lets a client read and subscribe to: the present battery, and nothing without encryption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import bleak
import pytest
from bleak.exc import BleakError
from edge_mi.firmware_bridge.battery import BATTERY_LEVEL
from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.emulator.fault_plan import Fault
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.virtual_link import as_platform
from patches import patch_stream
from virtual_time import in_virtual_time
from worn import ramp, worn

from edge_mi.errors import PatchError

SPOKEN = {"healthypi5": "healthypi5-fw1"}  # emulated patch -> profile that speaks with it, where not its own


@asynccontextmanager
async def client_of(path: Path, patch: Peripheral) -> AsyncIterator[bleak.BleakClient]:
    async with as_platform(f"unix:{path}"):
        found = await bleak.BleakScanner.find_device_by_name(patch.patch.name, timeout=5)
        assert found is not None
        async with bleak.BleakClient(found) as client:
            yield client


def choices(profile: str, *, encrypt: bool) -> Choices:
    return Choices(profile=PROFILES[SPOKEN.get(profile, profile)], encrypt=encrypt)


@pytest.mark.parametrize("profile", PATCHES)
@in_virtual_time
async def test_the_battery_that_is_read_is_the_present_one(tmp_path: Path, profile: str) -> None:
    fault = (Fault(kind="battery", at_s=3, percent=9), Fault(kind="disconnect", at_s=6))
    samples = ramp(60 * 250)
    async with worn(tmp_path / "hci", samples, profile=profile, fault=fault, battery_percent=55) as patch:
        async with client_of(tmp_path / "hci", patch) as client:
            assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x37"
        told: list[int | None] = []
        async with patch_stream(
            tmp_path / "hci", patch.patch.name, choices=choices(profile, encrypt=False)
        ) as stream:
            async for _ in stream:
                if told[-1:] != [stream.statistics.battery_percent]:
                    told.append(stream.statistics.battery_percent)
                if stream.statistics.reconnects:
                    break
        async with client_of(tmp_path / "hci", patch) as client:
            assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x09"
    assert told == [55, 9]


@pytest.mark.parametrize("profile", PATCHES)
@in_virtual_time
async def test_a_patch_that_wants_pairing_lets_nobody_subscribe_without(tmp_path: Path, profile: str) -> None:
    async with (
        worn(tmp_path / "hci", ramp(20_000), profile=profile, pairing=True, repeat=True) as patch,
        client_of(tmp_path / "hci", patch) as client,
    ):
        for characteristic in PROFILES[profile].subscribe:
            with pytest.raises(BleakError, match="INSUFFICIENT_ENCRYPTION"):
                await client.start_notify(characteristic, lambda *_: None)
        # the demand is of the patch's own service
        await client.start_notify(BATTERY_LEVEL, lambda *_: None)
        await asyncio.sleep(2)
        assert not patch.streaming


@pytest.mark.parametrize("profile", PATCHES)
@in_virtual_time
async def test_a_patch_that_wants_pairing_streams_over_an_encrypted_link_only(
    tmp_path: Path, profile: str
) -> None:
    async with worn(tmp_path / "hci", ramp(20_000), profile=profile, pairing=True, repeat=True) as patch:
        if not PROFILES[profile].encrypted:
            with pytest.raises(
                PatchError, match=r"INSUFFICIENT_\w+: ask for an encrypted link with --encrypt"
            ):
                async with patch_stream(
                    tmp_path / "hci", patch.patch.name, choices=choices(profile, encrypt=False)
                ):
                    pass
        encrypted = []
        async with patch_stream(
            tmp_path / "hci", patch.patch.name, choices=choices(profile, encrypt=True)
        ) as stream:
            async for _ in stream:
                encrypted += [each.is_encrypted for each in patch.device.connections.values()]
                if len(encrypted) == 20:
                    break
    assert encrypted == [True] * 20


@in_virtual_time
async def test_an_edgemi_patch_wants_encryption_whatever_the_plan_says(tmp_path: Path) -> None:
    async with (
        worn(tmp_path / "hci", ramp(20_000), profile="edgemi") as patch,
        client_of(tmp_path / "hci", patch) as client,
    ):
        for characteristic in PROFILES["edgemi"].subscribe:
            with pytest.raises(BleakError, match="INSUFFICIENT_ENCRYPTION"):
                await client.start_notify(characteristic, lambda *_: None)


@in_virtual_time
async def test_what_is_no_command_characteristic_takes_no_write(tmp_path: Path) -> None:
    async with worn(tmp_path / "hci", ramp(500)) as patch, client_of(tmp_path / "hci", patch) as client:
        with pytest.raises(BleakError, match="WRITE_NOT_PERMITTED"):
            await client.write_gatt_char(BATTERY_LEVEL, b"\x01", response=True)
        assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x57"
        assert not patch.commands
