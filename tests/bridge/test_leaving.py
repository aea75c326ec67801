"""Whoever leaves, at whatever moment: the patch is left stopped, and its link free for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edge_mi.firmware_bridge.client import Choices, PatchStream
from edge_mi.firmware_bridge.emulator.fault_plan import Fault
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.life import Patience, State
from edge_mi.firmware_bridge.radio import Radio
from edge_mi.firmware_bridge.target import target_of
from hung_calls import HungCalls, radio_with
from patches import ADDRESS
from virtual_time import VirtualTimeLoop, in_virtual_time
from worn import StubbornH10, ramp, worn

HANGS = {  # state -> the call that hangs in it
    State.SCANNING: "",
    State.CONNECTING: "connect",
    State.PAIRING: "pair",
    State.SUBSCRIBING: "start_notify",
    State.STARTING: "write_gatt_char",
    State.STREAMING: "",
    State.WAITING: "",
}
NAMED = {State.SCANNING: "Nobody"}


def stream_of(radio: Radio, name: str = ADDRESS, **options: Any) -> PatchStream:
    return PatchStream(radio, target_of(name), Choices(encrypt=True), **options)


async def listen(stream: PatchStream) -> None:
    async with stream:
        async for _ in stream:
            pass


async def reach(stream: PatchStream, state: State) -> asyncio.Task[None]:
    """The task of a listener, once its stream is in `state` and stays there."""
    task = asyncio.create_task(listen(stream))
    while stream.state is not state:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    assert stream.state is state
    return task


def cancel(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    del stop
    task.cancel()


def set_stop(task: asyncio.Task[None], stop: asyncio.Event) -> None:
    del task
    stop.set()


async def assert_free(patch: Peripheral, radio: Radio) -> None:
    """The patch is stopped, and can be connected to and streamed anew over the same radio."""
    await asyncio.sleep(0.5)
    assert not patch.patch.measuring
    assert not patch.device.connections
    async with stream_of(radio) as stream:
        async for _ in stream:
            break


@pytest.mark.parametrize("leave", [cancel, set_stop])
@pytest.mark.parametrize("reached", [False, True], ids=["not answered", "answer lost"])
@pytest.mark.parametrize("state", HANGS, ids=lambda state: state.name)
@in_virtual_time
async def test_whoever_leaves_in_any_state_leaves_the_patch_stopped(
    tmp_path: Path, state: State, reached: bool, leave: Callable[..., None]
) -> None:
    calls, stop = HungCalls(HANGS[state], reached=reached), asyncio.Event()
    away = state is State.WAITING  # there is no link over which to stop it
    fault = (Fault(kind="disconnect", at_s=3),) if away else ()
    kind = H10() if away else StubbornH10()
    async with (
        worn(tmp_path / "hci", ramp(5000), repeat=True, patch=kind, fault=fault) as patch,
        radio_with(tmp_path / "hci", calls) as radio,
    ):
        stream = stream_of(radio, NAMED.get(state, "Polar"), stop=stop, patience=Patience(backoff=2))
        task = await reach(stream, state)
        calls.hangs.clear()
        leave(task, stop)
        await asyncio.wait([task])
        assert task.cancelled() == (leave is cancel)
        assert stream.state is State.ENDED
        await assert_free(patch, radio)


@in_virtual_time
async def test_an_error_of_whoever_listens_leaves_the_patch_stopped(tmp_path: Path) -> None:
    async with (
        worn(tmp_path / "hci", ramp(5000), repeat=True, patch=StubbornH10()) as patch,
        radio_with(tmp_path / "hci", HungCalls()) as radio,
    ):
        stream = stream_of(radio)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with stream:
                async for item in stream:
                    item.t_s / 0
        assert stream.state is State.ENDED
        await assert_free(patch, radio)


@pytest.mark.parametrize("turns", range(1, 400, 17))
@in_virtual_time
async def test_whoever_is_cancelled_at_any_moment_leaves_the_patch_stopped(
    tmp_path: Path, turns: int
) -> None:
    fault = (Fault(kind="disconnect", at_s=1),)
    async with (
        worn(tmp_path / "hci", ramp(5000), repeat=True, fault=fault) as patch,
        radio_with(tmp_path / "hci", HungCalls()) as radio,
    ):
        task = asyncio.create_task(listen(stream_of(radio)))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.after_turns(turns, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_free(patch, radio)


@pytest.mark.parametrize("hangs", ["write_gatt_char", "stop_notify", "disconnect"])
@in_virtual_time
async def test_whoever_is_cancelled_while_stopping_stops_all_the_same(tmp_path: Path, hangs: str) -> None:
    calls, stop = HungCalls(), asyncio.Event()
    async with (
        worn(tmp_path / "hci", ramp(5000), repeat=True) as patch,
        radio_with(tmp_path / "hci", calls) as radio,
    ):
        task = await reach(stream_of(radio, stop=stop), State.STREAMING)
        calls.hangs.add(hangs)
        stop.set()
        await asyncio.sleep(1)
        assert calls.called[-1] == hangs
        calls.hangs.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_free(patch, radio)


@in_virtual_time
async def test_a_patch_that_answers_nothing_any_more_is_left_in_bounded_time(tmp_path: Path) -> None:
    calls, stop = HungCalls(), asyncio.Event()
    async with (
        worn(tmp_path / "hci", ramp(5000), repeat=True),
        radio_with(tmp_path / "hci", calls) as radio,
    ):
        task = await reach(stream_of(radio, stop=stop), State.STREAMING)
        calls.hangs |= {"write_gatt_char", "stop_notify", "disconnect"}
        stop.set()
        async with asyncio.timeout(60):
            await task
