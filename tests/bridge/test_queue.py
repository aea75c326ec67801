"""Whoever asks too slowly: what does not fit is dropped, counted and a gap; nothing is decoded before it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.firmware_bridge import client
from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.emulator.fault_plan import Fault
from edge_mi.firmware_bridge.inbox import Inbox
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.polar_h10 import PROFILE, H10Session
from edge_mi.firmware_bridge.polar_pmd import DATA
from edge_mi.firmware_bridge.radio import Timeouts
from edge_mi.firmware_bridge.session import Message
from edge_mi.firmware_bridge.statistics import StreamStatistics
from hypothesis import given, settings
from hypothesis import strategies as st
from patches import patch_stream
from virtual_time import in_virtual_time, now_s
from worn import ramp, worn

from edge_mi.samples import Chunk, Gap, Item

BOUND = 16
PRODUCTION: dict[str, Any] = {"timeouts": Timeouts(), "patience": Patience()}
PATCHES = {  # profile -> name, samples of a packet, packets a second
    "h10": ("Polar", 73, 130 / 73),
    "edgemi": ("EdgeMI", 62, 250 / 62),
    "healthypi-move": ("HealthyPi Move", 16, 128 / 16),
}


@pytest.fixture(autouse=True)
def small_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_QUEUED_MESSAGES", BOUND)


def samples_of(items: list[Item]) -> int:
    return sum(len(each.samples_mv) for each in items if isinstance(each, Chunk))


def first_codes(items: list[Item], codes_per_mv: float) -> list[int]:
    return [round(each.samples_mv[0] * codes_per_mv) for each in items if isinstance(each, Chunk)]


@pytest.mark.parametrize("profile", PATCHES)
@in_virtual_time
async def test_what_does_not_fit_is_counted_and_a_gap(tmp_path: Path, profile: str) -> None:
    name, n, rate = PATCHES[profile]
    packets = 200
    items: list[Item] = []
    async with worn(tmp_path / "hci", ramp(packets * n), profile=profile) as patch:
        async with patch_stream(tmp_path / "hci", name, **PRODUCTION) as stream:
            async for item in stream:
                items.append(item)
                if len(items) in (5, 60):
                    await asyncio.sleep(40 / rate)
                if samples_of(items) + stream.statistics.dropped_frames * n == packets * n:
                    break
        codes_per_mv = patch.patch.codes_per_mv
    dropped = stream.statistics.dropped_frames
    assert dropped in range(2 * (40 - BOUND) - 2, 2 * (40 - BOUND) + 3)
    gaps = [each for each in items if isinstance(each, Gap)]
    assert [gap.cause for gap in gaps] == ["overrun", "overrun"]
    if profile == "healthypi-move":
        assert [gap.n_samples for gap in gaps] == [None, None]
    else:
        assert sum(gap.n_samples or 0 for gap in gaps) == dropped * n
        places = [each.index for each in items if isinstance(each, Chunk)]
        assert places == first_codes(items, codes_per_mv)
    assert stream.statistics.reconnects == 0
    # what was kept is in order, and the gaps lie where packets were dropped
    steps = np.diff(first_codes(items, codes_per_mv)) // n
    assert sum(steps - 1) == dropped
    assert np.count_nonzero(steps > 1) == 2


@pytest.mark.parametrize("profile", PATCHES)
@in_virtual_time
async def test_the_end_of_the_link_is_heard_behind_a_full_queue(tmp_path: Path, profile: str) -> None:
    name, n, rate = PATCHES[profile]
    events: list[str] = []
    items: list[Item] = []
    fault = (Fault(kind="disconnect", at_s=40.5 / rate),)
    async with worn(tmp_path / "hci", ramp(4000 * n), profile=profile, fault=fault) as patch:
        async with patch_stream(tmp_path / "hci", name, on_event=events.append, **PRODUCTION) as stream:
            async for item in stream:
                items.append(item)
                if len(items) == 5:
                    await asyncio.sleep(60 / rate)
                if stream.statistics.reconnects and isinstance(item, Chunk):
                    break
        codes_per_mv = patch.patch.codes_per_mv
    assert events.count("the link is lost") == 1
    assert stream.statistics.dropped_frames > 10
    (gap,) = (each for each in items if isinstance(each, Gap))
    before = first_codes(items[: items.index(gap)], codes_per_mv)
    # all that was kept comes, one after the other, before the gap
    assert before == [i * n for i in range(5 + BOUND)]
    after = items[items.index(gap) + 1]
    assert isinstance(after, Chunk)
    if gap.n_samples is not None:
        assert first_codes([after], codes_per_mv)[0] == after.index == len(before) * n + gap.n_samples


@in_virtual_time
async def test_stop_is_heard_behind_a_full_queue(tmp_path: Path) -> None:
    stop = asyncio.Event()
    async with worn(tmp_path / "hci", ramp(5000), repeat=True) as patch:
        async with patch_stream(tmp_path / "hci", "Polar", stop=stop, **PRODUCTION) as stream:
            heard = 0
            async for _ in stream:
                heard += 1
                await asyncio.sleep(60)
                stop.set()
        assert heard == 1
        assert not patch.patch.measuring


@in_virtual_time
async def test_nothing_is_decoded_before_it_is_asked_for(tmp_path: Path) -> None:
    fault = (
        Fault(kind="truncate", at_s=2, packets=3, keep_bytes=50),
        Fault(kind="corrupt", at_s=5, packets=2),
    )
    async with (
        worn(tmp_path / "hci", ramp(5000), fault=fault, repeat=True),
        patch_stream(tmp_path / "hci", "Polar", **PRODUCTION) as stream,
    ):
        await asyncio.sleep(8)
        assert (stream.statistics.frames, stream.statistics.bad_frames) == (0, 0)
        async for _ in stream:
            if stream.statistics.frames == 10:
                break
        assert stream.statistics.bad_frames == 3


class Wrong(H10Session):
    """A session with a defect: it raises, which none may."""

    def receive(self, characteristic: str, data: bytes) -> Sequence[Message]:
        """See `H10Session`."""
        if characteristic == DATA:
            raise ZeroDivisionError
        return super().receive(characteristic, data)


@in_virtual_time
async def test_what_goes_wrong_in_decoding_is_the_listeners_and_not_the_links(tmp_path: Path) -> None:
    choices = Choices(profile=replace(PROFILE, session=Wrong))
    failed: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    async with worn(tmp_path / "hci", ramp(5000), repeat=True) as patch:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with patch_stream(tmp_path / "hci", "Polar", choices=choices, **PRODUCTION) as stream:
                await asyncio.sleep(5)
                async for _ in stream:
                    pass
        assert not patch.patch.measuring
    assert not failed


@in_virtual_time
async def test_a_notification_is_stamped_when_it_comes_and_not_when_it_is_asked_for(tmp_path: Path) -> None:
    async with (
        worn(tmp_path / "hci", ramp(5000), profile="healthypi-move", repeat=True),
        patch_stream(tmp_path / "hci", "HealthyPi Move", **PRODUCTION) as stream,
    ):
        began_s = now_s()
        await asyncio.sleep(1.5)
        times: list[float] = []
        async for each in stream.heard():
            assert each.host_s is not None
            times.append(each.host_s)
            if len(times) == 10:
                break
    assert times[0] < began_s + 0.2
    assert np.diff(times) == pytest.approx(16 / 128, abs=0.01)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["come", "ask"]), max_size=60), st.integers(1, 5))
def test_what_comes_is_kept_in_order_or_counted(steps: list[str], bound: int) -> None:
    async def play() -> None:
        statistics = StreamStatistics()
        inbox = Inbox(bound, statistics)
        take = inbox.taker("a")
        kept: list[int] = []
        after: list[int] = []
        dropped_before = False
        taken: list[int] = []
        for i, step in enumerate(steps):
            if step == "come":
                dropped = statistics.dropped_frames
                take(bytes([i]))
                if statistics.dropped_frames > dropped:
                    assert len(kept) - len(taken) == bound
                    dropped_before = True
                    continue
                kept.append(i)
                if dropped_before:
                    after.append(i)
                dropped_before = False
            elif (entry := await inbox.at_once()) is not None:
                taken.append(entry.data[0])
                assert entry.after_drop == (entry.data[0] in after)
        inbox.end()
        while (entry := await inbox.at_once()) is not None and entry.characteristic is not None:
            taken.append(entry.data[0])
        assert entry is not None
        assert taken == kept
        assert len(kept) + statistics.dropped_frames == steps.count("come")

    asyncio.run(play())
