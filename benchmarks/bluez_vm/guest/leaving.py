"""Scenarios: however a client ends, the patch is left stopped; where it was killed, the next one sees to that."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process

from edge_mi.firmware_bridge.client import PatchStream
from edge_mi.firmware_bridge.polar_pmd import STOP_ECG
from edge_mi.firmware_bridge.radio import Radio
from edge_mi.firmware_bridge.target import target_of

from .lab import Json, Lab, Patch, check
from .listening import PATIENCE, listen

_FRAMES = 50
_SPEED = 20.0
_ENDS_S = 60.0
_RUNS_ON_S = 2.0
_INTERRUPTED = 130


class _OfTheUser(Exception):
    pass


async def stop(lab: Lab) -> Json:
    """A stream that is stopped, and one whose user makes an error, several times: bluetoothd lives, the patch rests."""
    times = 3
    async with lab.patch("h10", samples=1 << 14, repeat=True, speed=_SPEED) as patch, Radio() as radio:
        for _ in range(times):
            heard = await listen(patch, frames=10, radio=radio)
            check(not heard.error, heard.error)
            heard.check_whole()
            await _rests(patch)
            await _fail_inside(radio, patch)
            await _rests(patch)
    return {"stopped": times, "failed": times}


async def interrupt(lab: Lab) -> Json:
    """`edge-mi stream` ends at Ctrl-C."""
    return await _signalled(lab, signal.SIGINT, _INTERRUPTED)


async def terminate(lab: Lab) -> Json:
    """`edge-mi stream` ends at SIGTERM."""
    return await _signalled(lab, signal.SIGTERM, 0)


async def kill(lab: Lab) -> Json:
    """`edge-mi stream` is killed: BlueZ keeps the link and the patch streams on, until the next client closes it."""
    async with lab.patch("h10", samples=1 << 14, repeat=True, speed=_SPEED) as patch:
        process = await _streaming(patch)
        process.kill()
        await process.wait()
        await asyncio.sleep(_RUNS_ON_S)
        left = await patch.state()
        check(left["streaming"] and left["links"] == 1, f"BlueZ gave the link up, which it never did: {left}")
        heard = await listen(patch, frames=_FRAMES)
        check(not heard.error, heard.error)
        heard.check_whole()
        await _rests(patch)
    return heard.figures()


async def _fail_inside(radio: Radio, patch: Patch) -> None:
    try:
        async with PatchStream(radio, target_of(patch.address), patience=PATIENCE) as stream:
            async for _ in stream:
                raise _OfTheUser
    except _OfTheUser:
        pass


async def _rests(patch: Patch) -> Json:
    """Its state once it has no link. Raises Failed unless STOP was the last thing that it was told."""
    state = await patch.until(lambda state: state["links"] == 0, "the link is closed")
    check(state["commands"][-1:] == [STOP_ECG.hex()], f"the patch was told {state['commands'][-3:]}")
    check(not state["streaming"], "the patch streams")
    return state


async def _streaming(patch: Patch) -> Process:
    """`edge-mi stream` of this patch, as soon as it has frames."""
    words = ["-m", "edge_mi", "stream", "--device", patch.address, "--placement", "lead-i", "--json"]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(_ENDS_S):
        await process.stdout.readline()  # the header, once the patch streams
    await patch.until(lambda state: state["packets"] >= _FRAMES, "streams")
    return process


async def _signalled(lab: Lab, number: signal.Signals, expected: int) -> Json:
    async with lab.patch("h10", samples=1 << 14, repeat=True, speed=_SPEED) as patch:
        process = await _streaming(patch)
        process.send_signal(number)
        async with asyncio.timeout(_ENDS_S):
            out, _ = await process.communicate()
        check(process.returncode == expected, f"exit code {process.returncode}; expected {expected}")
        await _rests(patch)
    return {"exit_code": process.returncode, "decisions": out.count(b"\n")}
