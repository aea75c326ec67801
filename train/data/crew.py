"""Several connections that load the files of a list at once; no file has an object of its own while it waits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Literal, Protocol

from .retry import RetryPolicy
from .sums import ListedFile
from .transfer import Server, Stopped, WrongContent, load_file, part_bytes
from .transport import TransferFault

_GIVE_UP_AFTER: Final = 8  # files in a row that the server did not give, however often it was asked
_LEAVE_S: Final = 5.0


class OpenServer(Server, Protocol):
    """A server as one worker holds it."""

    def close(self) -> None:
        """Leave it."""

    def abort(self) -> None:
        """End what another thread is waiting for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    wrong: it came whole with another hash, as often as it was asked for. refused: the server does not give it.
    lost: the server could not be reached, or broke off every time.
    """

    path: str
    kind: Literal["loaded", "wrong", "refused", "lost"]
    reason: str = ""


class Gate:
    """Keeps everybody from the server while it wants to be left alone; `wait` returns whether to stop."""

    def __init__(self, wait: Callable[[float], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._open_s = 0.0

    def shut(self, seconds: float) -> None:
        """Let nobody pass for `seconds`."""
        with self._lock:
            self._open_s = max(self._open_s, self._clock() + seconds)

    def go_through(self) -> None:
        """Wait until the gate is open; raises Stopped."""
        while (left_s := self._open_s - self._clock()) > 0:
            self.rest(left_s)
        self.rest(0.0)

    def rest(self, seconds: float) -> None:
        """Wait; raises Stopped."""
        if self._wait(seconds):
            raise Stopped


class Crew:
    """Loads files into `folder` over as many connections as there are workers."""

    def __init__(
        self,
        connect: Callable[[], OpenServer],
        folder: Path,
        *,
        workers: int,
        policy: RetryPolicy,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._connect = connect
        self._folder = folder
        self._workers = workers
        self._policy = policy
        self._stop = threading.Event()
        self._gate = Gate(wait or self._stop.wait)
        self._lock = threading.Lock()
        self._news: SimpleQueue[Outcome | int | BaseException | None] = SimpleQueue()
        self._servers: list[OpenServer] = []

    def load(self, files: Iterator[ListedFile]) -> Generator[Outcome | int, None, None]:
        """Load them all; gives each outcome as it comes, and between them numbers of bytes that were received.

        Ends early when the server gave nothing for several files in a row. Leaving the iterator stops the work; part
        files stay. Raises OutputError for the disk.
        """
        threads = [
            threading.Thread(target=self._work, args=(files,), daemon=True) for _ in range(self._workers)
        ]
        lost = 0
        try:
            for thread in threads:
                thread.start()
            working = len(threads)
            while working:
                news = self._news.get()
                if news is None:
                    working -= 1
                elif isinstance(news, BaseException):
                    raise news
                else:
                    yield news
                    if isinstance(news, Outcome):
                        lost = lost + 1 if news.kind == "lost" else 0
                        if lost >= _GIVE_UP_AFTER:
                            return
        finally:
            self._stop.set()
            with self._lock:
                for server in self._servers:
                    server.abort()
            leave_s = time.monotonic() + _LEAVE_S
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(leave_s - time.monotonic(), 0.0))

    def _work(self, files: Iterator[ListedFile]) -> None:
        server: OpenServer | None = None
        try:
            server = self._connect()
            with self._lock:
                self._servers.append(server)
            while (file := self._next(files)) is not None:
                self._news.put(self._one(server, file))
        except Stopped:
            pass
        except BaseException as exc:  # the thread that asked shall hear of it, whatever it is
            self._news.put(exc)
        finally:
            if server is not None:
                server.close()
            self._news.put(None)

    def _next(self, files: Iterator[ListedFile]) -> ListedFile | None:
        with self._lock:
            return None if self._stop.is_set() else next(files, None)

    def _one(self, server: OpenServer, file: ListedFile) -> Outcome:
        failures = wrong = 0
        furthest = part_bytes(self._folder, file.path)
        while True:
            self._gate.go_through()
            try:
                load_file(
                    server, self._folder, file, stopped=self._stop.is_set, received=self._news.put
                )  # fmt: skip
                return Outcome(file.path, "loaded")
            except WrongContent:
                wrong, furthest = wrong + 1, 0
                if wrong >= self._policy.hash_attempts:
                    return Outcome(file.path, "wrong")
            except TransferFault as fault:
                server.close()
                if not fault.again:
                    return Outcome(file.path, "refused", str(fault))
                there = part_bytes(self._folder, file.path)
                failures = 1 if there > furthest else failures + 1
                furthest = max(there, furthest)
                delay_s = self._policy.delay_s(
                    failures, chance=random.random(), retry_after_s=fault.retry_after_s  # noqa: S311
                )  # fmt: skip
                if delay_s is None:
                    return Outcome(file.path, "lost", str(fault))
                if fault.busy:
                    self._gate.shut(delay_s)
                else:
                    self._gate.rest(delay_s)
