"""Writing files and folders whole or not at all: beside the target, synced, renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_mi.errors import OutputError


def write_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write `content` to `path`, replacing what is there; a device or pipe is written to.

    mode: permissions of a new file (default: what the umask leaves); one that is replaced hands down its own.
    Raises OutputError where that cannot be done.
    """
    temporary: str | None = None
    try:
        check_place(path)
        path = path.resolve()
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        new = 0o666 & ~_umask() if mode is None else mode
        permissions = path.stat().st_mode & 0o777 if path.exists() else new
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(permissions)
        Path(temporary).replace(path)
        temporary = None
        sync_folder(path.parent)
    except OSError as exc:
        raise _output_error(path, exc) from exc
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raises OutputError where a file `path` cannot be written; for work that takes long before it writes."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: permission denied")


@contextmanager
def new_folder(path: Path, *, ours: Collection[str], force: bool = False) -> Iterator[Path]:
    """Yield an empty sibling of `path` that takes its place when the block ends, and vanishes if it fails.

    With `force` a folder is replaced that holds nothing but files named in `ours`, relative to it.
    Raises OutputError where `path` exists otherwise, or where it cannot be written.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a link that force must replace
    if (path.exists() or path.is_symlink()) and not force:
        raise OutputError(f"{path} exists; choose another folder or add --force")
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputError(f"{path} is not a folder; choose another name")
    if Path.cwd().is_relative_to(path):
        raise OutputError(f"{path} is the folder that you are in; choose another one")
    foreign = _foreign(path, ours) if path.is_dir() else None
    if foreign is not None:
        raise OutputError(
            f"{path} holds other things than what is written here ({foreign}); choose another folder"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as exc:
        raise _output_error(path, exc) from exc
    try:
        yield work
        _publish(work, path)
    except OSError as exc:
        raise _output_error(path, exc) from exc
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _foreign(path: Path, ours: Collection[str]) -> str | None:
    """Something in the folder that is neither in `ours` nor a folder on the way to it."""
    folders = {parent.as_posix() for name in ours for parent in Path(name).parents}
    for entry in path.rglob("*"):
        name = entry.relative_to(path).as_posix()
        on_the_way = name in folders and entry.is_dir() and not entry.is_symlink()
        if name not in ours and not on_the_way:
            return name
    return None


def _publish(work: Path, path: Path) -> None:
    for entry in sorted(work.rglob("*")):
        if entry.is_dir():
            sync_folder(entry)
            continue
        handle = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    sync_folder(work)
    work.chmod(0o777 & ~_umask())
    if path.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
        path.rename(old / path.name)
        try:
            work.rename(path)
        except BaseException:  # an interruption too: one of the two is always there
            if not path.exists():
                (old / path.name).rename(path)
            old.rmdir()
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        work.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _output_error(path: Path, exc: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {exc.strerror or exc}")
