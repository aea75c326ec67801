"""Whether a folder holds what its list says: missing, changed and unlisted files, with all cores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np

from edge_mi.errors import ConfigError, StoreError
from edge_mi.files import file_sha256, input_error
from edge_mi.progress import Progress
from edge_mi.store import WindowStore
from edge_mi.store.manifest import LABELS_FILE, MANIFEST_FILE, SIGNALS_FILE
from edge_mi.store.signals import open_codes, verify_signals
from edge_mi.store.window_store import read_manifest
from edge_mi.workers import WorkerPool

from .sums import SUMS_NAME, Lines, ListedFile, Sums, is_part, matcher

MARK_NAME: Final = ".edge-mi-fetch.json"
SHOWN: Final = 10

State: TypeAlias = Literal["whole", "missing", "changed"]

_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Comparison:
    """Lines of a list by what is on disk: int64 (n,) each, ascending. bytes_present: size of the whole files."""

    missing: Lines
    changed: Lines
    whole: int
    bytes_present: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderReport:
    """What a check found. The lists hold the first ten paths; unfinished: part files of a download."""

    kind: Literal["download", "store"]
    listed: int
    checked: int
    bytes_checked: int
    missing: int
    changed: int
    unlisted: int
    unfinished: int
    first_missing: tuple[str, ...]
    first_changed: tuple[str, ...]
    first_unlisted: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether everything that was asked for is there and as it was published."""
        return self.missing == self.changed == 0


def check_folder(folder: Path, *, only: Sequence[str] = (), jobs: int = 1) -> FolderReport:
    """Hash a download against its SHA256SUMS.txt, or a window store against its manifest.

    only: glob patterns on the path, for a download that was not meant to be whole. A file that cannot be read counts as
    changed. Raises ConfigError where the folder is not there or cannot be looked into, has no list or nothing fits the
    patterns, RecordError and StoreError for a list that cannot be read.
    """
    try:
        return _check_folder(folder, only, jobs)
    except OSError as exc:
        raise input_error(folder, exc) from exc


def _check_folder(folder: Path, only: Sequence[str], jobs: int) -> FolderReport:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder} to check")
    if not (folder / SUMS_NAME).is_file():
        if not (folder / MANIFEST_FILE).is_file():
            raise ConfigError(
                f"{folder} holds neither {SUMS_NAME} nor {MANIFEST_FILE}: nothing to check it against"
            )
        if only:
            raise ConfigError(f"{folder} is a window store, which is checked whole: leave out --only")
        return _check_store(folder)
    sums = Sums.open(folder / SUMS_NAME)
    lines = wanted_lines(sums, only, folder)
    with Progress(len(lines), "checking") as progress:
        found = compare(sums, folder, lines, jobs=jobs, done=progress.advance)
    unlisted, unfinished = _others(sums, folder, matcher(only), own={SUMS_NAME, MARK_NAME})
    return FolderReport(
        kind="download",
        listed=len(sums),
        checked=len(lines),
        bytes_checked=found.bytes_present,
        missing=len(found.missing),
        changed=len(found.changed),
        unlisted=len(unlisted),
        unfinished=unfinished,
        first_missing=tuple(sums[int(line)].path for line in found.missing[:SHOWN]),
        first_changed=tuple(sums[int(line)].path for line in found.changed[:SHOWN]),
        first_unlisted=tuple(sorted(unlisted)[:SHOWN]),
    )


def wanted_lines(sums: Sums, patterns: Sequence[str], where: object) -> Lines:
    """The lines of a list that fit --only. Raises ConfigError where none does."""
    lines = sums.lines(patterns)
    if not len(lines):
        raise ConfigError(
            f"none of the {len(sums)} files of {where} fits --only; the first is {sums[0].path!a}"
        )
    return lines


def compare(
    sums: Sums,
    folder: Path,
    lines: Lines,
    *,
    hashed: bool = True,
    jobs: int = 1,
    done: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Which of `lines` are whole in `folder`; without `hashed`, a file that is there is taken to be.

    done: called with the number of files that were looked at since.
    """
    states: list[int] = []
    bytes_present = 0
    codes: dict[State, int] = {"whole": 0, "missing": 1, "changed": 2}
    for found in _states(sums, folder, lines, hashed, jobs):
        states += [codes[state] for state, _ in found]
        bytes_present += sum(size for state, size in found if state == "whole")
        done(len(found))
    code = np.array(states, dtype=np.uint8)
    return Comparison(lines[code == 1], lines[code == 2], int((code == 0).sum()), bytes_present)


def _states(
    sums: Sums, folder: Path, lines: Lines, hashed: bool, jobs: int
) -> Iterator[list[tuple[State, int]]]:
    batches = (
        (folder, [sums[int(line)] for line in lines[start : start + _BATCH]], hashed)
        for start in range(0, len(lines), _BATCH)
    )
    # a process takes longer to start than a few small files to hash
    if jobs <= 1 or not hashed or len(lines) <= _BATCH:
        yield from map(_look, batches)
        return
    with WorkerPool(jobs) as pool:
        yield from pool.in_order(_look, batches, here=_look)


def _look(batch: tuple[Path, list[ListedFile], bool]) -> list[tuple[State, int]]:
    folder, files, hashed = batch
    return [_state(folder / file.path, file.sha256 if hashed else None) for file in files]


def _state(path: Path, sha256: str | None) -> tuple[State, int]:
    """What is at `path`, and its size; a file that cannot be read counts as changed."""
    try:
        if not path.is_file():
            return ("changed" if path.exists() else "missing"), 0
        if sha256 is None:
            return "whole", path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return ("whole" if digest == sha256 else "changed"), file.tell()
    except OSError:
        return "changed", 0


def _others(sums: Sums, folder: Path, wanted: Callable[[str], bool], own: set[str]) -> tuple[list[str], int]:
    """Paths of wanted files that are not listed, and how many part files there are."""
    unlisted, unfinished = [], 0
    for root, _, names in os.walk(folder):
        for name in names:
            path = (Path(root) / name).relative_to(folder).as_posix()
            if is_part(name):
                unfinished += 1
            elif path not in own and wanted(path) and sums.find(path) is None:
                unlisted.append(path)
    return unlisted, unfinished


def _check_store(folder: Path) -> FolderReport:
    """Every byte of a store against its manifest, which has one hash of the labels and many of the signals."""
    manifest = read_manifest(folder / MANIFEST_FILE)
    names = (LABELS_FILE, SIGNALS_FILE)
    missing = [name for name in names if not (folder / name).is_file()]
    present = [folder / name for name in names if name not in missing]
    changed = []
    with Progress(manifest.records, "checking") as progress:
        for path in present:
            try:
                if path.name == LABELS_FILE:
                    if file_sha256(path) != manifest.files[LABELS_FILE]:
                        changed.append(path.name)
                else:
                    open_codes(path, manifest)
                    for records in verify_signals(path, manifest):
                        progress.advance(records)
            except (StoreError, OSError):
                changed.append(path.name)
    if not missing and not changed:
        WindowStore.open(folder)  # what the labels say, patients included
    others = {path.name for path in folder.iterdir()} - {*names, MANIFEST_FILE}
    return FolderReport(
        kind="store",
        listed=len(names),
        checked=len(names),
        bytes_checked=sum(path.stat().st_size for path in present if path.name not in changed),
        missing=len(missing),
        changed=len(changed),
        unlisted=len(others),
        unfinished=0,
        first_missing=tuple(missing),
        first_changed=tuple(changed),
        first_unlisted=tuple(sorted(others)[:SHOWN]),
    )
