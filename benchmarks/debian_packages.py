"""Packages of Debian, or its like, unpacked without installing them.

apt downloads into a folder of its own, from the sources and with the keys of the machine, and the packages are
unpacked there. That takes no root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge_mi.errors import EdgeMIError

_TIMEOUT_S: Final = 900


class CannotEmulate(EdgeMIError):
    """Something that the emulation needs is not here."""


def check_tools() -> None:
    """Raises CannotEmulate where apt or dpkg is not here."""
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise CannotEmulate(
                f"{tool} is not here: what is emulated comes from Debian's packages, on Debian or its like"
            )


class Apt:
    """apt of the machine, with its sources and keys, in a folder of its own and for one architecture."""

    def __init__(self, home: Path, architecture: str) -> None:
        self._architecture = architecture
        self._home = empty(home / f"apt-{architecture}")
        self._archives = self._home / "cache" / "archives"
        for folder in (self._archives / "partial", self._home / "state" / "lists" / "partial"):
            folder.mkdir(parents=True)
        status = self._home / "status"
        status.touch()
        settings = {
            "Dir::State": self._home / "state",
            "Dir::State::status": status,
            "Dir::Cache": self._home / "cache",
            "APT::Architecture": architecture,
            "APT::Architectures::": architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",  # of a folder of ours, so that root needs no other user to enter it
            "Acquire::http::Timeout": "20",
            "Acquire::https::Timeout": "20",
        }
        self._options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        # one source that does not answer is no reason to stop: what is asked for may come from another
        with suppress(CannotEmulate):
            run(["apt-get", *self._options, "-q", "update"])

    def download_with_dependencies(self, packages: Sequence[str]) -> list[Path]:
        """The .deb files of `packages` and of all that they depend on."""
        self._ask(packages[0], "-y", "--download-only", "install", *packages)
        return sorted(self._archives.glob("*.deb"))

    def download(self, package: str) -> Path:
        """The .deb file of one package."""
        self._ask(package, "download", package)
        return next(self._archives.glob(f"{package}_*.deb"))

    def depends(self, package: str) -> list[str]:
        """Names of the packages that `package` itself depends on."""
        try:
            said = run(["apt-cache", *self._options, "depends", "--important", package])
        except CannotEmulate as exc:
            raise self._none(package, exc) from exc
        return [line.split()[-1] for line in said.splitlines() if "Depends: " in line]

    def forget(self) -> None:
        """Remove what was downloaded."""
        shutil.rmtree(self._home)

    def _ask(self, package: str, *words: str) -> None:
        try:
            run(["apt-get", *self._options, "-q", *words], cwd=self._archives)
        except CannotEmulate as exc:
            raise self._none(package, exc) from exc

    def _none(self, package: str, exc: CannotEmulate) -> CannotEmulate:
        return CannotEmulate(f"the machine's sources give no {package} for {self._architecture}: {exc}")


def unpack(debs: Iterable[Path], folder: Path) -> None:
    """Unpack .deb files into `folder`. Raises CannotEmulate."""
    for deb in debs:
        run(["dpkg-deb", "-x", deb, folder])


def run(words: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run a program of the host; its standard output. Raises CannotEmulate with the last thing that it said."""
    name = Path(words[0]).name
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=cwd, timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL, env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
        )  # fmt: skip
    except OSError as exc:
        raise CannotEmulate(f"{name} cannot be started: {exc.strerror or exc}") from exc
    except subprocess.TimeoutExpired as exc:
        raise CannotEmulate(f"{name} gave no answer in {_TIMEOUT_S} s") from exc
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise CannotEmulate(f"{name}: {said}")
    return done.stdout


def empty(folder: Path) -> Path:
    """`folder`, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def say(what: str) -> None:
    """A line for the person who waits."""
    print(what, file=sys.stderr, flush=True)
