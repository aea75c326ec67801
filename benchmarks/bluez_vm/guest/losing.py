"""Scenarios: the link, the daemon or the adapter goes and comes back; the stream goes on, and says what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from edge_mi.firmware_bridge.client import PatchStream
from edge_mi.firmware_bridge.polar_pmd import RATE_HZ, SAMPLES_PER_FRAME

from edge_mi.samples import Item

from .bluez import power, ready
from .lab import Json, Lab, check
from .listening import Heard, listen

_LOSSES = 3
_FRAMES = 40  # between losses
_AWAY_S = 2.0
_SPEED = 20.0
_LOST_AGAIN = 30  # frames after which a thing is taken away, and that must come after it is back


async def link(lab: Lab) -> Json:
    """An H10 that goes out of reach three times: exactly x1.00 after each, whatever BlueZ kept of the old links."""
    samples = (_LOSSES + 1) * _FRAMES * SAMPLES_PER_FRAME
    away = round(_AWAY_S * RATE_HZ) * _LOSSES
    async with lab.patch("h10", samples=samples, plan=_plan(SAMPLES_PER_FRAME, RATE_HZ)) as patch:
        heard = await listen(patch)
        state = await patch.state()
    return _accounted(heard, state, away)


async def encrypted_link(lab: Lab) -> Json:
    """An EdgeMI Patch that goes out of reach three times: the bond and the measurement are taken up again."""
    async with lab.patch("edgemi", samples=10_000, plan=_plan(62, 250)) as patch:
        heard = await listen(patch)
        state = await patch.state()
    return _accounted(heard, state, round(_AWAY_S * 250) * _LOSSES)


async def daemon(lab: Lab) -> Json:
    """bluetoothd is killed in the middle of a stream, and started again two seconds later."""

    async def take_away() -> None:
        lab.bluez.kill_daemon()

    async def give_back() -> None:
        lab.bluez.start_daemon()

    return await _without(lab, take_away, give_back)


async def switched_off(lab: Lab) -> Json:
    """The adapter is switched off in the middle of a stream, and on again."""

    async def take_away() -> None:
        await power(on=False)

    async def give_back() -> None:
        await power(on=True)

    return await _without(lab, take_away, give_back)


async def unplugged(lab: Lab) -> Json:
    """The adapter is pulled out in the middle of a stream, and put back."""

    async def take_away() -> None:
        await lab.emulator.ask("unplug")

    async def give_back() -> None:
        await lab.emulator.ask("plug")

    return await _without(lab, take_away, give_back)


async def _without(
    lab: Lab, take_away: Callable[[], Awaitable[None]], give_back: Callable[[], Awaitable[None]]
) -> Json:
    """Stream an H10, take something away for two seconds, and stream on."""
    tasks: list[asyncio.Task[None]] = []

    async def away() -> None:
        await take_away()
        await asyncio.sleep(_AWAY_S)
        await give_back()
        await ready()

    before = 0

    async def on_item(stream: PatchStream, item: Item) -> bool:
        nonlocal before
        del item
        if not tasks and stream.statistics.frames >= _LOST_AGAIN:
            tasks.append(asyncio.create_task(away()))
        if stream.statistics.reconnects == 0:
            before = stream.statistics.frames
        return bool(stream.statistics.frames >= before + _LOST_AGAIN)

    async with lab.patch("h10", samples=1 << 14, repeat=True, speed=_SPEED) as patch:
        heard = await listen(patch, on_item=on_item)
        await asyncio.gather(*tasks)
        await patch.until(lambda state: not state["streaming"], "stopped")
    check(not heard.error, heard.error)
    heard.check_gaps()
    heard.check_once()
    check(heard.statistics.reconnects == 1, f"{heard.statistics.reconnects} reconnects; expected 1")
    check([cause for _, cause in heard.gaps] == ["link_lost"], f"gaps: {heard.gaps}; expected one")
    check(len(heard.misjudged) == 1, "the length of the gap is not known")
    return heard.figures()


def _plan(packet: int, rate_hz: float) -> str:
    """Disconnections in the middle of packets, at equal distances."""
    times = [((n + 1) * _FRAMES + 0.5) * packet / rate_hz + n * _AWAY_S for n in range(_LOSSES)]
    return "\n".join(f'[[fault]]\nkind = "disconnect"\nat_s = {at_s}\nfor_s = {_AWAY_S}' for at_s in times)


def _accounted(heard: Heard, state: Json, away: int) -> Json:
    """The figures, once every sample of the record is delivered once or in a gap."""
    check(not heard.error, heard.error)
    heard.check_gaps()
    heard.check_once()
    statistics = heard.statistics
    causes = [cause for _, cause in heard.gaps]
    check(causes == ["link_lost"] * _LOSSES, f"gaps: {heard.gaps}; expected {_LOSSES} of the link")
    check(statistics.reconnects == _LOSSES, f"{statistics.reconnects} reconnects; expected {_LOSSES}")
    # BlueZ may drop what it has not handed on when the link breaks
    check(statistics.samples_lost >= away, f"{statistics.samples_lost} samples lost; expected {away} or more")
    whole = heard.samples + statistics.samples_lost
    check(whole == state["made"], f"{whole} samples delivered or lost, of {state['made']}")
    return heard.figures()
