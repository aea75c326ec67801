"""What does not come, or comes late: the adapter, the first frame, an answer, the rest of a stream."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import bleak
import numpy as np
import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError
from edge_mi.firmware_bridge.client import Choices, PatchStream
from edge_mi.firmware_bridge.emulator.fault_plan import NO_FAULTS, Fault, FaultPlan
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir
from edge_mi.firmware_bridge.life import Patience, State
from edge_mi.firmware_bridge.polar_pmd import SAMPLES_PER_FRAME as N
from edge_mi.firmware_bridge.polar_pmd import START_ECG, STOP_ECG
from edge_mi.firmware_bridge.radio import AdapterMissing, Radio, Timeouts
from edge_mi.firmware_bridge.target import target_of
from hung_calls import HungCalls, radio_with
from patches import ADDRESS, codes, patch_stream
from virtual_time import VirtualTimeLoop, in_virtual_time, now_s
from worn import StubbornH10, ramp, worn

from edge_mi.errors import DeviceNotFound, PatchError
from edge_mi.samples import Chunk, Gap, Item

PRODUCTION: dict[str, Any] = {"timeouts": Timeouts(), "patience": Patience()}


async def listen(
    radio: Radio | Path, events: list[str] | None = None, name: str = "Polar", **options: Any
) -> tuple[list[Item], PatchStream]:
    """All items under the production's own timeouts, and the stream."""
    if isinstance(radio, Path):
        async with Radio(link=f"unix:{radio}") as made:
            return await listen(made, events, name, **options)
    tell = events.append if events is not None else None
    async with PatchStream(radio, target_of(name), on_event=tell, **options) as stream:
        return [item async for item in stream], stream


def gaps_of(items: list[Item]) -> list[tuple[int | None, str]]:
    return [(item.n_samples, item.cause) for item in items if isinstance(item, Gap)]


def assert_all_accounted(items: list[Item], made: int) -> None:
    """Every chunk is where its index says, and the rest is in gaps, from the first sample that was heard."""
    assert isinstance(items[0], Chunk)
    first, total = round(items[0].samples_mv[0] * 1000), 0
    for item in items:
        if isinstance(item, Chunk):
            assert item.index == total
            expected = (first + np.arange(total, total + len(item.samples_mv))) % 16_000
            assert np.array_equal(np.rint(item.samples_mv * 1000), expected)
            total += len(item.samples_mv)
        else:
            assert item.n_samples is not None
            total += item.n_samples
    assert first + total == made


def without_adapter(monkeypatch: pytest.MonkeyPatch, fails: Any) -> None:
    """Let bleak's scans fail for as long as `fails()` gives an error."""
    start = bleak.BleakScanner.start

    async def start_or_fail(scanner: Any) -> None:
        if (error := fails()) is not None:
            raise error
        await start(scanner)

    monkeypatch.setattr(bleak.BleakScanner, "start", start_or_fail)


def powered_off() -> BleakError:
    return BleakBluetoothNotAvailableError(
        "No powered Bluetooth adapters found.", BleakBluetoothNotAvailableReason.POWERED_OFF
    )


@pytest.mark.parametrize("error", [powered_off(), BleakError("org.bluez.Error.NotReady"), EOFError()])
@in_virtual_time
async def test_no_adapter_at_the_start_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    without_adapter(monkeypatch, lambda: error)
    async with worn(tmp_path / "hci", ramp(500)):
        with pytest.raises(AdapterMissing, match=r"switch it on|is the Bluetooth service running"):
            await listen(tmp_path / "hci", **PRODUCTION)
        assert now_s() < 1


@in_virtual_time
async def test_an_adapter_that_is_away_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    without_adapter(monkeypatch, lambda: powered_off() if 3 < now_s() < 100 else None)
    fault = (Fault(kind="disconnect", at_s=5),)
    async with worn(tmp_path / "hci", ramp(300 * 130), fault=fault) as patch:
        items, stream = await listen(tmp_path / "hci", events, **PRODUCTION)
        made = patch.sensor.made
    assert_all_accounted(items, made)
    ((lost, cause),) = gaps_of(items)
    assert (cause, stream.statistics.reconnects) == ("link_lost", 1)
    assert lost is not None
    assert 90 < lost / 130 < 130
    waits = [event for event in events if "No powered Bluetooth adapters" in event]
    assert len(waits) >= 4
    assert all("next try in" in event for event in waits)


@in_virtual_time
async def test_an_adapter_that_stays_away_ends_the_stream_when_patience_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_adapter(monkeypatch, lambda: powered_off() if now_s() > 3 else None)
    fault = (Fault(kind="disconnect", at_s=5),)
    async with worn(tmp_path / "hci", ramp(5000), fault=fault, repeat=True):
        with pytest.raises(PatchError, match="did not come back: no Bluetooth adapter can be used"):
            await listen(tmp_path / "hci", **PRODUCTION)
        assert 5 + 270 < now_s() < 5 + 300


@in_virtual_time
async def test_an_emulator_that_goes_away_for_good_is_named_soon(tmp_path: Path) -> None:
    air = AsyncExitStack()
    await air.enter_async_context(worn(tmp_path / "hci", ramp(5000), repeat=True))
    with pytest.raises(PatchError, match=r"the emulator at unix:.* is gone"):  # noqa: PT012
        async with patch_stream(tmp_path / "hci", "Polar", **PRODUCTION) as stream:
            async for _ in stream:
                await air.aclose()
    assert stream.state is State.FAILED
    assert now_s() < 60


@in_virtual_time
async def test_a_first_frame_after_half_a_minute_is_no_loss(tmp_path: Path) -> None:
    assert Timeouts().first_frame >= 45
    async with worn(tmp_path / "hci", ramp(20 * N), slow_start_s=44):
        items, stream = await listen(tmp_path / "hci", **PRODUCTION)
    assert now_s() > 44
    assert np.array_equal(codes(items), ramp(20 * N))
    assert (stream.statistics.reconnects, stream.statistics.gaps) == (0, 0)


@in_virtual_time
async def test_a_first_frame_after_a_reconnection_has_as_much_time(tmp_path: Path) -> None:
    fault = (Fault(kind="disconnect", at_s=5),)
    async with worn(tmp_path / "hci", ramp(120 * N), slow_start_s=40, fault=fault) as patch:
        items, stream = await listen(tmp_path / "hci", **PRODUCTION)
        assert_all_accounted(items, patch.sensor.made)
    assert stream.statistics.reconnects == 1


@in_virtual_time
async def test_a_stream_that_falls_silent_is_connected_anew_and_the_gap_is_known(tmp_path: Path) -> None:
    events: list[str] = []
    fault = (Fault(kind="stall", at_s=5, for_s=60),)
    async with worn(tmp_path / "hci", ramp(40 * N), fault=fault) as patch:
        items, stream = await listen(tmp_path / "hci", events, **PRODUCTION)
        made = patch.sensor.made
        assert patch.commands == [START_ECG, START_ECG, STOP_ECG]
    assert "no frame in time" in events
    assert stream.statistics.reconnects == 1
    assert [cause for _, cause in gaps_of(items)] == ["link_lost"]
    assert_all_accounted(items, made)


@in_virtual_time
async def test_a_silence_that_is_short_enough_is_no_loss(tmp_path: Path) -> None:
    fault = (Fault(kind="stall", at_s=5, for_s=9),)
    async with worn(tmp_path / "hci", ramp(40 * N), fault=fault):
        items, stream = await listen(tmp_path / "hci", **PRODUCTION)
    assert np.array_equal(codes(items), ramp(40 * N))
    assert (stream.statistics.reconnects, stream.statistics.gaps) == (0, 0)


@in_virtual_time
async def test_a_patch_that_went_on_measuring_over_a_lost_link_is_stopped_and_nothing_is_counted_twice(
    tmp_path: Path,
) -> None:
    fault = (Fault(kind="disconnect", at_s=5),)
    async with worn(tmp_path / "hci", ramp(40 * N), patch=StubbornH10(), fault=fault) as patch:
        items, stream = await listen(tmp_path / "hci", **PRODUCTION)
        assert patch.commands == [START_ECG, START_ECG, STOP_ECG, START_ECG, STOP_ECG]
        assert_all_accounted(items, patch.sensor.made)
    assert sum(len(each.samples_mv) for each in items if isinstance(each, Chunk)) == stream.statistics.samples


class MumblingH10(H10):
    """A link that loses the answers to its commands, while frames of an old measurement come through."""

    def written(self, *args: Any) -> Any:
        """See `H10`."""
        super().written(*args)
        self.measuring = True
        return ()


@in_virtual_time
async def test_a_start_that_is_not_answered_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with worn(tmp_path / "hci", ramp(40 * N), patch=MumblingH10(), repeat=True):
        with pytest.raises(PatchError, match="the start was not answered in time"):
            await listen(tmp_path / "hci", **PRODUCTION)
        assert now_s() < 100


@in_virtual_time
async def test_a_stream_of_nothing_but_bad_frames_is_none(tmp_path: Path) -> None:
    fault = (Fault(kind="truncate", at_s=0, packets=100_000, keep_bytes=50),)
    async with worn(tmp_path / "hci", ramp(40 * N), fault=fault, repeat=True):
        with pytest.raises(PatchError, match=r"sent no frame that can be read for 45 s"):
            await listen(tmp_path / "hci", **PRODUCTION)
        assert now_s() < 50


@in_virtual_time
async def test_frames_that_turn_bad_are_a_silence(tmp_path: Path) -> None:
    fault = (Fault(kind="truncate", at_s=5, packets=40, keep_bytes=50),)
    async with worn(tmp_path / "hci", ramp(60 * N), fault=fault) as patch:
        items, stream = await listen(tmp_path / "hci", **PRODUCTION)
        assert_all_accounted(items, patch.sensor.made)
    assert stream.statistics.reconnects >= 1


@pytest.mark.parametrize("hangs", ["connect", "start_notify", "read_gatt_char", "write_gatt_char", "pair"])
@pytest.mark.parametrize("reached", [False, True], ids=["not answered", "answer lost"])
@in_virtual_time
async def test_a_call_that_is_never_answered_ends_in_an_error(
    tmp_path: Path, hangs: str, reached: bool
) -> None:
    calls = HungCalls(hangs, reached=reached)
    async with worn(tmp_path / "hci", ramp(10 * N)), radio_with(tmp_path / "hci", calls) as radio:
        listening = listen(radio, choices=Choices(encrypt=True), **PRODUCTION)
        if hangs == "read_gatt_char":  # of the battery, which can be done without
            items, _ = await listening
            assert np.array_equal(codes(items), ramp(10 * N))
        else:
            with pytest.raises(PatchError, match="not answered in time"):
                await listening
    assert now_s() < 150


@pytest.mark.parametrize("hangs", ["stop_notify", "disconnect"])
@in_virtual_time
async def test_a_link_that_cannot_be_closed_does_not_hold_up_the_end(tmp_path: Path, hangs: str) -> None:
    calls = HungCalls(hangs)
    async with worn(tmp_path / "hci", ramp(10 * N)), radio_with(tmp_path / "hci", calls) as radio:
        items, stream = await listen(radio, **PRODUCTION)
    assert np.array_equal(codes(items), ramp(10 * N))
    assert stream.state is State.ENDED


@in_virtual_time
async def test_calls_that_hang_for_a_while_are_tried_again(tmp_path: Path) -> None:
    calls = HungCalls("write_gatt_char")
    async with worn(tmp_path / "hci", ramp(100 * N)) as patch, radio_with(tmp_path / "hci", calls) as radio:
        asyncio.get_running_loop().call_later(15, calls.hangs.clear)
        items, stream = await listen(radio, **PRODUCTION)
        assert_all_accounted(items, patch.sensor.made)
    assert stream.statistics.reconnects == 0  # it had not streamed before


@pytest.mark.parametrize("turns", range(5, 700, 37))
@in_virtual_time
async def test_a_link_that_is_lost_at_any_moment_is_made_anew(tmp_path: Path, turns: int) -> None:
    async with worn(tmp_path / "hci", ramp(100 * N)) as patch:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.after_turns(turns, lambda: asyncio.ensure_future(patch.drop_link()))
        async with patch_stream(tmp_path / "hci", "Polar", **PRODUCTION) as stream:
            items = [item async for item in stream]
        assert_all_accounted(items, patch.sensor.made)
        delivered = sum(len(each.samples_mv) for each in items if isinstance(each, Chunk))
        assert stream.statistics.samples == delivered


@pytest.mark.parametrize("call", ["connect", "pair", "start_notify", "read_gatt_char", "write_gatt_char"])
@in_virtual_time
async def test_a_link_that_is_lost_right_after_a_call_is_made_anew(tmp_path: Path, call: str) -> None:
    calls = HungCalls()
    calls.closes.add(call)
    async with worn(tmp_path / "hci", ramp(40 * N)) as patch, radio_with(tmp_path / "hci", calls) as radio:
        items, _ = await listen(radio, choices=Choices(encrypt=True), **PRODUCTION)
        assert_all_accounted(items, patch.sensor.made)
    assert calls.called.count("connect") == 2


@in_virtual_time
async def test_what_is_told_of_a_loss_is_not_the_reason_of_an_earlier_one(tmp_path: Path) -> None:
    events: list[str] = []
    fault = (Fault(kind="stall", at_s=5, for_s=20), Fault(kind="disconnect", at_s=30))
    async with worn(tmp_path / "hci", ramp(100 * N), fault=fault):
        await listen(tmp_path / "hci", events, **PRODUCTION)
    after = events[events.index("the link is lost") :]
    assert not any("no frame for" in event for event in after)


@in_virtual_time
async def test_a_patch_that_is_not_there_is_looked_for_once(tmp_path: Path) -> None:
    async with worn(tmp_path / "hci", ramp(N)):
        with pytest.raises(DeviceNotFound, match="in 20 s of scanning, heard Polar H10 EDGE0001"):
            await listen(tmp_path / "hci", name="Movesense", **PRODUCTION)


@pytest.mark.parametrize("hangs", ["connect", "start_notify", "write_gatt_char", "pair"])
@in_virtual_time
async def test_a_call_that_hangs_after_a_loss_does_not_end_the_stream(tmp_path: Path, hangs: str) -> None:
    calls = HungCalls()
    fault = (Fault(kind="disconnect", at_s=5),)
    async with (
        worn(tmp_path / "hci", ramp(200 * N), fault=fault) as patch,
        radio_with(tmp_path / "hci", calls) as radio,
    ):
        loop = asyncio.get_running_loop()
        loop.call_later(4, calls.hangs.add, hangs)
        loop.call_later(40, calls.hangs.clear)
        items, stream = await listen(radio, choices=Choices(encrypt=True), **PRODUCTION)
        assert_all_accounted(items, patch.sensor.made)
    assert stream.statistics.reconnects == 1


@pytest.mark.parametrize(
    "then", [(), (Fault(kind="disconnect", at_s=8, every_s=1.0),)], ids=["silent", "the link is lost"]
)
@in_virtual_time
async def test_a_patch_that_starts_again_and_again_and_sends_nothing_is_given_up(
    tmp_path: Path, then: tuple[Fault, ...]
) -> None:
    events: list[str] = []
    fault = (Fault(kind="drop", at_s=5, packets=10**9), *then)
    async with worn(tmp_path / "hci", ramp(200 * N), fault=fault, repeat=True):
        with pytest.raises(PatchError, match="the patch did not come back"):
            await listen(tmp_path / "hci", events, **PRODUCTION)
    assert 200 < now_s() < 400
    assert events.count("connected to Polar H10 EDGE0001") < 30


@in_virtual_time
async def test_a_stream_goes_on_with_its_own_patch_and_no_other_of_the_name(tmp_path: Path) -> None:
    plan = FaultPlan(fault=(Fault(kind="disconnect", at_s=5, for_s=60),))
    events: list[str] = []
    async with (
        SocketAir(tmp_path / "hci") as air,
        Radio(link=f"unix:{tmp_path / 'hci'}") as radio,
    ):
        ours = Peripheral(*air.hci("ours"), EmulatedSensor(H10(), ramp(200 * N), plan), address=ADDRESS)
        other = Peripheral(
            *air.hci("other"), EmulatedSensor(H10(), -ramp(100 * N), NO_FAULTS), address="F0:F1:F2:F3:F4:77"
        )
        await ours.start()
        async with PatchStream(radio, target_of("Polar"), on_event=events.append, **PRODUCTION) as stream:
            await other.start()
            items = [item async for item in stream]
        assert_all_accounted(items, ours.sensor.made)
        assert stream.device_address == ADDRESS
        assert not other.sensor.made
    assert any(f"no '{ADDRESS}' in 20 s of scanning, heard Polar H10" in event for event in events)


@in_virtual_time
async def test_a_system_that_pairs_by_itself_is_left_to_it(tmp_path: Path) -> None:
    class ByItself(HungCalls):
        def over(self, client: type[Any]) -> type[Any]:
            async def pair(*_: Any, **__: Any) -> None:
                raise NotImplementedError("Pairing is not available in Core Bluetooth.")

            return type("MacOS", (client,), {"pair": pair})

    async with worn(tmp_path / "hci", ramp(10 * N)), radio_with(tmp_path / "hci", ByItself()) as radio:
        items, _ = await listen(radio, choices=Choices(encrypt=True), **PRODUCTION)
    assert np.array_equal(codes(items), ramp(10 * N))


@pytest.mark.parametrize("drift_ppm", [100.0, -100.0])
@in_virtual_time
async def test_a_clock_is_said_to_be_as_fast_as_it_is(tmp_path: Path, drift_ppm: float) -> None:
    async with worn(tmp_path / "hci", ramp(900 * 130), drift_ppm=drift_ppm):
        _, stream = await listen(tmp_path / "hci", **PRODUCTION)
    assert stream.statistics.drift_ppm == pytest.approx(drift_ppm, abs=10)
    assert f"clock {stream.statistics.drift_ppm:+.0f} ppm against this machine's" in str(stream.statistics)
