"""Parts of a run: each is computed once, kept in the run folder, and found again by what it depends on.

A part's key hashes its request, its inputs, the store and the versions; whoever runs the same command after
a kill goes on from the finished parts, and whoever changes anything that matters gets new ones. Parts run
two at a time with one thread each: small networks gain nothing from a second thread, and the bytes do not
depend on the number of cores.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.errors import EdgeMIError, OutputError
from edge_mi.files import write_file
from edge_mi.progress import Progress
from edge_mi.store import WindowStore
from edge_mi.workers import WorkerPool

from .fit import prepare_torch
from .provenance import versions

PIPELINE: Final = 4  # raise it when a change of the code changes results
WORKERS: Final = 2
SNAPSHOT: Final = ".snapshot"

Arrays: TypeAlias = dict[str, NDArray[Any]]
Work: TypeAlias = Callable[[WindowStore, Any, Mapping[str, NDArray[Any]], Path], Arrays]


@dataclass(frozen=True, slots=True)
class Part:
    """`work(store, request, inputs, snapshot)`: a module-level function, a frozen dataclass, arrays, a file."""

    name: str
    work: Work
    request: Any
    inputs: Arrays = field(default_factory=dict)

    def key(self, store_digest: str) -> str:
        """Hash of everything that decides the result."""
        digest = hashlib.sha256()
        for text in (self.work.__qualname__, strict.dumps(self.request), store_digest, str(PIPELINE)):
            digest.update(text.encode() + b"\0")
        digest.update(repr(sorted(versions().items())).encode())
        for name, array in sorted(self.inputs.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


class RunFolder:
    """The folder of a run: finished parts, and snapshots of those that were killed.

    It holds what networks said about patients, so it is for its owner only (contract C10).
    """

    def __init__(self, path: Path, store_path: Path, *, workers: int = WORKERS) -> None:
        self.path, self.store_path, self._workers = path, store_path, workers
        self.store = open_store(store_path)
        try:
            (path / "parts").mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
        except OSError as exc:
            raise OutputError(f"cannot write {path}: {exc.strerror or exc}") from exc

    def compute(self, parts: Sequence[Part], label: str) -> list[Arrays]:
        """Results of `parts` in their order: those on disk are read, the others computed and kept."""
        files = [self._file(part) for part in parts]
        missing = [(part, file) for part, file in zip(parts, files, strict=True) if not file.is_file()]
        for file in files:
            if file.is_file():
                # killed after the part was written and before its snapshot was given up
                file.with_suffix(SNAPSHOT).unlink(missing_ok=True)
        with Progress(len(parts), label, done=len(parts) - len(missing)) as progress:
            if self._workers > 1 and len(missing) > 1:
                self._compute_side_by_side(missing, progress)
            else:
                for part, file in missing:
                    execute(self.store_path, part, file)
                    progress.advance()
        return [_read(file) for file in files]

    def _compute_side_by_side(self, missing: list[tuple[Part, Path]], progress: Progress) -> None:
        try:
            with WorkerPool(self._workers) as pool:
                futures: list[Future[None]] = [
                    pool.submit(execute, self.store_path, part, file) for part, file in missing
                ]
                for future in as_completed(futures):
                    future.result()
                    progress.advance()
        except BrokenProcessPool as exc:
            raise EdgeMIError(
                "a training process was ended from outside (out of memory?); finished parts are kept: "
                "run the same command again"
            ) from exc

    def _file(self, part: Part) -> Path:
        return self.path / "parts" / f"{part.name}-{part.key(self.store.digest)[:16]}.npz"


def execute(store_path: Path, part: Part, file: Path) -> None:
    """Compute one part and write it to `file`, whole or not at all."""
    prepare_torch()
    snapshot = file.with_suffix(SNAPSHOT)
    arrays = part.work(open_store(store_path), part.request, part.inputs, snapshot)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy 2 knows one more keyword
    write_file(file, buffer.getvalue())
    snapshot.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def open_store(path: Path) -> WindowStore:
    """The store at `path`, validated once a process."""
    return WindowStore.open(path)


def _read(file: Path) -> Arrays:
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, BadZipFile) as exc:
        raise OutputError(f"{file} is damaged ({exc}): delete it and run the same command again") from exc
