"""Finding records: in a folder, in a list, or one by itself."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from edge_mi.errors import RecordError
from edge_mi.records.csv import has_ecg_header
from edge_mi.records.read import WFDB_ENDINGS, main_file
from edge_mi.records.wfdb_header import read_header

_ENDINGS = (*WFDB_ENDINGS, ".csv")
_MAX_LIST_BYTES = 1 << 26


def find_records(root: Path) -> list[tuple[str, Path]]:
    """Name and path of every record below `root`, by name; names are relative to `root`, without ending.

    A record is a .hea file, a .csv file with a column in mV or uV, or a .mat or .dat file that has no header
    (reading it says so). Folders that are links, or that may not be entered, are not. Raises RecordError where
    `root` is no folder or cannot be listed.
    """
    if not root.is_dir():
        raise RecordError(f"{root} is not a folder")
    try:
        os.scandir(root).close()  # what os.walk cannot list is empty to it
    except OSError as exc:
        raise RecordError(f"cannot read {root}: {exc.strerror or exc}") from exc
    records: dict[str, Path] = {}
    for folder, _, names in os.walk(root):
        for path in _records_in(Path(folder), names):
            records[path.relative_to(root).with_suffix("").as_posix()] = path
    return sorted(records.items())


def list_records(path: str | Path) -> list[tuple[str, Path]]:
    """Name and path of every record that `path` means: a folder, a list (.txt, RECORDS), or one record.

    A list has one record or folder a line, relative to the list; empty lines and lines with # are skipped.
    What a list names need not exist: reading it says so. Raises RecordError for no such folder, list or record.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return find_records(path)
        if path.suffix.lower() == ".txt" or path.name == "RECORDS":
            return _listed(path)
        if not main_file(path).is_file():
            raise RecordError(f"no such record: {path}")
    except OSError as exc:
        raise RecordError(f"cannot read {path}: {exc.strerror or exc}") from exc
    return [(_name(path.name), path)]


def _records_in(folder: Path, names: list[str]) -> list[Path]:
    """The records of one folder, of several files with one name the one that describes it."""
    found: dict[str, Path] = {}
    # the ending that describes a record comes last and so takes its place
    for ending in (".dat", ".mat", ".csv", ".hea"):
        for path in sorted(folder / name for name in names if Path(name).suffix.lower() == ending):
            if ending != ".csv" or _is_ecg(path):
                found[path.stem] = path
    if any(path.suffix.lower() in (".dat", ".mat") for path in found.values()):
        headers = [path for path in found.values() if path.suffix.lower() == ".hea"]
        described = {folder / file for header in headers for file in _signal_files(header)}
        return [path for path in found.values() if path not in described]
    return list(found.values())


def _is_ecg(path: Path) -> bool:
    try:
        return path.is_file() and has_ecg_header(path)
    except OSError:
        return True  # it may be one: reading it will tell why it cannot be read


def _signal_files(header: Path) -> set[str]:
    try:
        return {signal.file for signal in read_header(header).signals}
    except (OSError, RecordError):
        return set()


def _listed(path: Path) -> list[tuple[str, Path]]:
    if not path.is_file():
        raise RecordError(f"no such list of records: {path}")
    if path.stat().st_size > _MAX_LIST_BYTES:
        raise RecordError(f"{path} is too large for a list of records")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as exc:
        raise RecordError(f"{path} is not a list of records: it is no text in UTF-8") from exc
    records: list[tuple[str, Path]] = []
    for line in (line.strip() for line in lines):
        if not line or line.startswith("#") or "\0" in line:
            continue
        entry = path.parent / line
        if entry.is_dir():
            records += [(f"{PurePosixPath(line)}/{name}", found) for name, found in find_records(entry)]
        else:
            records.append((_name(line), entry))
    if records and not any(main_file(entry).is_file() for _, entry in records):
        raise RecordError(f"{path} lists no record that is there; its first line is {records[0][0][:60]!a}")
    return records


def _name(path: str) -> str:
    pure = PurePosixPath(path)
    return str(pure.with_suffix("") if pure.suffix.lower() in _ENDINGS else pure)
