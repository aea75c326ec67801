"""The production client through bleak's API against an emulated H10, over a socket in this process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.firmware_bridge.emulator.fault_plan import Fault
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.polar_pmd import SAMPLES_PER_FRAME as N
from edge_mi.firmware_bridge.polar_pmd import START_ECG, STOP_ECG, Status
from patches import ADDRESS, QUICK, codes, emulated, listen, patch_stream, until

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.detector import Detector
from edge_mi.errors import DeviceNotFound, OutputError, PatchError
from edge_mi.samples import Chunk, Gap
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of


def ramp(frames: int) -> np.ndarray:
    """Samples that are their own number, so that a wrong place shows."""
    return np.arange(frames * N, dtype=np.int64) % 20_000


def at(packet: int) -> float:
    """A time within this packet."""
    return (packet + 0.5) * N / 130


async def test_every_sample_arrives_once_and_the_patch_is_left_stopped(tmp_path: Path) -> None:
    async with emulated(tmp_path / "hci", ramp(300)) as patch:
        items, statistics = await listen(tmp_path / "hci")
        assert np.array_equal(codes(items), ramp(300))
        assert (statistics.samples_lost, statistics.gaps, statistics.frames) == (0, 0, 300)
        assert statistics.rate_hz == pytest.approx(130)
        assert patch.commands[0] == START_ECG
        assert not patch.streaming


async def test_leaving_early_stops_the_measurement(tmp_path: Path) -> None:
    async with emulated(tmp_path / "hci", ramp(50), repeat=True) as patch:
        async with patch_stream(tmp_path / "hci", ADDRESS) as stream:
            async for _ in stream:
                break
        assert patch.commands[-1] == STOP_ECG
        assert not patch.streaming
        await until(lambda: not patch.device.connections)


async def test_an_error_of_the_user_stops_the_measurement_too(tmp_path: Path) -> None:
    async with emulated(tmp_path / "hci", ramp(50), repeat=True) as patch:
        with pytest.raises(ZeroDivisionError):
            async with patch_stream(tmp_path / "hci", "polar"):
                raise ZeroDivisionError
        assert patch.commands[-1] == STOP_ECG


async def test_stop_ends_the_stream(tmp_path: Path) -> None:
    stop = asyncio.Event()
    async with emulated(tmp_path / "hci", ramp(50), repeat=True) as patch:
        async with patch_stream(tmp_path / "hci", stop=stop) as stream:
            async for _ in stream:
                stop.set()
        assert patch.commands[-1] == STOP_ECG


async def test_a_patch_that_was_left_streaming_is_stopped_first(tmp_path: Path) -> None:
    async with emulated(tmp_path / "hci", ramp(20), repeat=True) as patch:
        patch.patch.measuring = True  # type: ignore[misc]  # a measurement that somebody left behind
        items = []
        async with patch_stream(tmp_path / "hci") as stream:
            async for item in stream:
                items.append(item)
                if len(items) == 40:
                    break
        assert patch.commands[:3] == [START_ECG, STOP_ECG, START_ECG]
        steps = np.diff(codes(items))
        assert set(steps) == {1, 1 - 20 * N}
        assert (stream.statistics.bad_frames, stream.statistics.gaps) == (0, 0)


async def test_lost_doubled_and_cut_frames_are_accounted_for(tmp_path: Path) -> None:
    fault = (
        Fault(kind="drop", at_s=at(5), packets=2),
        Fault(kind="duplicate", at_s=at(10), packets=2),
        Fault(kind="truncate", at_s=at(20), keep_bytes=10 + 29 * 3),
        Fault(kind="drop", at_s=at(30)),
    )
    async with emulated(tmp_path / "hci", ramp(60), fault=fault):
        items, statistics = await listen(tmp_path / "hci")
    gaps = [(gap.n_samples, gap.cause) for gap in items if isinstance(gap, Gap)]
    assert gaps == [(2 * N, "lost"), (N - 29, "lost"), (N, "lost")]
    assert statistics.duplicate_frames == 2
    assert statistics.samples + statistics.samples_lost == 60 * N
    for chunk in (item for item in items if isinstance(item, Chunk)):
        assert np.rint(chunk.samples_mv[0] * 1000) == chunk.index


async def test_after_a_lost_link_the_stream_goes_on_and_nothing_comes_twice(tmp_path: Path) -> None:
    fault = tuple(Fault(kind="disconnect", at_s=at(n), for_s=2 * N / 130) for n in (9, 21, 33))
    events: list[str] = []
    async with emulated(tmp_path / "hci", ramp(60), fault=fault) as patch:
        items, statistics = await listen(tmp_path / "hci", events=events)
        made = patch.packets - 1
    gaps = [(gap.n_samples, gap.cause) for gap in items if isinstance(gap, Gap)]
    assert gaps == [(2 * N, "link_lost")] * 3
    assert (statistics.reconnects, statistics.duplicate_frames, statistics.frames) == (3, 0, made)
    assert statistics.samples + statistics.samples_lost == 60 * N
    assert events.count("the link is lost") == 3


async def test_a_patch_that_never_comes_back_is_given_up(tmp_path: Path) -> None:
    patience = Patience(lost=0.1, backoff=0.01)
    async with emulated(tmp_path / "hci", ramp(60), repeat=True) as patch:
        with pytest.raises(PatchError, match="did not come back"):  # noqa: PT012
            async with patch_stream(
                tmp_path / "hci", timeouts=replace(QUICK, scan=0.5), patience=patience
            ) as stream:
                async for _ in stream:
                    await patch.device.stop_advertising()
                    patch.device.advertising_data = b""
                    await patch.drop_link()
                    await patch.device.stop_advertising()


@pytest.mark.parametrize("status", [Status.INVALID_MTU, Status.DEVICE_IN_CHARGER, 77])
async def test_a_refusal_is_an_error(tmp_path: Path, status: int) -> None:
    async with emulated(tmp_path / "hci", ramp(5), refuse=status):
        with pytest.raises(PatchError, match="refuses to stream its ECG"):
            await listen(tmp_path / "hci")


async def test_a_link_with_small_packets_is_told_and_refused(tmp_path: Path) -> None:
    events: list[str] = []
    async with emulated(tmp_path / "hci", ramp(5), mtu=100):
        with pytest.raises(PatchError, match="MTU of 232"):
            await listen(tmp_path / "hci", events=events)
    assert any("MTU is 100" in event for event in events)


async def test_a_patch_that_starts_and_sends_nothing_is_named(tmp_path: Path) -> None:
    timeouts = replace(QUICK, first_frame=0.1)
    async with emulated(tmp_path / "hci", ramp(5), mute=True):
        with pytest.raises(PatchError, match="sent nothing"):
            await listen(tmp_path / "hci", timeouts=timeouts)


async def test_no_such_device_names_those_that_were_heard(tmp_path: Path) -> None:
    async with emulated(tmp_path / "hci", ramp(5)):
        with pytest.raises(DeviceNotFound, match="heard Polar H10 EDGE0001"):
            async with patch_stream(tmp_path / "hci", "Movesense", timeouts=replace(QUICK, scan=0.5)):
                pass


async def test_no_emulator_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFound, match="start edge-mi emulate"):
        async with patch_stream(tmp_path / "hci"):
            pass


async def test_a_second_emulator_at_the_same_place_is_refused(tmp_path: Path) -> None:
    async with emulated(tmp_path / "hci", ramp(5)):
        with pytest.raises(OutputError, match=r"listens at .* already"):
            async with SocketAir(tmp_path / "hci"):
                pass


async def test_the_socket_of_a_killed_emulator_is_taken_over(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "hci"))
    async with emulated(tmp_path / "hci", ramp(5)):
        items, _ = await listen(tmp_path / "hci")
    assert len(items) == 5
    assert not (tmp_path / "hci").exists()


async def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hci").write_text("a file of somebody")
    with pytest.raises(OutputError, match="no socket"):
        async with SocketAir(tmp_path / "hci"):
            pass
    assert (tmp_path / "hci").read_text() == "a file of somebody"


async def test_one_visitor_after_another_is_served(tmp_path: Path) -> None:
    async with emulated(tmp_path / "hci", ramp(10), repeat=True):
        for _ in range(3):
            items = []
            async with patch_stream(tmp_path / "hci") as stream:
                async for item in stream:
                    items.append(item)
                    if len(items) == 20:
                        break
            assert set(np.diff(codes(items))) == {1, 1 - 10 * N}


async def test_live_and_replay_of_the_same_samples_decide_the_same(tmp_path: Path) -> None:
    heart = synthetic.ecg(40, rate_hz=130, territory="inferior", seed=3).lead("I")
    microvolts = np.rint(heart * 1000).astype(np.int64)
    bundle = Bundle.load(shipped_bundle())
    replayed = list(Detector(bundle).stream(chunks_of(microvolts / 1000, 130)))
    live = Detector(bundle)
    async with (
        emulated(tmp_path / "hci", microvolts),
        patch_stream(tmp_path / "hci") as stream,
    ):
        heard = [decision async for decision in live.astream(stream)]
    assert len(heard) == 40
    assert heard == replayed
