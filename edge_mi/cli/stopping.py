"""Ending asynchronous work in order when the user or the system asks for it."""

from __future__ import annotations

import asyncio
import signal


class Stopping:
    """Set `event` at SIGINT, SIGTERM or SIGHUP; made inside a running event loop."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._interrupted = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # who starts us with nohup means that the end of the terminal is not ours
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop, number)

    @property
    def exit_code(self) -> int:
        """130 after an interruption by the user, else 0."""
        return 128 + signal.SIGINT if self._interrupted else 0

    def _stop(self, number: int) -> None:
        self._interrupted = self._interrupted or number == signal.SIGINT
        self.event.set()
