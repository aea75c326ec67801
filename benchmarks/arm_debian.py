"""Programs of Debian without installing them: an aarch64 Python, and QEMU where the PATH has none that serves.

apt downloads into a folder of its own, from the sources and with the keys of the machine, and the packages are
unpacked there. That takes no root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge_mi.errors import EdgeMIError

GUEST: Final = "aarch64"
_DEBIAN: Final = "arm64"
_PACKAGES: Final = ("python3", "libstdc++6", "libgomp1")
_QEMU: Final = ("qemu-aarch64-static", "qemu-aarch64")
_QEMU_PACKAGES: Final = ("qemu-user-static", "qemu-user")  # from Debian 13 on the second is the static one
_TIMEOUT_S: Final = 900


class CannotEmulate(EdgeMIError):
    """Something that the emulation needs is not here."""


def unpacked_python(home: Path) -> Path:
    """The root folder of an aarch64 Python. Raises CannotEmulate."""
    root = home / "root"
    if root.is_dir():
        return root
    _check_tools()
    say(f"downloading a Python for {GUEST} with apt")
    apt = _Apt(home, _DEBIAN)
    work = empty(home / "root.part")
    for deb in apt.download_with_dependencies(_PACKAGES):
        run(["dpkg-deb", "-x", deb, work])
    for name in ("bin", "lib", "sbin"):  # Debian 13: nothing but a package that is not needed makes these
        if not (work / name).exists():
            (work / name).symlink_to(f"usr/{name}")
    work.rename(root)
    apt.forget()
    return root


def usable_qemu(home: Path, cpus: Sequence[str]) -> Path:
    """A QEMU that runs by itself and knows `cpus`. Raises CannotEmulate."""
    installed = [Path(found) for name in _QEMU if (found := shutil.which(name))]
    own = home / "qemu"
    for program in (*installed, *(own / name for name in _QEMU)):
        if _knows(program, cpus):
            return program
    _check_tools()
    say("downloading QEMU with apt")
    apt = _Apt(home, run(["dpkg", "--print-architecture"]).strip())
    own.mkdir(exist_ok=True)
    for package in _QEMU_PACKAGES:
        work = empty(home / "qemu.part")
        run(["dpkg-deb", "-x", apt.download(package), work])
        for program in (work / "usr" / "bin" / name for name in _QEMU):
            if program.is_file() and _knows(program, cpus):
                target = own / program.name
                shutil.copy2(program, target)
                shutil.rmtree(work)
                apt.forget()
                return target
    raise CannotEmulate(
        f"no QEMU that emulates {' and '.join(cpus)} without installing it: "
        "apt install qemu-user-static (7.1 or newer)"
    )


def _knows(program: Path, cpus: Sequence[str]) -> bool:
    try:
        done = subprocess.run([program, "-cpu", "help"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return set(cpus) <= set(done.stdout.split())


def _check_tools() -> None:
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise CannotEmulate(
                f"{tool} is not here: what is emulated comes from Debian's packages, on Debian or its like"
            )


class _Apt:
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

    def forget(self) -> None:
        """Remove what was downloaded."""
        shutil.rmtree(self._home)

    def _ask(self, package: str, *words: str) -> None:
        try:
            run(["apt-get", *self._options, "-q", *words], cwd=self._archives)
        except CannotEmulate as exc:
            raise CannotEmulate(
                f"the machine's sources give no {package} for {self._architecture}: {exc}"
            ) from exc


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
