"""A folder as an archive that Linux unpacks into its first file system; such archives may follow one another.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel, format "newc".
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO, Final

_END: Final = "TRAILER!!!"
_ALIGNED: Final = 4


def write_archive(folder: Path, out: BinaryIO) -> None:
    """Write all that is in `folder` to `out`, owned by root. Raises OSError."""
    paths = sorted(folder.rglob("*"))
    for number, path in enumerate(paths, start=1):
        _write_entry(out, number, path.relative_to(folder).as_posix(), path)
    _write_header(out, 0, _END, mode=0, mtime=0, size=0)


def _write_entry(out: BinaryIO, number: int, name: str, path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        content = os.fsencode(path.readlink())
        _write_header(out, number, name, mode=status.st_mode, mtime=int(status.st_mtime), size=len(content))
        out.write(content)
        _pad(out, len(content))
        return
    size = status.st_size if path.is_file() else 0
    _write_header(out, number, name, mode=status.st_mode, mtime=int(status.st_mtime), size=size)
    if path.is_file():
        with path.open("rb") as file:
            shutil.copyfileobj(file, out)
        _pad(out, size)


def _write_header(out: BinaryIO, number: int, name: str, *, mode: int, mtime: int, size: int) -> None:
    encoded = os.fsencode(name) + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, mtime, size, 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    out.write(header + encoded)
    _pad(out, len(header) + len(encoded))


def _pad(out: BinaryIO, written: int) -> None:
    out.write(bytes(-written % _ALIGNED))
