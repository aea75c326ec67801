"""Worker processes for work that a person may interrupt."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any


class WorkerPool(ProcessPoolExecutor):
    """Spawned processes that die of Ctrl-C without a word, so that only their parent speaks.

    Between their start and their first work the signal is held back, since an import that it hits would show
    a traceback. Leaving the context drops what was not begun. They end when their parent does, killed or not.
    """

    def __init__(self, workers: int, begin: Callable[..., None] | None = None, *arguments: Any) -> None:
        super().__init__(
            workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(begin, arguments)
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As the executor's; processes start here, with the parent's signal mask."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(cancel_futures=True)


def _begin(begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # a worker holds both ends of the pipe that its work comes through, so it would wait there for ever
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
