"""Each kind of patch through the same client: all samples, its grade, its end, and a lost link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bleak
import bumble.gatt_client
import numpy as np
import pytest
from edge_mi.firmware_bridge import edge_mi_packet as emp
from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.emulator.fault_plan import NO_FAULTS, Fault, Kind
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.profiles import PROFILES, profile_named, profiles_for
from edge_mi.firmware_bridge.radio import Timeouts
from edge_mi.firmware_bridge.virtual_link import as_platform
from patches import codes, emulated, listen, patch_stream
from virtual_time import in_virtual_time, now_s
from worn import worn

from edge_mi.errors import ConfigError, PatchError
from edge_mi.samples import Chunk, Gap

STREAMED = {  # profile -> name to find it by, samples of a packet, grade
    "h10": ("Polar H10", 73, "stamp"),
    "movesense": ("Movesense", 16, "stamp"),
    "healthypi-move": ("HealthyPi Move", 16, "none"),
    "healthypi4": ("Healthypi", 9, "none"),
    "edgemi": ("EdgeMI", 62, "counter"),
}


def ramp(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64) % 16_000


def codes_per_mv(profile: str) -> float:
    return PATCHES[profile](NO_FAULTS).codes_per_mv


@pytest.mark.parametrize("profile", STREAMED)
async def test_every_sample_arrives_once(tmp_path: Path, profile: str) -> None:
    name, n, grade = STREAMED[profile]
    async with emulated(tmp_path / "hci", ramp(200 * n), profile=profile) as patch:
        heard = []
        async with patch_stream(tmp_path / "hci", name) as stream:
            async for item in stream:
                heard.append(item)
                if sum(len(each.samples_mv) for each in heard if isinstance(each, Chunk)) == 200 * n:
                    break
        assert np.array_equal(codes(heard, codes_per_mv(profile)), ramp(200 * n))
        assert stream.statistics.grade == grade
        assert stream.statistics.battery_percent == 87
        assert (stream.statistics.gaps, stream.statistics.bad_frames) == (0, 0)
        assert not patch.patch.measuring


@pytest.mark.parametrize("profile", STREAMED)
async def test_a_lost_link_is_a_gap_as_well_known_as_the_patch_allows(tmp_path: Path, profile: str) -> None:
    name, n, grade = STREAMED[profile]
    away_s = 2.0
    fault = (Fault(kind="disconnect", at_s=3.0, for_s=away_s),)
    async with emulated(tmp_path / "hci", ramp(400 * n), profile=profile, fault=fault) as patch:
        heard = []
        async with patch_stream(tmp_path / "hci", name) as stream:
            async for item in stream:
                heard.append(item)
                if any(isinstance(each, Gap) for each in heard) and isinstance(item, Chunk):
                    break
        made_hz = patch.patch.rate_hz
    gap = next(item for item in heard if isinstance(item, Gap))
    assert gap.cause == "link_lost"
    assert gap.n_samples == (None if grade == "none" else pytest.approx(away_s * made_hz, abs=1))
    assert stream.statistics.reconnects == 1


@pytest.mark.parametrize("profile", STREAMED)
async def test_a_reset_is_a_lost_link_after_which_the_patch_begins_anew(tmp_path: Path, profile: str) -> None:
    name, n, grade = STREAMED[profile]
    fault = (Fault(kind="reset", at_s=3.0, for_s=2.0),)
    async with emulated(tmp_path / "hci", ramp(400 * n), profile=profile, fault=fault) as patch:
        heard = []
        async with patch_stream(tmp_path / "hci", name) as stream:
            async for item in stream:
                heard.append(item)
                if any(isinstance(each, Gap) for each in heard) and isinstance(item, Chunk):
                    break
        rate_hz = patch.patch.rate_hz
    (at,) = (i for i, item in enumerate(heard) if isinstance(item, Gap))
    before = codes(heard[:at], codes_per_mv(profile))
    assert np.array_equal(before, ramp(len(before)))
    assert 3.0 <= len(before) / rate_hz < 3.0 + n / rate_hz  # the packet in which it falls is the last
    assert heard[at].cause == "link_lost" if grade == "none" else "reset"
    assert heard[at].n_samples is None
    assert codes(heard[at + 1 :], codes_per_mv(profile))[0] == len(before) + round(2.0 * rate_hz)
    assert (stream.statistics.reconnects, stream.statistics.bad_frames) == (1, 0)


@pytest.mark.parametrize("by_s", [-500.0, 500.0])
async def test_a_clock_that_jumps_costs_a_patch_with_a_counter_nothing(tmp_path: Path, by_s: float) -> None:
    name, n, _ = STREAMED["edgemi"]
    fault = (Fault(kind="clock_jump", at_s=20.0, by_s=by_s),)
    async with (
        emulated(tmp_path / "hci", ramp(400 * n), profile="edgemi", fault=fault) as patch,
        patch_stream(tmp_path / "hci", name) as stream,
    ):
        heard = []
        async for item in stream:
            heard.append(item)
            if sum(len(each.samples_mv) for each in heard if isinstance(each, Chunk)) == 400 * n:
                break
    assert np.array_equal(codes(heard, codes_per_mv("edgemi")), ramp(400 * n))
    assert [each.t_s for each in heard] == pytest.approx([i * n / patch.patch.rate_hz for i in range(400)])
    assert (stream.statistics.gaps, stream.statistics.restarts) == (0, 0)


@pytest.mark.parametrize("kind", ["disconnect", "reset"])
@pytest.mark.parametrize("speed", [1.0, 4.0])
@in_virtual_time
async def test_a_patch_that_is_away_is_heard_again_when_its_time_is_over(
    tmp_path: Path, kind: Kind, speed: float
) -> None:
    away_s, seconds = 40.0, 100
    told: list[tuple[str, float]] = []
    fault = (Fault(kind=kind, at_s=20.0, for_s=away_s),)
    async with worn(tmp_path / "hci", ramp(seconds * 130), speed=speed, fault=fault) as patch:
        async with patch_stream(
            tmp_path / "hci",
            on_event=lambda event: told.append((event, now_s())),
            timeouts=Timeouts(),
            patience=Patience(),
        ) as stream:
            async for item in stream:
                if isinstance(item, Gap):
                    back_s = now_s()
        (lost_s,) = (at_s for event, at_s in told if event == "the link is lost")
        assert lost_s == pytest.approx(20.0 / speed, abs=2)
        assert away_s / speed <= back_s - lost_s < away_s / speed + 15  # a scan and a wait of the client's
        # all the while the sensor went on at its pace, and no faster
        assert now_s() == pytest.approx(seconds / speed, abs=3)
        assert patch.sensor.made == pytest.approx(seconds * 130, abs=2 * 73)


class BrokenH10(H10):
    """One whose firmware has a bug."""

    def packet(self, *args: Any) -> Any:
        """See `H10`."""
        raise ZeroDivisionError("no such luck")


def test_what_goes_wrong_in_the_stream_ends_the_emulator_with_its_words(tmp_path: Path) -> None:
    @in_virtual_time
    async def emulate() -> None:
        async with worn(tmp_path / "hci", ramp(500), patch=BrokenH10()):
            await listen(tmp_path / "hci")

    with pytest.raises(SystemExit, match=r"^edge-mi: .* failed: ZeroDivisionError: no such luck$"):
        emulate()


# the protocol of docs/patch-protocol.md, byte by byte

NEW, GO_ON = emp.encode_start(), emp.encode_start(0, 1)


class Heard(list[tuple[str, bytes]]):
    """What came on control and data, in this order."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def keep(self, kind: str) -> Callable[..., None]:
        """What to call with each packet of this kind."""

        def take(_: Any, data: bytearray) -> None:
            self.append((kind, bytes(data)))
            self._more.set()

        return take

    async def grow(self, n: int) -> None:
        """Wait for n more packets."""
        wanted = len(self) + n
        while len(self) < wanted:
            self._more.clear()
            await self._more.wait()

    @property
    def controls(self) -> list[str]:
        """Control packets by name."""
        names = {0x81: "start", 0x82: "stop", 0x83: "describe", 0x40: "status", 0x41: "stopped"}
        return [names[data[0]] for kind, data in self if kind == "control"]


@asynccontextmanager
async def edge_mi_client(path: Path) -> AsyncIterator[tuple[bleak.BleakClient, Heard]]:
    """A client of an EdgeMI Patch, and what it heard."""
    heard = Heard()
    async with as_platform(f"unix:{path}"):
        found = await bleak.BleakScanner.find_device_by_name("EdgeMI Patch 0001", timeout=5)
        assert found is not None
        async with bleak.BleakClient(found) as client:
            await client.pair()
            await client.start_notify(emp.CONTROL, heard.keep("control"))
            await client.start_notify(emp.DATA, heard.keep("data"))
            yield client, heard


def packets_heard(heard: list[tuple[str, bytes]]) -> list[tuple[int, int]]:
    """Measurement and counter of every data packet."""
    frames = [emp.decode_data(data).frame for kind, data in heard if kind == "data"]
    return [(int(frame.measurement or 0), int(frame.counter or 0)) for frame in frames]


@pytest.mark.parametrize("speed", [0.0, 1.0])
@in_virtual_time
async def test_nothing_comes_behind_stopped(tmp_path: Path, speed: float) -> None:
    async with (
        worn(tmp_path / "hci", ramp(5000), profile="edgemi", repeat=True, speed=speed),
        edge_mi_client(tmp_path / "hci") as (client, heard),
    ):
        await client.write_gatt_char(emp.CONTROL, NEW, response=True)
        await heard.grow(30)
        await client.write_gatt_char(emp.CONTROL, emp.encode_stop(), response=True)
        await asyncio.sleep(10)
        assert [kind for kind, _ in heard[-3:]] == ["data", "control", "control"]
        assert heard.controls == ["start", "stop", "stopped"]


@pytest.mark.parametrize("speed", [0.0, 1.0])
@in_virtual_time
async def test_a_start_while_it_measures_is_answered_before_the_data_that_it_begins(
    tmp_path: Path, speed: float
) -> None:
    async with (
        worn(tmp_path / "hci", ramp(5000), profile="edgemi", repeat=True, speed=speed),
        edge_mi_client(tmp_path / "hci") as (client, heard),
    ):
        for command in (NEW, emp.encode_describe(), GO_ON, NEW):
            await client.write_gatt_char(emp.CONTROL, command, response=True)
            await heard.grow(30)
        assert heard.controls == ["start", "describe", "start", "start"]
        last = max(i for i, (kind, _) in enumerate(heard) if kind == "control")
        before, after = packets_heard(heard[:last]), packets_heard(heard[last:])
        # neither a question nor a start that goes on costs a sample
        assert before == [(1, 62 * i) for i in range(len(before))]
        assert after == [(2, 62 * i) for i in range(len(after))]


@in_virtual_time
async def test_commands_that_do_not_wait_are_answered_one_after_the_other(tmp_path: Path) -> None:
    async with (
        worn(tmp_path / "hci", ramp(5000), profile="edgemi", repeat=True),
        edge_mi_client(tmp_path / "hci") as (client, heard),
    ):
        for command in (NEW, emp.encode_stop(), NEW, emp.encode_stop(), NEW):
            await client.write_gatt_char(emp.CONTROL, command, response=True)
        await asyncio.sleep(3)
        assert heard.controls == ["start", "stop", "stopped", "start", "stop", "stopped", "start"]
        assert {measurement for measurement, _ in packets_heard(heard)} == {3}


@in_virtual_time
async def test_a_client_that_confirms_nothing_loses_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bumble.gatt_client.Client, "send_confirmation", lambda *_: None)
    async with worn(tmp_path / "hci", ramp(5000), profile="edgemi", repeat=True) as patch:
        async with edge_mi_client(tmp_path / "hci") as (client, _):
            await client.write_gatt_char(emp.CONTROL, NEW, response=True)
            await asyncio.sleep(29)
            assert client.is_connected
            await asyncio.sleep(2)
            assert not client.is_connected
        assert not patch.streaming


async def test_a_healthypi_5_is_refused_with_the_reason_unless_the_user_knows_its_firmware(
    tmp_path: Path,
) -> None:
    async with emulated(tmp_path / "hci", ramp(800), profile="healthypi5", repeat=True):
        with pytest.raises(PatchError, match="leaves out every ninth sample"):
            await listen(tmp_path / "hci", "healthypi 5")
        async with patch_stream(
            tmp_path / "hci", "healthypi 5", choices=Choices(profile=PROFILES["healthypi5-fw1"])
        ) as stream:
            async for item in stream:
                assert isinstance(item, Chunk)
                break


def test_a_name_tells_layouts_apart_that_share_their_service() -> None:
    service = PROFILES["healthypi-move"].service
    assert [each.key for each in profiles_for("HealthyPi Move", [service])] == ["healthypi-move"]
    assert len(profiles_for("somebody", [service])) == 4
    assert [each.key for each in profiles_for("somebody", [PROFILES["h10"].service])] == ["h10"]
    assert profiles_for("Polar H10", ["0000180d-0000-1000-8000-00805f9b34fb"]) == []


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="no profile 'h9'; there are h10, movesense"):
        profile_named("h9")
