"""The Python that runs this, with the packages that the bridge and the emulator need, for the guest.

The guest gets this machine's Python at the same path and its packages in a folder of their own: so what is tested is
what is installed, whichever of 3.11 to 3.13 it is and wherever it comes from.
"""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from edge_mi.benchmarks.debian_packages import CannotEmulate, run

from .distribution import place
from .libraries import Libraries

REQUIRED: Final = ("bleak", "bumble", "numpy", "ai-edge-litert")
SITE: Final = Path("edge-mi/site")
_LEFT_OUT: Final = (
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip",
    "lib2to3", "config-*",
)  # fmt: skip
# for processors that no virtual machine has, and what only those read who build on a package
_SPARED: Final = ("vendors", "tools", "tests", "include", "libLiteRtWebGpuAccelerator.so")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def packages() -> dict[str, Distribution]:
    """Name -> what is installed, of the required packages and of all that they need.

    Raises CannotEmulate where one of the required is not installed.
    """
    found: dict[str, Distribution] = {}
    waiting = list(REQUIRED)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError as exc:
            if name in REQUIRED:
                raise CannotEmulate(f"{name} is not installed: pip install '.[tflite,ble,emulate]'") from exc
            continue  # of another system or Python
        waiting += [_key(each) for each in found[name].requires or [] if "extra ==" not in each]
    return dict(sorted(found.items()))


def program() -> Path:
    """The Python program, without links and without a virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def place_python(libraries: Libraries, guest: Path) -> None:
    """Copy this Python and the packages into the root folder `guest`, compiled. Raises CannotEmulate."""
    standard = [Path(sysconfig.get_path(name, vars=_base())).resolve() for name in ("stdlib", "platstdlib")]
    for folder in dict.fromkeys(standard):
        shutil.copytree(
            folder, guest / folder.relative_to("/"), dirs_exist_ok=True, symlinks=False,
            ignore=shutil.ignore_patterns(*_LEFT_OUT), ignore_dangling_symlinks=True,
        )  # fmt: skip
    place(program(), guest / program().relative_to("/"))
    site = guest / SITE
    for package in packages().values():
        _place_package(package, site)
    _place_libraries(libraries, guest, site, standard)
    run([sys.executable, "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash",
         site, *(guest / folder.relative_to("/") for folder in standard)])  # fmt: skip


def _place_libraries(libraries: Libraries, guest: Path, site: Path, standard: list[Path]) -> None:
    copied = [path for path in site.rglob("*.so*") if path.is_file()]
    own = [
        path for folder in standard for path in folder.rglob("*.so") if _is_taken(path.relative_to(folder))
    ]
    needed = libraries.found_for([*own, *copied], within=[site]) | libraries.needed_by([program()])
    for name, library in needed.items():
        place(library, guest / name)


def _place_package(package: Distribution, site: Path) -> None:
    for file in package.files or []:
        source = Path(str(file.locate()))
        if not {"..", *_SPARED} & set(file.parts) and source.suffix != ".pyc" and source.is_file():
            place(source, site / Path(*file.parts))


def _is_taken(path: Path) -> bool:
    return not any(part in _LEFT_OUT for part in path.parts)


def _base() -> dict[str, str]:
    """Variables that make sysconfig speak of the Python below a virtual environment."""
    return {"base": sys.base_prefix, "platbase": sys.base_exec_prefix, "installed_base": sys.base_prefix,
            "installed_platbase": sys.base_exec_prefix}  # fmt: skip


def _key(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def described() -> Iterator[str]:
    """What decides over the Python of the guest, for the name of a cached one."""
    yield f"{program()} {sys.version}"
    for name, package in packages().items():
        yield f"{name} {package.version}"
