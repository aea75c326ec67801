"""One file from a server to the disk: into its part file, checked against its hash, and only then under its name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from edge_mi.errors import OutputError

from .sums import ListedFile, part_name
from .transport import BLOCK_BYTES, TransferFault

_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


class Answer(Protocol):
    """What a server says to a request for a file."""

    status: int
    content_range: str | None

    def blocks(self) -> Iterator[bytes]:
        """The body."""


class Server(Protocol):
    """Where files come from."""

    def get(self, path: str, first_byte: int = 0) -> Answer:
        """Ask for a file from a byte on; raises TransferFault."""


class Stopped(Exception):
    """The download was told to stop."""


class WrongContent(Exception):
    """A whole file came, and its hash is not the one that is listed."""


def body_start(status: int, content_range: str | None, part_bytes: int) -> int | None:
    """Where in the file the body of an answer belongs when `part_bytes` are there; None: these may be all there is.

    A server that ignores the Range sends the file anew, and one that sends another range than was asked for is not
    believed: -1, ask again from the beginning.
    """
    if status == 200:
        return 0
    if status == 416:
        return None if part_bytes else -1
    match = _RANGE.fullmatch(content_range or "")
    return part_bytes if match is not None and int(match[1]) == part_bytes else -1


def load_file(
    server: Server,
    folder: Path,
    file: ListedFile,
    *,
    stopped: Callable[[], bool],
    received: Callable[[int], None],
) -> int:
    """Try once to bring `file` into `folder`; the bytes that came over the line.

    What came stays in the part file, from which the next try goes on. received: called with every block's bytes.
    Raises TransferFault, WrongContent (then the part file is gone), Stopped, and OutputError for the disk.
    """
    target = folder / file.path
    part = target.with_name(part_name(target.name))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        came = _fill(server, part, file, stopped, received)
        part.replace(target)
    except OSError as exc:
        raise OutputError(f"cannot write {target}: {exc.strerror or exc}") from exc
    return came


def part_bytes(folder: Path, path: str) -> int:
    """How much of a file is in its part file."""
    target = folder / path
    try:
        return target.with_name(part_name(target.name)).stat().st_size
    except OSError:
        return 0


def _fill(
    server: Server, part: Path, file: ListedFile, stopped: Callable[[], bool], received: Callable[[int], None]
) -> int:
    # not followed where it is a link: it would take the bytes elsewhere
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with os.fdopen(handle, "r+b") as out:
        there = out.seek(0, os.SEEK_END)
        answer = server.get(file.path, there)
        start = body_start(answer.status, answer.content_range, there)
        if start == -1:
            out.truncate(0)
            raise TransferFault("the server sends another part of the file than it was asked for", again=True)
        came = 0
        digest = _digest_of(out, there if start is None else start)
        if start is not None:
            out.truncate(start)
            out.seek(start)
            for block in answer.blocks():
                out.write(block)
                digest.update(block)
                came += len(block)
                received(len(block))
                if stopped():
                    raise Stopped
        if digest.hexdigest() != file.sha256:
            out.close()
            part.unlink()
            raise WrongContent
        out.flush()
        os.fsync(out.fileno())
        return came


def _digest_of(out: BinaryIO, length: int) -> hashlib._Hash:
    """The hash of the first `length` bytes of a file."""
    digest = hashlib.sha256()
    out.seek(0)
    while length > 0:
        block = out.read(min(BLOCK_BYTES, length))
        if not block:
            break
        digest.update(block)
        length -= len(block)
    return digest
