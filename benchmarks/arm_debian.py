"""Programs of Debian without installing them: an aarch64 Python, and QEMU where the PATH has none that serves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .debian_packages import Apt, CannotEmulate, check_tools, empty, run, say, unpack

GUEST: Final = "aarch64"
_DEBIAN: Final = "arm64"
_PACKAGES: Final = ("python3", "libstdc++6", "libgomp1")
_QEMU: Final = ("qemu-aarch64-static", "qemu-aarch64")
_QEMU_PACKAGES: Final = ("qemu-user-static", "qemu-user")  # from Debian 13 on the second is the static one


def unpacked_python(home: Path) -> Path:
    """The root folder of an aarch64 Python. Raises CannotEmulate."""
    root = home / "root"
    if root.is_dir():
        return root
    check_tools()
    say(f"downloading a Python for {GUEST} with apt")
    apt = Apt(home, _DEBIAN)
    work = empty(home / "root.part")
    unpack(apt.download_with_dependencies(_PACKAGES), work)
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
    check_tools()
    say("downloading QEMU with apt")
    apt = Apt(home, run(["dpkg", "--print-architecture"]).strip())
    own.mkdir(exist_ok=True)
    for package in _QEMU_PACKAGES:
        work = empty(home / "qemu.part")
        unpack([apt.download(package)], work)
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
