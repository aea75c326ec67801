"""Worker processes of a Ray cluster, used as those of this machine are (`edge_mi/workers.py`).

A worker of another machine reads the same paths with its own EdgeMI. Ray tells nobody that it is used, and its logs
stay where it keeps them.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, TypeVar

from edge_mi.errors import ConfigError
from edge_mi.optional import require
from edge_mi.workers import AHEAD, few_ahead

LOCAL: Final = "local"

_RETRIES: Final = 2  # of a task whose worker died, before it is done here
_KNOCK_S: Final = 10.0
_OBJECT_STORE_BYTES: Final = (
    80 << 20
)  # the least that Ray takes; only the bundle and the rows pass through it

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class RayWorkers:
    """The processors of a cluster, each made ready by `begin(*arguments)` when its first work comes.

    address: of the cluster, or "local" for one of `workers` processes that lives as long as the context.
    Raises MissingDependency without Ray, and ConfigError where there is no such cluster.
    """

    def __init__(self, address: str, workers: int, begin: Callable[..., None], *arguments: Any) -> None:
        self._ray = require("ray", extra="ray")
        self._address = address
        self._workers = workers
        self._setting = begin, arguments, version("edge-mi")
        self._place: TemporaryDirectory[str] | None = None

    def __enter__(self) -> RayWorkers:
        more: dict[str, Any] = {}
        if self._address != LOCAL:
            _knock(self._address)
        else:
            # its own secret for this process and its children; Ray would make one and leave it at home
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            self._place = TemporaryDirectory(prefix="edge-mi-ray-", ignore_cleanup_errors=True)
            more = {
                "num_cpus": self._workers, "include_dashboard": False, "_temp_dir": self._place.name,
                "object_store_memory": _OBJECT_STORE_BYTES,
            }  # fmt: skip
        try:
            self._ray.init(address=self._address, log_to_driver=False, logging_level="CRITICAL", **more)
            processors = int(self._ray.cluster_resources().get("CPU", 0))
        except (ConnectionError, ValueError, RuntimeError, ImportError, TimeoutError) as exc:
            self._leave()
            raise ConfigError(f"no Ray cluster at {self._address}: {exc}") from exc
        except BaseException:
            self._leave()
            raise
        if not processors:
            self._leave()
            raise ConfigError(f"the Ray cluster at {self._address} has no processor")
        self._ahead = AHEAD * processors
        self._run = self._ray.remote(num_cpus=1, max_retries=_RETRIES)(_run)
        # in a list it travels as a reference, and is fetched once by each process
        self._key, self._shared = secrets.token_hex(8), [self._ray.put(self._setting)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def in_order(
        self,
        work: Callable[[_Item], _Result],
        items: Iterable[_Item],
        here: Callable[[_Item], _Result],
    ) -> Iterator[_Result]:
        """Give work(item) for each item, in order, with few items begun ahead of the one that is given next.

        What a dead worker had in hand is begun again elsewhere, and at last done in this process, by `here`.
        Raises ConfigError where a worker cannot do the work at all.
        """
        return few_ahead(
            items,
            lambda item: self._begin(work, item),
            lambda item, reference: self._result(item, reference, here),
            self._ahead,
        )

    def _begin(self, work: Callable[[_Item], _Result], item: _Item) -> Any:
        try:
            return self._run.remote(self._key, self._shared, work, item)
        except self._ray.exceptions.RayError:
            return None

    def _result(self, item: _Item, reference: Any, here: Callable[[_Item], _Result]) -> _Result:
        if reference is None:
            return here(item)
        try:
            result: _Result = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as exc:
            raise ConfigError(f"a worker of the Ray cluster cannot do this: {exc.cause or exc}") from exc
        except self._ray.exceptions.RayError:
            return here(item)
        return result

    def _leave(self) -> None:
        self._ray.shutdown()
        if self._place is not None:
            self._place.cleanup()


def _knock(address: str) -> None:
    """Raises ConfigError where nobody answers at `address`; Ray itself would take minutes to say so."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ConfigError(f"--ray {address}; expected HOST:PORT of a Ray cluster, `auto` or `{LOCAL}`")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
    except OSError as exc:
        raise ConfigError(f"no Ray cluster at {address}: {exc.strerror or exc}") from exc


_ready: str | None = None


def _run(key: str, shared: list[Any], work: Callable[[Any], Any], item: Any) -> Any:
    """In a worker: make this process ready for the run that is called `key`, once, then work."""
    global _ready
    if _ready != key:
        begin, arguments, expected = require("ray", extra="ray").get(shared[0])
        if (found := version("edge-mi")) != expected:
            raise RuntimeError(f"it has edge-mi {found}, expected {expected}")
        begin(*arguments)
        _ready = key
    return work(item)
