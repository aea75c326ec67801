"""Headers of WFDB records as collections use them: which there are, and what their comments say of the patient."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from edge_mi.errors import RecordError
from edge_mi.records.wfdb_header import Header, read_header

OLDEST_YEARS: Final = 90.0  # for privacy sources give ages from 90 on as 90, 300 or ">89"
_SEXES: Final = {"f": True, "female": True, "m": False, "male": False}


def list_headers(folder: Path) -> Iterator[Path]:
    """The headers in `folder`, one by one: what its file RECORDS names, there or not; else every .hea below, by name.

    RECORDS has one record or folder a line. Folders that are links are not entered; one that is named and not
    here is given as it is. Raises RecordError for a folder that cannot be read and a RECORDS that leads out of it.
    """
    try:
        if (folder / "RECORDS").is_file():
            yield from _listed(folder)
            return
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as exc:
        raise RecordError(
            f"{folder} cannot be read ({exc.strerror}); expected the folder of a collection"
        ) from exc
    yield from (folder / entry.name for entry in entries if entry.name.endswith(".hea") and entry.is_file())
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from list_headers(folder / entry.name)


def open_header(path: Path) -> Header:
    """The header at `path`. Raises RecordError where it cannot be read or cannot mean anything."""
    try:
        return read_header(path)
    except OSError as exc:
        raise RecordError(f"cannot read {path}: {exc.strerror or exc}") from exc


def fields(comments: Iterable[str]) -> dict[str, str]:
    """Comments of the form `name: value`, names in lower case and without <>; of several with one name, the first."""
    found: dict[str, str] = {}
    for comment in comments:
        name, colon, value = comment.partition(":")
        if colon:
            found.setdefault(name.strip().strip("<>").lower(), value.strip())
    return found


def age_years(text: str) -> float | None:
    """Years as headers and tables write them; 90 for 90 and over, None for whatever is no age."""
    text = text.strip()
    try:
        years = float(text.removeprefix(">")) + text.startswith(">")
    except ValueError:
        return None
    return min(years, OLDEST_YEARS) if math.isfinite(years) and years >= 0 else None


def female(text: str) -> bool | None:
    """Whether a header's sex is female; None where it says neither."""
    return _SEXES.get(text.strip().lower())


def inside(folder: Path, name: str, where: str) -> Path:
    """The path `name` below `folder`. Raises RecordError, citing `where` it stands, for one that leads elsewhere."""
    pure = PurePosixPath(name)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise RecordError(f"{where} names {name[:60]!a}; expected a path inside the collection")
    return folder / pure


def _listed(folder: Path) -> Iterator[Path]:
    path = folder / "RECORDS"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as exc:
        raise RecordError(f"{path} is not a list of records: it is no text in UTF-8") from exc
    for line in filter(None, map(str.strip, lines)):
        entry = inside(folder, line, str(path))
        if entry.is_dir() and not entry.is_symlink():
            yield from list_headers(entry)
        else:
            yield entry if line.endswith("/") else entry.parent / f"{entry.name}.hea"
