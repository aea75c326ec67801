"""Worker processes for work that a person may interrupt."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any, Final, TypeVar

# one process a core: what multiplies matrices inside it must not start threads of its own, which would fight for cores
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
AHEAD: Final = 4  # pieces of work begun for each worker: enough that none waits, few enough for any archive

_Item = TypeVar("_Item")
_Begun = TypeVar("_Begun")
_Result = TypeVar("_Result")


class WorkerPool(ProcessPoolExecutor):
    """Spawned processes that die of Ctrl-C without a word, so that only their parent speaks.

    Between their start and their first work the signal is held back, since an import that it hits would show
    a traceback. Leaving the context drops what was not begun. They end when their parent does, killed or not.
    """

    def __init__(self, workers: int, begin: Callable[..., None] | None = None, *arguments: Any) -> None:
        self._ahead = AHEAD * workers
        super().__init__(
            workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(begin, arguments)
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As the executor's; processes start here, with the parent's signal mask, and one thread of arithmetic."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        unset = [name for name in _ONE_THREAD if name not in os.environ]
        os.environ.update(dict.fromkeys(unset, "1"))
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            for name in unset:
                del os.environ[name]
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def in_order(
        self,
        work: Callable[[_Item], _Result],
        items: Iterable[_Item],
        here: Callable[[_Item], _Result] | None = None,
        *,
        ahead: int | None = None,
    ) -> Iterator[_Result]:
        """Give work(item) for each item, in order, with few items begun ahead of the one that is given next.

        What a dead worker had in hand is done in this process, by `here`; without it BrokenProcessPool is raised.
        ahead: items begun at most (default: four a worker).
        """
        return few_ahead(
            items,
            lambda item: self._begin(work, item),
            lambda item, future: _result(item, future, here),
            ahead or self._ahead,
        )

    def _begin(self, work: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
        try:
            return self.submit(work, item)
        except BrokenProcessPool as exc:
            failed: Future[_Result] = Future()
            failed.set_exception(exc)
            return failed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(cancel_futures=True)


def few_ahead(
    items: Iterable[_Item],
    begin: Callable[[_Item], _Begun],
    result: Callable[[_Item, _Begun], _Result],
    ahead: int,
) -> Iterator[_Result]:
    """result(item, begin(item)) for each item, in order, with at most `ahead` begun and not given."""
    begun: deque[tuple[_Item, _Begun]] = deque()
    for item in items:
        begun.append((item, begin(item)))
        if len(begun) >= ahead:
            yield result(*begun.popleft())
    while begun:
        yield result(*begun.popleft())


def _result(item: _Item, future: Future[_Result], here: Callable[[_Item], _Result] | None) -> _Result:
    try:
        return future.result()
    except BrokenProcessPool:
        if here is None:
            raise
        return here(item)


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
