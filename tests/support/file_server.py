"""A server on loopback that serves a published folder and, told so, does what servers do to downloads."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from edge_mi.train.data.sums import ListedFile


def format_sums(files: Iterable[ListedFile]) -> bytes:
    """The text of a list, as PhysioNet writes it."""
    return "".join(f"{file.sha256} {file.path}\n" for file in files).encode()


@dataclass(frozen=True)
class Fault:
    """What one answer does wrong.

    status: answer that instead, with `headers`. cut: send so many bytes of the body and close. stall: send so many and
    then nothing more, until the server closes. flip: change a bit of the body. lie: say so many bytes more in the
    Content-Length (fewer, where negative). whole: send the whole file whatever range was asked for. elsewhere: send
    another range than was asked for. late: answer only when another request came.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: int | None = None
    flip: bool = False
    lie: int = 0
    whole: bool = False
    elsewhere: bool = False
    late: bool = False
    chunked: bool = False


class FileServer:
    """Serves `files` (path -> bytes) and their list; `faults` of a path are used up one a request, the last for ever
    where it is in `always`. `log` holds (path, first byte asked for) of every request."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        listed = [ListedFile(path, hashlib.sha256(data).hexdigest()) for path, data in sorted(files.items())]
        self.files = {**files, "SHA256SUMS.txt": format_sums(listed)}
        self.faults: dict[str, list[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.log: list[tuple[str, int]] = []
        self.stalled = threading.Event()
        self.closing = threading.Event()
        self.another = threading.Event()
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/files/heart/1.0"

    def asked(self, path: str) -> list[int]:
        """First bytes of the requests for a path."""
        return [first for name, first in self.log if name == path]

    def fault(self, path: str) -> Fault:
        with self.lock:
            if self.faults.get(path):
                return self.faults[path].pop(0)
            return self.always.get(path, Fault())


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[FileServer]:
    """A running server."""
    server = FileServer(files)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.another.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: FileServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        owner = self.owner
        path = unquote(self.path.removeprefix("/files/heart/1.0/"))
        first = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        owner.log.append((path, first))
        fault = owner.fault(path)
        if fault.late:
            owner.another.wait(30)
        else:
            owner.another.set()
        data = owner.files.get(path)
        if fault.status is not None or data is None:
            self._say(fault.status or 404, {**fault.headers, "Content-Length": "0"})
            return
        if fault.whole:
            first = 0
        if fault.elsewhere:
            first = 0 if first else 1
        if first and first >= len(data):
            self._say(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
            return
        body = bytearray(data[first:])
        if fault.flip and body:
            body[len(body) // 2] ^= 1
        ranged = first > 0 or fault.elsewhere
        headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"} if ranged else {}
        if fault.chunked:
            self._say(206 if ranged else 200, {**headers, "Transfer-Encoding": "chunked"})
            cut = bytes(body[: fault.cut])
            self.wfile.write(
                f"{len(body):x}\r\n".encode() + cut + (b"\r\n0\r\n\r\n" if fault.cut is None else b"")
            )
            self.close_connection = fault.cut is not None
            return
        self._say(
            206 if ranged else 200, {**headers, **fault.headers, "Content-Length": str(len(body) + fault.lie)}
        )
        stop = fault.cut if fault.cut is not None else fault.stall
        sent = body if stop is None else body[:stop]
        self.wfile.write(sent[: len(body) + fault.lie])
        self.wfile.flush()
        if fault.stall is not None:
            owner.stalled.set()
            owner.closing.wait(60)
        if fault.lie or stop is not None:
            self.close_connection = True

    def _say(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
