"""Scenarios: every patch streams, with every sample right and none missing; so do several at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.polar_pmd import NEEDED_MTU, SAMPLES_PER_FRAME
from edge_mi.firmware_bridge.profiles import profile_named
from edge_mi.firmware_bridge.radio import Radio

from .lab import Json, Lab, check
from .listening import Heard, listen

_FRAMES = 300
_SEVERAL_FRAMES = 100
_MTUS = (23, 100, 185, 231, 232, 247, 517)
_CARELESS_MTU = 100
_FIRST_FRAME_S = 5.0
_SPEED = 20.0


async def h10(lab: Lab) -> Json:
    """A Polar H10 to the end of its record: every sample that it made, once."""
    async with lab.patch("h10", samples=_FRAMES * SAMPLES_PER_FRAME) as patch:
        heard = await listen(patch)
        state = await patch.state()
    _check_ended(heard, state)
    check(heard.statistics.frames == _FRAMES, f"{heard.statistics.frames} frames of {_FRAMES}")
    return heard.figures()


async def edge_mi_patch(lab: Lab) -> Json:
    """An EdgeMI Patch to the end of its record, over an encrypted link."""
    async with lab.patch("edgemi", samples=15_000) as patch:
        heard = await listen(patch)
        state = await patch.state()
    _check_ended(heard, state)
    return heard.figures()


async def movesense(lab: Lab) -> Json:
    """A Movesense for as many frames as an H10."""
    return await _some(lab, "movesense")


async def healthypi(lab: Lab) -> Json:
    """A HealthyPi Move, in whose packets nothing tells a loss: the codes do."""
    return await _some(lab, "healthypi-move")


async def several(lab: Lab) -> Json:
    """Two H10 and a Movesense at the same time over one adapter."""
    async with AsyncExitStack() as exits:
        patches = [
            await exits.enter_async_context(lab.patch(profile, samples=1 << 17, repeat=True))
            for profile in ("h10", "h10", "movesense")
        ]
        radio = await exits.enter_async_context(Radio())
        all_heard = await asyncio.gather(
            *(listen(patch, frames=_SEVERAL_FRAMES, radio=radio) for patch in patches)
        )
        for heard, patch in zip(all_heard, patches, strict=True):
            check(not heard.error, heard.error)
            heard.check_whole()
            await patch.until(lambda state: not state["streaming"], "stopped")
    return {
        "patches": len(patches), "frames": sum(heard.statistics.frames for heard in all_heard),
        "samples": sum(heard.samples for heard in all_heard), "wrong": 0, "gaps": 0, "frames_doubled": 0,
    }  # fmt: skip


async def mtu(lab: Lab) -> Json:
    """Links of every packet size: an H10 streams whole where its frames fit, and is refused clearly where they do not."""
    whole, refused = [], []
    for size in _MTUS:
        async with lab.patch("h10", samples=4 * SAMPLES_PER_FRAME, plan=f"mtu = {size}") as patch:
            heard = await listen(patch)
        if size < NEEDED_MTU:
            check(f"an MTU of {NEEDED_MTU}" in heard.error, f"MTU {size}: {heard.error or 'not refused'}")
            check(heard.samples == 0, f"MTU {size}: {heard.samples} samples")
            refused.append(size)
        else:
            check(not heard.error, f"MTU {size}: {heard.error}")
            heard.check_whole()
            check(heard.statistics.frames == 4, f"MTU {size}: {heard.statistics.frames} frames of 4")
            whole.append(size)
    return {"whole": whole, "refused": refused}


async def cut_frames(lab: Lab) -> Json:
    """An H10 that cuts its frames to a small packet, which then look like shorter ones: none is believed."""
    plan = f"mtu = {_CARELESS_MTU}\ncareless = true"
    async with lab.patch("h10", samples=1 << 14, plan=plan, repeat=True, speed=_SPEED) as patch:
        heard = await listen(patch, first_frame=_FIRST_FRAME_S)
        await patch.until(lambda state: not state["streaming"], "stopped")
    check("no frame that can be read" in heard.error, heard.error or "the stream is not refused")
    check(heard.samples == 0, f"{heard.samples} samples of cut frames")
    return {**heard.figures(), "frames_not_understood": heard.statistics.bad_frames}


async def _some(lab: Lab, profile: str) -> Json:
    choices = Choices(profile=profile_named(profile))
    async with lab.patch(profile, samples=1 << 17, repeat=True) as patch:
        heard = await listen(patch, frames=_FRAMES, choices=choices)
        check(not heard.error, heard.error)
        heard.check_whole()
        state = await patch.until(lambda state: not state["streaming"], "stopped")
    check(heard.samples <= state["made"], f"{heard.samples} samples of {state['made']}")
    return heard.figures()


def _check_ended(heard: Heard, state: Json) -> None:
    check(not heard.error, heard.error)
    heard.check_whole()
    check(heard.samples == state["made"], f"{heard.samples} samples of {state['made']}")
    check(not state["streaming"], "the patch still streams")
