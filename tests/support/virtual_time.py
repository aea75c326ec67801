"""An event loop whose time passes only when nobody has anything to do: half a minute of silence takes no time.

Sockets are real: what one end wrote, the other end reads before time goes on. So nothing depends on the machine's speed.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

_LONGEST_S = 4 * 3600.0  # of a test, after which it hangs


class _Selector(selectors.DefaultSelector):
    """Whoever waits for a time gets it at once, unless a socket is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s, self.turns = 0.0, 0
        self.at_turn: dict[int, Callable[[], None]] = {}

    def select(self, timeout: float | None = None) -> Any:
        self.turns += 1
        if (due := self.at_turn.pop(self.turns, None)) is not None:
            due()
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing will ever happen")
            self.passed_s += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The event loop of a test in which time is free."""

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.passed_s

    def after_turns(self, turns: int, call: Callable[[], object]) -> None:
        """Call `call` after so many turns of the loop: for what may happen at any moment."""
        self._waits.at_turn[self._waits.turns + turns] = lambda: self.call_soon(call)


def in_virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a coroutine function a test that runs in virtual time, and fails where it would hang."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def limited() -> None:
            async with asyncio.timeout(_LONGEST_S):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(limited())

    return run


def now_s() -> float:
    """Virtual time since the beginning of the test."""
    return asyncio.get_running_loop().time()
