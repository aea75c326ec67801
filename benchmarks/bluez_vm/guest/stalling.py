"""Scenarios: the program that takes the stream is too slow; nothing is lost in silence."""

from __future__ import annotations

import asyncio
import time

from edge_mi.firmware_bridge.client import PatchStream

from edge_mi.samples import Item

from .lab import Json, Lab, check
from .listening import listen

_SPEED = 20.0
_BLOCKED_S = 5.0
_BLOCKED_AT = 20  # frames
_FRAMES = 300
_MORE_FRAMES = 50


async def blocked(lab: Lab) -> Json:
    """The whole process stands still for five seconds at twenty times real time: BlueZ keeps what arrives, all of it."""
    blocked = 0

    async def on_item(stream: PatchStream, item: Item) -> bool:
        nonlocal blocked
        del item
        if not blocked and stream.statistics.frames >= _BLOCKED_AT:
            blocked = stream.statistics.frames
            time.sleep(_BLOCKED_S)  # what a user's code may do
        return bool(stream.statistics.frames >= _FRAMES)

    async with lab.patch("h10", samples=1 << 14, repeat=True, speed=_SPEED) as patch:
        heard = await listen(patch, on_item=on_item)
    check(not heard.error, heard.error)
    heard.check_whole()
    return heard.figures()


async def overrun(lab: Lab) -> Json:
    """The consumer waits until the bounded queue overflows: what was dropped is counted, and is in the gaps."""
    last = 0

    async def on_item(stream: PatchStream, item: Item) -> bool:
        nonlocal last
        del item
        if not last and stream.statistics.frames >= _BLOCKED_AT:
            while not stream.statistics.dropped_frames:
                await asyncio.sleep(0.1)
            last = stream.statistics.frames
        return bool(last) and stream.statistics.gaps > 0 and stream.statistics.frames >= last + _MORE_FRAMES

    async with lab.patch("h10", samples=1 << 14, repeat=True) as patch:
        heard = await listen(patch, on_item=on_item)
    check(not heard.error, heard.error)
    heard.check_gaps()
    heard.check_once()
    check({cause for _, cause in heard.gaps} == {"overrun"}, f"gaps: {heard.gaps}; expected overruns")
    return heard.figures()
