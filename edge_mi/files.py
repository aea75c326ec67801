"""Writing files and folders whole or not at all: beside the target, synced, renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge_mi.errors import ConfigError, OutputError


def write_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Write `content` to `path`, replacing what is there; a device or pipe is written to.

    mode: permissions of a new file (default: what the umask leaves); one that is replaced hands down its own.
    Raises OutputError where that cannot be done.
    """
    with new_file(path, mode=mode) as file:
        file.write(content)


def file_sha256(path: Path) -> str:
    """SHA-256 of the content of `path`, in hex. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def new_file(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of `path` when the block ends, and vanishes if it fails; see `write_file`."""
    temporary: Path | None = None
    try:
        check_place(path)
        path = path.resolve()
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                yield device
            return
        new = 0o666 & ~_umask() if mode is None else mode
        permissions = path.stat().st_mode & 0o777 if path.exists() else new
        temporary = _sibling(path, "part")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(permissions)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise output_error(path, exc) from exc
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raises OutputError where a file `path` cannot be written; for work that takes long before it writes."""
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise OutputError(f"cannot write {path}: permission denied")
    except OSError as exc:
        raise output_error(path, exc) from exc


@contextmanager
def new_folder(path: Path, *, ours: Collection[str], force: bool = False) -> Iterator[Path]:
    """Yield an empty sibling of `path` that takes its place when the block ends, and vanishes if it fails.

    With `force` a folder is replaced that holds nothing but files named in `ours`, relative to it.
    Raises OutputError where `path` exists otherwise, or where it cannot be written.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a link that force must replace
    work, old = _sibling(path, "part"), _sibling(path, "old")
    parents: list[Path] = []
    try:
        check_free(path, ours, force)
        parents = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir(mode=0o700)
        yield work
        publish(work, path, old)
    except OSError as exc:
        raise output_error(path, exc) from exc
    finally:
        if os.path.lexists(old) and not os.path.lexists(path):  # one of the two is always there
            old.rename(path)
        for left in (work, old):
            shutil.rmtree(left, ignore_errors=True)
        for folder in parents:
            with suppress(OSError):  # it holds what was asked for
                folder.rmdir()


def check_free(path: Path, ours: Collection[str], force: bool) -> None:
    """Raises OutputError where `path` holds what must not be replaced; see `new_folder`."""
    try:
        if (path.exists() or path.is_symlink()) and not force:
            raise OutputError(f"{path} exists; choose another folder or add --force")
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise OutputError(f"{path} is not a folder; choose another name")
        if Path.cwd().is_relative_to(path):
            raise OutputError(f"{path} is the folder that you are in; choose another one")
        foreign = foreign_entry(path, ours) if path.is_dir() else None
    except OSError as exc:
        raise output_error(path, exc) from exc
    if foreign is not None:
        raise OutputError(
            f"{path} holds other things than what is written here ({foreign}); choose another folder"
        )


def foreign_entry(path: Path, ours: Collection[str]) -> str | None:
    """The first thing in a folder that is neither in `ours`, relative to it, nor a folder on the way to it.

    Raises OSError where that cannot be seen.
    """
    folders = {parent.as_posix() for name in ours for parent in Path(name).parents}
    for root, inner, names in os.walk(path, onerror=_raise):
        here = Path(root).relative_to(path)
        inner.sort()
        for name in inner:
            entry = here / name
            if entry.as_posix() not in folders or (path / entry).is_symlink():
                return entry.as_posix()
        for name in sorted(names):
            if (here / name).as_posix() not in ours:
                return (here / name).as_posix()
    return None


def _raise(error: OSError) -> None:
    raise error


def publish(work: Path, path: Path, old: Path, *, mode: int | None = None) -> None:
    """Put the folder `work`, synced, in the place of `path`; what was there goes to `old` on its way out.

    mode: permissions (default: what the umask leaves). Raises OSError where that cannot be done.
    """
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
    work.chmod(0o777 & ~_umask() if mode is None else mode)
    if path.exists():
        path.rename(old)
    work.rename(path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sibling(path: Path, ending: str) -> Path:
    """A name beside `path` that nothing has; known before anything is made, so that an interruption can undo it."""
    return path.parent / f".{path.name}.{secrets.token_hex(8)}.{ending}"


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


def output_error(path: Path, exc: OSError) -> OutputError:
    """What a system's error on the way to `path` means to the user."""
    return OutputError(f"cannot write {path}: {exc.strerror or exc}")


def input_error(path: Path, exc: OSError) -> ConfigError:
    """What a system's error on the way to `path`, which was given to be read, means to the user."""
    return ConfigError(f"cannot read {path}: {exc.strerror or exc}")
