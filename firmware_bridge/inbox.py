"""What came over one connection and was not asked for yet: stamped and kept within bounds, but not looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .statistics import StreamStatistics

_BACKLOG = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """From the link: a notification with its characteristic and time of arrival, or, with none, its end.

    after_drop: whether what came just before it was dropped.
    """

    characteristic: str | None
    data: bytes = b""
    host_s: float = 0.0
    after_drop: bool = False


class Inbox:
    """A queue of `bound` notifications; what comes while it is full is dropped and counted."""

    def __init__(self, bound: int, statistics: StreamStatistics) -> None:
        self._bound, self._statistics = bound, statistics
        self._queue: asyncio.Queue[Entry] = asyncio.Queue()
        self._dropped = False

    def taker(self, characteristic: str) -> Callable[[bytes], None]:
        """What a notification of this characteristic calls, from inside the event loop."""

        def take(data: bytes) -> None:
            if self._queue.qsize() >= self._bound:
                self._statistics.dropped_frames += 1
                self._dropped = True
                return
            host_s = asyncio.get_running_loop().time()
            self._queue.put_nowait(Entry(characteristic, data, host_s, self._dropped))
            self._dropped = False

        return take

    def end(self) -> None:
        """The link is lost: there is always room for that."""
        self._queue.put_nowait(Entry(None))

    async def at_once(self) -> Entry | None:
        """The next message if it is there already."""
        if self._queue.empty():
            return None
        # the event loop must breathe, but each breath may bring a socket full of frames: work those off first
        if self._queue.qsize() < _BACKLOG:
            await asyncio.sleep(0)
        return self._queue.get_nowait()

    async def next(self) -> Entry:
        """The next message."""
        return await self._queue.get()
