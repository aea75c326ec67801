"""What the frozen teacher says of every record: computed once a run, and kept in a file while students learn.

The teacher sees whole records and nothing random, so that its embeddings never change. Blocks of records are the same
on any number of processes; each process writes its own. A pass that was killed begins again, one that was finished is
taken up by its hash, so that a resumed run has the same bits before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_mi import strict
from edge_mi.errors import OutputError
from edge_mi.files import file_sha256, write_file

from .distributed import World
from .pretrain_feed import Aims, CutBatch, CutFeed

BLOCK: Final = 256  # records that the teacher sees at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """Beside the file: what decided it, and its hash."""

    key: str
    sha256: str


def teacher_aims(
    file: Path,
    key: str,
    rows: NDArray[np.int64],
    features: int,
    feed: CutFeed,
    embed: Callable[[CutBatch], Tensor],
    world: World,
) -> Aims:
    """Embeddings float32 (len(rows), features) of the records `rows`, ascending; memory-mapped from `file`.

    Raises OutputError where the file cannot be written.
    """
    if not world.gather_objects(_is_done(file, key) if world.first else None)[0]:
        part = file.with_name(f"{file.name}.part")
        try:
            if world.first:
                remove_aims(file)
                with part.open("wb") as new:
                    new.truncate(len(rows) * features * 4)
            world.wait()
            starts = range(0, len(rows), BLOCK)[world.rank :: world.size]
            blocks = [torch.from_numpy(rows[start : start + BLOCK]) for start in starts]
            with part.open("r+b") as mine, torch.no_grad():
                for start, batch in zip(starts, feed(blocks, 0), strict=True):
                    mine.seek(start * features * 4)
                    mine.write(embed(batch).float().cpu().numpy().tobytes())
                mine.flush()
                os.fsync(mine.fileno())
            world.wait()
            if world.first:
                part.replace(file)
                write_file(_note_path(file), strict.dumps(_Note(key=key, sha256=file_sha256(file))).encode())
            world.wait()
        except OSError as exc:
            raise OutputError(f"cannot write {file}: {exc.strerror or exc}") from exc
    return Aims(rows, np.memmap(file, dtype=np.float32, mode="r", shape=(len(rows), features)))


def remove_aims(file: Path) -> None:
    """Give the embeddings up."""
    for each in (_note_path(file), file):
        each.unlink(missing_ok=True)


def _is_done(file: Path, key: str) -> bool:
    try:
        note = strict.loads(_note_path(file).read_text(encoding="utf-8"), _Note)
        return note.key == key and note.sha256 == file_sha256(file)
    except (OSError, UnicodeDecodeError, strict.DocumentError):
        return False


def _note_path(file: Path) -> Path:
    return file.with_suffix(".json")
