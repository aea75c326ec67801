"""Recordings that were cut off: what their journals list, and what they are once they are mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb
from edge_mi.firmware_bridge.recording import journal as codec
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recover import recover
from edge_mi.firmware_bridge.recording.timeline import OF_DECISIONS
from recordings import assert_same, told

from edge_mi.records import read_record
from edge_mi.samples import Item

WIDTH = 3  # bytes of a sample of the recordings here


@dataclass(frozen=True, slots=True)
class Listed:
    """What an intact journal lists, by its bytes of the signal file.

    settled: up to where a SYNC or END says that it was on the disk; on_disk: how many items that are, and synced how
    much of the journal.
    """

    chunks: list[tuple[int, int]]
    gaps: list[tuple[int, int]]
    settled: int
    on_disk: int
    synced: int
    size: int


def listed(journal: bytes) -> Listed:
    _, start = codec.decode_beginning(journal, "a")
    chunks: list[tuple[int, int]] = []
    gaps: list[tuple[int, int]] = []
    size = n_items = settled = on_disk = 0
    synced = start
    for entry, end in codec.entries(journal, start):
        before = size
        match entry:
            case codec.ChunkEntry():
                size += WIDTH * entry.n
                chunks.append((before, size))
            case codec.GapEntry():
                size += WIDTH * (entry.n_samples or 0)
                gaps.append((before, size))
            case codec.FillEntry():
                size += WIDTH * entry.n
                gaps.append((before, size))
            case codec.SyncEntry() | codec.EndEntry():
                settled, on_disk, synced = size, n_items, end
        n_items += isinstance(entry, codec.ChunkEntry | codec.GapEntry)
    return Listed(chunks, gaps, settled, on_disk, synced, size)


def is_damaged(journal: bytes, before: bytes, after: bytes) -> bool:
    """Whether a signal file lost what had been on the disk: samples of a chunk, or its length."""
    known = listed(journal)
    return len(after) < known.settled or any(
        before[start:end] != after[start:end] for start, end in known.chunks if end <= known.settled
    )


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Of each file which one it is, and its bytes."""
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in sorted(folder.iterdir())}


def assert_prefix(recording: Recording, items: Sequence[Item], at_least: int = 0) -> int:
    """How many items there are; the first of `items`, and `at_least` so many."""
    found = [told(item) for item in recording.items()]
    assert found == [told(item) for item in items[: len(found)]]
    assert len(found) >= at_least
    return len(found)


def assert_consistent(recording: Recording, items: Sequence[Item]) -> None:
    """That a recovered recording is closed and has these items, and that other tools see a finished record."""
    assert_same(recording.items(), items)
    assert recording.problem is None
    record_path = str(recording.folder / "ecg")
    assert (recording.folder / "ecg.dat").stat().st_size == recording.n_samples * WIDTH
    header = wfdb.rdheader(record_path)
    assert (header.sig_len or 0) == recording.n_samples
    if recording.n_samples:
        oracle = wfdb.rdrecord(record_path)
        assert header.base_date is not None
        assert np.array_equal(
            read_record(recording.folder / "ecg.hea").samples_mv,
            oracle.p_signal[:, 0].astype(np.float32),
            equal_nan=True,
        )
    said = [each for each in recording.events() if each.kind not in OF_DECISIONS]
    assert wfdb.rdann(record_path, "atr").sample.tolist() == [each.sample for each in said]
    before = content(recording.folder)
    assert recover(recording.folder).problem is None
    assert content(recording.folder) == before
