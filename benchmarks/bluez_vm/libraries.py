"""Which shared libraries programs need, as the loader of the guest's own C library finds them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge_mi.benchmarks.debian_packages import CannotEmulate, run

_LOADER: Final = "ld-linux-x86-64.so.2"
_FOUND: Final = re.compile(r"\s=>\s(/\S+)\s\(0x")
_FOLDER: Final = Path("usr/lib/x86_64-linux-gnu")
_SPLIT: Final = ("lib", "lib64", "bin", "sbin")  # folders that are below /usr in the guest


class Libraries:
    """Looks into the unpacked packages at `root` first, and then where this machine has its libraries.

    Raises CannotEmulate where the packages have no C library.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        loaders = [path for path in root.glob(f"**/x86_64-linux-gnu/{_LOADER}") if not path.is_symlink()]
        if not loaders:
            raise CannotEmulate(f"the packages have no C library ({_LOADER})")
        self.loader = loaders[0]
        self._path = f"{root / 'lib/x86_64-linux-gnu'}:{root / _FOLDER}"

    def start(self, program: Path, *, name: str | None = None) -> list[str | Path]:
        """The words that run `program` of the packages here, under the name that tells it what to do."""
        named: list[str | Path] = [] if name is None else ["--argv0", name]
        return [self.loader, "--library-path", self._path, *named, program]

    def needed_by(self, programs: Iterable[Path]) -> dict[Path, Path]:
        """Place in the guest -> file, of what `programs` need; the loader looks there without being told.

        Raises CannotEmulate, naming the library, where something is missing or too old.
        """
        return _placed(found for program in programs for found in self._list(program))

    def found_for(self, modules: Iterable[Path], within: Iterable[Path]) -> dict[Path, Path]:
        """The same for extension modules, without what is in the folders `within` and what nowhere is.

        A package may bring modules for hardware that is not here, which load nowhere.
        """
        folders = [folder.resolve() for folder in within]
        needed: dict[Path, Path] = {}
        for module in modules:
            with suppress(CannotEmulate):
                found = [each for each in self._list(module) if not _is_within(each, folders)]
                needed |= _placed(found)
        return needed

    def _list(self, file: Path) -> list[Path]:
        if not _is_dynamic(file):
            return []
        try:
            said = run([self.loader, "--library-path", self._path, "--list", file])
        except CannotEmulate as exc:
            raise CannotEmulate(f"{file} cannot run in the guest: {exc}") from exc
        missing = [line.split()[0] for line in said.splitlines() if line.endswith("not found")]
        if missing:
            raise CannotEmulate(
                f"{file} needs {missing[0]}, which neither the packages nor this machine have"
            )
        return [Path(found) for found in _FOUND.findall(said)]


def _placed(libraries: Iterable[Path]) -> dict[Path, Path]:
    return {_FOLDER / each.name: each for each in libraries}


def _is_within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in folders)


def plain(path: Path) -> Path:
    """The place in the guest, where /lib and its like are links to those below /usr."""
    return Path("usr") / path if path.parts[0] in _SPLIT else path


def _is_dynamic(file: Path) -> bool:
    """Whether the loader has anything to say of it."""
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF" and b"busybox" not in file.name.encode()
