"""Scenarios: a patch that demands an encrypted link gets one through the bridge's agent, and without it a clear end."""

from __future__ import annotations

import asyncio

from edge_mi.firmware_bridge.client import Choices
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.polar_pmd import SAMPLES_PER_FRAME

from .lab import Json, Lab, check
from .listening import listen

_FRAMES = 50
_PLAN = "pairing = true"
_IMPATIENT = Patience(first=10.0, lost=10.0, backoff=0.5)
_CALL_S = 5.0


async def agreed(lab: Lab) -> Json:
    """An H10 that demands encryption, with the bridge's agent; the second time over the bond that there is."""
    frames, encrypted = 0, []
    async with lab.patch("h10", samples=1 << 14, repeat=True, plan=_PLAN) as patch:
        for _ in range(2):
            listening = asyncio.create_task(listen(patch, frames=_FRAMES, choices=Choices(encrypt=True)))
            state = await patch.until(lambda state: state["encrypted"], "an encrypted link")
            encrypted.append(state["encrypted"])
            heard = await listening
            check(not heard.error, heard.error)
            heard.check_whole()
            frames += heard.statistics.frames
    check(frames == 2 * _FRAMES, f"{frames} frames of {2 * _FRAMES}")
    return {
        "links": len(encrypted),
        **heard.figures(),
        "frames": frames,
        "samples": frames * SAMPLES_PER_FRAME,
    }


async def not_agreed(lab: Lab) -> Json:
    """The same patch without an agent: the stream is given up with a reason, in the time that it has."""
    async with lab.patch("h10", samples=_FRAMES * SAMPLES_PER_FRAME, plan=_PLAN) as patch:
        began_s = asyncio.get_running_loop().time()
        heard = await listen(patch, patience=_IMPATIENT, call=_CALL_S)
        took_s = asyncio.get_running_loop().time() - began_s
        check(bool(heard.error) and heard.samples == 0, f"{heard.samples} samples and no refusal")
        state = await patch.until(lambda state: state["links"] == 0, "the link is closed")
        check(not state["streaming"], "the patch streams")
    return {"frames": 0, "refused": 1, **({"seconds": round(took_s)} if lab.keeps_time else {})}
