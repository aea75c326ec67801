"""SHA256SUMS.txt: which files a published folder holds, and the hash of each.

A line is 64 hexadecimal digits, one space and a path below the folder; that is what PhysioNet writes. The lines of
sha256sum, with a second space or a `*` before the path, are read as well. A collection may list 1.6 million files, so
the text stays in a mapped file, and a line is taken apart when it is asked for.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError, RecordError

SUMS_NAME: Final = "SHA256SUMS.txt"
PART_START: Final = "."
PART_END: Final = ".part"

Lines: TypeAlias = NDArray[np.int64]
_Text: TypeAlias = bytes | mmap.mmap

_LINE: Final = re.compile(rb"([0-9a-fA-F]{64}) [ *]?(.+)", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the list: its path below the folder, with `/`, and its SHA-256 in lower-case hexadecimal."""

    path: str
    sha256: str


class Sums:
    """A checked list of files; `sums[n]` is the file of line n, counted from 0.

    Paths stay below the folder and none is listed twice.
    """

    __slots__ = ("_keys", "_order", "_starts", "_text")

    def __init__(self, text: _Text, where: str = SUMS_NAME) -> None:
        """Check all of `text`; raises RecordError, naming `where` and the line, for what is no list."""
        self._text = text
        starts, keys = array("q"), array("Q")
        start = 0
        while start < len(text):
            end = text.find(b"\n", start)
            number = len(starts) + 1
            if end < 0:
                raise RecordError(f"{where}, line {number}: the line has no end; the list was cut off")
            try:
                file = _parse(text[start:end])
            except ValueError as exc:
                raise RecordError(f"{where}, line {number}: {exc}") from exc
            starts.append(start)
            keys.append(_key(file.path))
            start = end + 1
        if not starts:
            raise RecordError(f"{where} lists no file")
        self._starts: Lines = np.array(starts, dtype=np.int64)
        key_of_line = np.array(keys, dtype=np.uint64)
        self._order = np.argsort(key_of_line, kind="stable")
        self._keys = key_of_line[self._order]
        self._refuse_repeats(where)

    @classmethod
    def open(cls, path: Path) -> Sums:
        """Map the list at `path`. Raises RecordError where it cannot be read or is no list."""
        try:
            with path.open("rb") as file:
                if path.stat().st_size == 0:
                    raise RecordError(f"{path} lists no file")
                text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as exc:
            raise RecordError(f"cannot read {path}: {exc.strerror or exc}") from exc
        return cls(text, str(path))

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, line: int) -> ListedFile:
        start = int(self._starts[line])
        return _parse(self._text[start : self._text.find(b"\n", start)])

    def __iter__(self) -> Iterator[ListedFile]:
        return (self[line] for line in range(len(self)))

    def find(self, path: str) -> int | None:
        """The line that lists `path`, or None."""
        key = np.uint64(_key(path))
        place = int(np.searchsorted(self._keys, key))
        while place < len(self) and self._keys[place] == key:
            if self[int(self._order[place])].path == path:
                return int(self._order[place])
            place += 1
        return None

    def lines(self, patterns: Iterable[str] = ()) -> Lines:
        """The lines whose path fits one of the patterns, ascending, int64 (n,); all where there is no pattern."""
        patterns = list(patterns)
        if not patterns:
            return np.arange(len(self), dtype=np.int64)
        wanted = matcher(patterns)
        return np.array([line for line, file in enumerate(self) if wanted(file.path)], dtype=np.int64)

    def _refuse_repeats(self, where: str) -> None:
        for place in np.flatnonzero(self._keys[1:] == self._keys[:-1]):
            first, second = sorted((int(self._order[place]), int(self._order[place + 1])))
            if self[first].path == self[second].path:
                raise RecordError(
                    f"{where} lists {self[first].path} twice, in lines {first + 1} and {second + 1}"
                )


def part_name(name: str) -> str:
    """What a file is called while it is not whole."""
    return f"{PART_START}{name}{PART_END}"


def is_part(name: str) -> bool:
    """Whether a file is called like one that is not whole."""
    return name.startswith(PART_START) and name.endswith(PART_END)


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a path fits one of some glob patterns, in which `*` also stands for `/`; no pattern fits all.

    Raises ConfigError for an empty pattern.
    """
    patterns = list(patterns)
    if not patterns:
        return lambda _: True
    if "" in patterns:
        raise ConfigError("--only is empty; expected a pattern such as 'records100/*'")
    fits = re.compile("|".join(map(translate, patterns))).match
    return lambda path: fits(path) is not None


def _parse(line: bytes) -> ListedFile:
    """Raises ValueError, saying what is wrong."""
    match = _LINE.fullmatch(line.removesuffix(b"\r"))
    if match is None:
        raise ValueError(f"expected 64 hexadecimal digits, a space and a path, found {line[:80]!r}")
    try:
        path = match[2].decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"the path {match[2][:80]!r} is not UTF-8") from exc
    _check_path(path)
    return ListedFile(path, match[1].decode().lower())


def _check_path(path: str) -> None:
    parts = path.split("/")
    if _CONTROL.search(path) or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"the path {path[:80]!a} is refused; expected one that stays below the folder")
    if path == SUMS_NAME or is_part(parts[-1]):
        raise ValueError(f"the path {path[:80]!a} is refused; the name is kept for the download itself")


def _key(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "big")
