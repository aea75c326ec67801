"""What the guest takes of Debian or Ubuntu: the stock kernel with its Bluetooth modules, BlueZ, and D-Bus."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_mi.benchmarks.debian_packages import Apt, CannotEmulate, check_tools, empty, run, say, unpack

from .libraries import Libraries, plain

KERNELS: Final = ("linux-image-amd64", "linux-image-generic")  # of Debian, of Ubuntu
PACKAGES: Final = ("bluez", "busybox-static", "dbus", "kmod", "libgcc-s1", "libstdc++6")
# in this order; ecdh_generic tests itself with random numbers when it is loaded
MODULES: Final = (
    "sha256_generic", "sha512_generic", "hmac", "ctr", "jitterentropy_rng", "drbg", "cmac", "ccm", "ecb", "ecdh_generic",
    "algif_hash", "algif_skcipher", "algif_aead", "bluetooth", "hci_vhci", "uhid",
)  # fmt: skip
# what else a kernel lacks it may have built in under another name
_INDISPENSABLE: Final = ("bluetooth", "hci_vhci")
_PROGRAMS: Final = (
    "usr/libexec/bluetooth/bluetoothd",
    "usr/lib/bluetooth/bluetoothd",  # where older packages have it
    "usr/bin/dbus-daemon",
    "bin/busybox",
    "usr/bin/busybox",
    "bin/kmod",
    "usr/bin/kmod",
)
_FOLDERS: Final = ("etc/bluetooth", "etc/dbus-1", "usr/share/dbus-1")
_KERNEL_PACKAGES: Final = ("linux-image-", "linux-modules-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Folders with unpacked packages. kernel: the kernel's. root: all others. versions: package -> version."""

    kernel: Path
    root: Path
    release: str
    versions: dict[str, str]


def fetch(home: Path, kernel_package: str | None) -> Distribution:
    """Download and unpack into `home`; None for the newest kernel.

    Raises CannotEmulate where the machine's sources do not have it.
    """
    check_tools()
    say("downloading a kernel, BlueZ and D-Bus with apt (about 100 MB)")
    apt = Apt(home, "amd64")
    kernel, root = empty(home / "kernel"), empty(home / "root")
    unpack(_kernel_packages(apt, kernel_package or _newest_kernel(apt)), kernel)
    debs = apt.download_with_dependencies(PACKAGES)
    unpack(debs, root)
    versions = {name: _version(debs, name) for name in PACKAGES}
    apt.forget()
    return Distribution(kernel=kernel, root=root, release=_release(kernel), versions=versions)


def _kernel_packages(apt: Apt, name: str) -> list[Path]:
    """The packages with the kernel and its modules, and nothing else of what they depend on."""
    wanted, known = [name], {name}
    for package in wanted:
        found = {each for each in apt.depends(package) if each.startswith(_KERNEL_PACKAGES)} - known
        wanted += sorted(found)
        known |= found
    return [apt.download(package) for package in wanted]


def _newest_kernel(apt: Apt) -> str:
    """The package that names it."""
    for name in KERNELS:
        with suppress(CannotEmulate):
            if apt.depends(name):
                return name
    raise CannotEmulate(f"the machine's sources give no kernel ({' or '.join(KERNELS)})")


def _version(debs: Iterable[Path], package: str) -> str:
    return next(deb.name.split("_")[1] for deb in debs if deb.name.startswith(f"{package}_"))


def _release(kernel: Path) -> str:
    folders = [*kernel.glob("lib/modules/*"), *kernel.glob("usr/lib/modules/*")]
    releases = sorted({path.name for path in folders})
    if len(releases) != 1 or not (kernel / "boot" / f"vmlinuz-{releases[0]}").is_file():
        raise CannotEmulate(f"the kernel's packages have the releases {releases}; expected one")
    return releases[0]


def place_programs(distribution: Distribution, libraries: Libraries, guest: Path) -> None:
    """Copy BlueZ, D-Bus, kmod and busybox into the root folder `guest`, with the libraries that they need."""
    found = [distribution.root / each for each in _PROGRAMS if (distribution.root / each).is_file()]
    if len({path.name for path in found}) != 4:
        raise CannotEmulate(f"the packages have {[path.name for path in found]} only, of {_PROGRAMS}")
    for program in found:
        place(program, guest / plain(program.relative_to(distribution.root)))
    for folder in _FOLDERS:
        if (distribution.root / folder).is_dir():
            shutil.copytree(distribution.root / folder, guest / folder, symlinks=True)
    for name, library in libraries.needed_by(found).items():
        place(library, guest / name)
    place(libraries.loader, guest / "usr/lib64/ld-linux-x86-64.so.2")


def place_modules(distribution: Distribution, libraries: Libraries, guest: Path) -> None:
    """Copy the Bluetooth modules and what they need; a module that is built in is none."""
    modules = next(iter(distribution.kernel.glob(f"**/lib/modules/{distribution.release}")))
    kmod = next(path for path in _programs_named(distribution.root, "kmod"))
    base = modules.parents[2]
    run([*libraries.start(kmod, name="depmod"), "-b", base, distribution.release])
    needs = _parse_needs(modules / "modules.dep")
    built_in = {_name(line) for line in (modules / "modules.builtin").read_text().split()}
    target = guest / "usr/lib/modules" / distribution.release
    target.mkdir(parents=True)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy2(modules / name, target / name)
    for name in MODULES:
        if name in _INDISPENSABLE and name not in built_in and name not in needs:
            raise CannotEmulate(f"kernel {distribution.release} has no module {name}")
        for path in needs.get(name, []):
            place(modules / path, target / path)
    run([*libraries.start(kmod, name="depmod"), "-b", guest / "usr", distribution.release])


def place(source: Path, target: Path) -> None:
    """Copy the file `source`, following links, to `target`, with its folders; one that is there stays."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _programs_named(root: Path, name: str) -> Sequence[Path]:
    return [root / each for each in _PROGRAMS if each.endswith(f"/{name}") and (root / each).is_file()]


def _parse_needs(path: Path) -> dict[str, list[str]]:
    """Module -> its file and those that it needs."""
    needs = {}
    for line in path.read_text().splitlines():
        file, _, others = line.partition(":")
        needs[_name(file)] = [file, *others.split()]
    return needs


def _name(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")
