"""What the virtual machine boots: a kernel, and a first file system with BlueZ, this Python and this checkout.

The file system is two archives, one after the other: the slow one is kept under a name that says what went into it, the
code of the checkout is packed again each time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_mi.benchmarks.debian_packages import CannotEmulate, empty, say

from . import cpio, distribution, libraries, python_tree

CODE: Final = Path("edge-mi/code")
_FOLDERS: Final = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin",
                   "var/lib/bluetooth")  # fmt: skip
_LINKS: Final = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin", "var/run": "../run",
                 "usr/sbin/modprobe": "../bin/kmod", "usr/bin/sh": "busybox"}  # fmt: skip
_FILES: Final = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\n",
    "etc/group": "root:x:0:\nmessagebus:x:100:\nbluetooth:x:101:\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\n",
}
_INIT: Final = """#!/bin/busybox sh
# the first process: what it says goes to the log, and to the host only the exit code of the guest's program
export PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 PYTHONUNBUFFERED=1
export PYTHONPATH=/{code}:/{site} PYTHONNOUSERSITE=1
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b mkdir -p /dev/shm
$b ifconfig lo 127.0.0.1 up
$b stty -F /dev/ttyS1 raw -echo
echo '{{"booted": true}}' > /dev/ttyS1
for module in {modules}; do modprobe -q "$module"; done
{program}
code=$?
echo "the guest's program ended with $code"
echo "{{\\"exit\\": $code}}" > /dev/ttyS1
$b poweroff -f
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """kernel, archives: files for QEMU; the archives go in one after the other. versions: package -> version."""

    kernel: Path
    archives: tuple[Path, ...]
    versions: dict[str, str]


def make_image(home: Path, checkout: Path, program: Sequence[str], kernel: str | None = None) -> Image:
    """Make, or take from `home`, what boots into `program`, words of a shell.

    kernel: its package, None for the newest. Raises CannotEmulate, OSError.
    """
    home.mkdir(exist_ok=True)
    base = home / f"base-{_key(kernel)}"
    if not base.is_dir():
        _make_base(home, base, kernel)
    code = home / "code.cpio"
    _pack_code(home, checkout, program, code)
    versions = json.loads((base / "versions.json").read_text())
    return Image(kernel=base / "vmlinuz", archives=(base / "base.cpio", code), versions=versions)


def _key(kernel: str | None) -> str:
    """Of all that the kept archive is made of: Python, its packages, and the modules that make it."""
    sources = [
        Path(str(module.__file__)).read_bytes() for module in (cpio, distribution, libraries, python_tree)
    ]
    parts = [
        *python_tree.described(),
        Path("/etc/os-release").read_text(),
        repr((_FOLDERS, _LINKS, _FILES, kernel)),
    ]
    digest = hashlib.sha256("\0".join(parts).encode())
    for source in sources:
        digest.update(source)
    return digest.hexdigest()[:16]


def _make_base(home: Path, base: Path, kernel: str | None) -> None:
    """Make the folder `base`, which is there whole or not at all."""
    packages = distribution.fetch(home, kernel)
    say(f"packing Linux {packages.release}, BlueZ {packages.versions['bluez']} and this Python")
    own = libraries.Libraries(packages.root)
    guest, work = empty(home / "guest"), empty(home / "base.part")
    for name in _FOLDERS:
        (guest / name).mkdir(parents=True)
    for name, target in _LINKS.items():
        (guest / name).symlink_to(target)
    for name, text in _FILES.items():
        (guest / name).write_text(text)
    distribution.place_programs(packages, own, guest)
    distribution.place_modules(packages, own, guest)
    python_tree.place_python(own, guest)
    with (work / "base.cpio").open("wb") as archive:
        cpio.write_archive(guest, archive)
    shutil.copy2(packages.kernel / "boot" / f"vmlinuz-{packages.release}", work / "vmlinuz")
    versions = {"linux": packages.release, **packages.versions}
    (work / "versions.json").write_text(json.dumps(versions))
    for old in home.glob("base-*"):
        shutil.rmtree(old)
    work.rename(base)
    for left in (guest, packages.kernel, packages.root):
        shutil.rmtree(left)


def _pack_code(home: Path, checkout: Path, program: Sequence[str], target: Path) -> None:
    """Pack the checkout's packages, as they are installed, and the guest's first process."""
    pyproject = checkout / "pyproject.toml"
    if not pyproject.is_file():
        raise CannotEmulate(f"{checkout} is no checkout of EdgeMI; run from one")
    folders: dict[str, str] = tomllib.loads(pyproject.read_text())["tool"]["setuptools"]["package-dir"]
    work = empty(home / "code.part")
    for package, folder in folders.items():
        if package in ("edge_mi", "edge_mi.firmware_bridge", "edge_mi.benchmarks"):
            shutil.copytree(
                checkout / folder, work / CODE / package.replace(".", "/"), dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__", "results"),
            )  # fmt: skip
    init = work / "init"
    init.write_text(_INIT.format(
        code=CODE, site=python_tree.SITE, modules=" ".join(distribution.MODULES),
        program=" ".join(program).replace("{python}", str(python_tree.program())),
    ))  # fmt: skip
    init.chmod(0o755)
    with target.open("wb") as archive:
        cpio.write_archive(work, archive)
    shutil.rmtree(work)
