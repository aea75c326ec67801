"""An aarch64 Python on x86-64: Debian's, under QEMU's user mode, with the wheel and the device extras installed.

No root, chroot or binfmt_misc. The processor is that of a Raspberry Pi 4 or 5; its time is not, so nothing is timed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import sys
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Final

from .arm_debian import GUEST, unpacked_python, usable_qemu
from .debian_packages import CannotEmulate, empty, run, say

EXTRAS: Final = "tflite,onnx,ble,export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """A processor as QEMU names it, and what /proc/cpuinfo says of it on the board."""

    name: str
    board: str
    part: str
    features: str

    def cpuinfo(self, cores: int) -> str:
        """The text of /proc/cpuinfo."""
        return "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {self.part}\nCPU revision\t: 3\n\n"
            for core in range(cores)
        )


CPUS: Final = (
    Cpu(
        name="cortex-a72", board="Raspberry Pi 4", part="0xd08", features="fp asimd evtstrm crc32 cpuid"
    ),
    Cpu(
        name="cortex-a76",
        board="Raspberry Pi 5",
        part="0xd0b",
        features="fp asimd evtstrm crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPythons:
    """qemu: its version. pythons: by CPU, the program. site: what pip installed. host_site: the wheel, for x86-64."""

    qemu: str
    pythons: dict[str, Path]
    site: Path
    host_site: Path


def prepare(home: Path, checkout: Path) -> ArmPythons:
    """Make, or take from `home`, one emulated Python a CPU with the wheel built from `checkout`.

    Raises CannotEmulate with one sentence on what is missing.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise CannotEmulate(
            f"this machine is {platform.machine()} ({sys.platform}); the comparison is made on x86_64 Linux"
        )
    if not (checkout / "constraints.txt").is_file() or not (checkout / "pyproject.toml").is_file():
        raise CannotEmulate(f"{checkout} is no checkout of EdgeMI; run from one")
    home.mkdir(exist_ok=True)
    root, qemu = unpacked_python(home), usable_qemu(home, [cpu.name for cpu in CPUS])
    pythons = {cpu.name: _python(home, root, qemu, cpu) for cpu in CPUS}
    first = next(iter(pythons.values()))
    _check_python(first)
    wheel = _build_wheel(home, checkout)
    return ArmPythons(
        qemu=run([qemu, "--version"]).splitlines()[0],
        pythons=pythons,
        site=_install(home, first, wheel, checkout / "constraints.txt"),
        host_site=_unpack(home, wheel),
    )


def _python(home: Path, root: Path, qemu: Path, cpu: Cpu) -> Path:
    """The program that starts the emulated Python, and that Python takes for itself when it starts workers.

    The libraries read the features of the processor from /proc/cpuinfo, where QEMU shows the host's; a file below
    its prefix wins. It must agree with the CPU that is emulated, or they die of an illegal instruction.
    """
    prefix = home / cpu.name
    program = prefix / "python"
    cores = len(os.sched_getaffinity(0))
    processors = prefix / "sys" / "devices" / "system" / "cpu"
    processors.mkdir(parents=True, exist_ok=True)
    (prefix / "proc").mkdir(exist_ok=True)
    (prefix / "proc" / "cpuinfo").write_text(cpu.cpuinfo(cores))
    for name in ("possible", "present", "online"):
        (processors / name).write_text(f"0-{cores - 1}\n")
    for name in ("bin", "etc", "lib", "sbin", "usr"):
        if (root / name).exists() and not (prefix / name).is_symlink():
            (prefix / name).symlink_to(Path("..") / root.name / name)
    program.write_text(
        "#!/bin/sh\n"
        f"PYTHONHOME={_quoted(root / 'usr')} QEMU_CPU={cpu.name} exec {_quoted(qemu)} -L {_quoted(prefix)} "
        f'-0 {_quoted(program)} {_quoted(root / "usr" / "bin" / "python3")} "$@"\n'
    )
    program.chmod(0o755)
    return program


def _check_python(program: Path) -> None:
    version = run([program, "-c", "import platform; print(platform.python_version())"]).strip()
    if not (3, 11) <= tuple(map(int, version.split(".")[:2])) <= (3, 13):
        raise CannotEmulate(
            f"the machine's sources have Python {version} for {GUEST}; EdgeMI needs 3.11 to 3.13"
        )


def _build_wheel(home: Path, checkout: Path) -> Path:
    out = empty(home / "dist")
    try:
        run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, checkout])
    except CannotEmulate as exc:
        raise CannotEmulate(f"{exc} (pip install '.[dev]' brings what builds the wheel)") from exc
    return next(out.glob("*.whl"))


def _install(home: Path, python: Path, wheel: Path, constraints: Path) -> Path:
    """pip, run by the emulated Python as on a device; again only for what has changed since the last time."""
    site = home / "site"
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = next(content for name, content in members.items() if name.endswith(".dist-info/METADATA"))
    required = "\n".join(Parser().parsestr(metadata.decode()).get_all("Requires-Dist", []))
    needs = _digest(EXTRAS, required, constraints.read_text(encoding="utf-8"))
    holds = _digest(*(f"{name}\n{hashlib.sha256(content).hexdigest()}" for name, content in members.items()))
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "-q",
           "--no-compile", "--root-user-action", "ignore", "--only-binary", ":all:", "--target"]  # fmt: skip
    if _noted(site / ".needs") != needs:
        say(f"installing the wheel with [{EXTRAS}] under emulation")
        work = empty(home / "site.part")
        run([*pip, work, "-c", constraints, f"edge-mi[{EXTRAS}] @ {wheel.resolve().as_uri()}"])
        (work / ".needs").write_text(needs)
        (work / ".holds").write_text(holds)
        shutil.rmtree(site, ignore_errors=True)
        work.rename(site)
    elif _noted(site / ".holds") != holds:
        say("installing the wheel under emulation")
        (site / ".holds").unlink(missing_ok=True)
        run([*pip, site, "--upgrade", "--no-deps", wheel])
        (site / ".holds").write_text(holds)
    return site


def _unpack(home: Path, wheel: Path) -> Path:
    site = empty(home / "host")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def _noted(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
