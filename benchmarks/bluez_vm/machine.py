"""The virtual machine: QEMU with KVM where this machine has it, and what comes out of the guest.

The guest says on its second serial port what it found, one JSON document a line, and at last its exit code; its console
goes to a log. No exit code is a failure: a guest that hangs, panics or runs out of memory has none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_mi.errors import CheckFailed

from .image import Image

QEMU: Final = "qemu-system-x86_64"
_KVM: Final = Path("/dev/kvm")
_MEMORY_MIB: Final = 1536
_LEAVE_S: Final = 20.0
_TAIL: Final = 12
_BOOT: Final = (
    "console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on mitigations=off nokaslr rdinit=/init"
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: until the guest says its first word, and until it gives its exit code."""

    first_s: float
    all_s: float


@dataclass(frozen=True, slots=True)
class Accelerator:
    """name: `kvm` or `tcg`. words: of the command line. timeouts: what a guest is given."""

    name: str
    words: tuple[str, ...]
    timeouts: Timeouts


ACCELERATORS: Final = {
    "kvm": Accelerator("kvm", ("-accel", "kvm", "-cpu", "host"), Timeouts(60, 1200)),
    "tcg": Accelerator("tcg", ("-accel", "tcg,thread=multi", "-cpu", "max"), Timeouts(300, 3600)),
}


def accelerators() -> list[Accelerator]:
    """Those to try, the best first."""
    return [
        each for each in ACCELERATORS.values() if each.name != "kvm" or os.access(_KVM, os.R_OK | os.W_OK)
    ]


def installed() -> Path | None:
    """QEMU's program, or None where it is missing."""
    found = shutil.which(QEMU)
    return None if found is None else Path(found)


def command(qemu: Path, image: Image, with_: Accelerator, initrd: Path, log: Path) -> list[str]:
    """The words that boot `image`, with its archives joined in `initrd` and its console in `log`."""
    return [
        str(qemu), "-M", "q35", *with_.words, "-smp", "2", "-m", str(_MEMORY_MIB), "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", f"file:{log}", "-serial", "stdio",
        "-kernel", str(image.kernel), "-initrd", str(initrd), "-append", f"{_BOOT} ACCELERATOR={with_.name}",
    ]  # fmt: skip


class NotBooted(CheckFailed):
    """QEMU did not start, or nothing was heard of the guest."""


def boot(
    words: list[str], log: Path, timeouts: Timeouts, on_message: Callable[[Json], None] = lambda _: None
) -> int:
    """Run the machine; the exit code of the guest.

    on_message: takes each document of the guest as it comes. Raises CheckFailed where there is no exit code: where the
    guest hangs, panics or vanishes; NotBooted where it said nothing at all.
    """
    log.unlink(missing_ok=True)
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as exc:
        raise NotBooted(f"QEMU cannot be started: {exc.strerror or exc}") from exc
    errors: list[bytes] = []
    reading = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reading.start()
    with _Alarm(process, timeouts) as alarm:
        try:
            code = _listen(process.stdout or (), alarm, on_message)
            if code is not None:
                return code
            raise _failure(process.wait(), alarm, _Said(errors, reading, log))
        finally:
            _end(process, reading)


class _Alarm:
    """Kills the machine when its time is over: that of the first word, and that of all."""

    def __init__(self, process: subprocess.Popen[bytes], timeouts: Timeouts) -> None:
        self._process, self.timeouts = process, timeouts
        self.rang = self.heard = False
        self._first = threading.Timer(timeouts.first_s, self._ring)
        self._last = threading.Timer(timeouts.all_s, self._ring)

    def __enter__(self) -> _Alarm:
        self._first.start()
        self._last.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._first.cancel()
        self._last.cancel()

    def hear(self) -> None:
        """The guest lives."""
        self.heard = True
        self._first.cancel()

    def _ring(self) -> None:
        self.rang = True
        self._process.kill()


def _end(process: subprocess.Popen[bytes], reading: threading.Thread) -> None:
    process.kill()
    process.wait()
    reading.join()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@dataclass(frozen=True, slots=True)
class _Said:
    """What QEMU and the guest said beside the documents."""

    errors: list[bytes]
    reading: threading.Thread
    log: Path

    def by_qemu(self) -> str:
        """The last line of its standard error."""
        self.reading.join(_LEAVE_S)
        lines = [line.decode(errors="replace").strip() for line in self.errors]
        return next((line for line in reversed(lines) if line), "it said nothing")

    def by_guest(self) -> str:
        """The last lines of the console."""
        if not self.log.is_file():
            return "its console is empty"
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(["its console ends with", *(f"  {line}" for line in lines[-_TAIL:])])


def _listen(lines: Iterable[bytes], alarm: _Alarm, on_message: Callable[[Json], None]) -> int | None:
    """Hand over documents until the exit code comes; what is none, or is cut, is no message."""
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if not isinstance(message, dict):
            continue
        alarm.hear()
        code = message.get("exit")
        if isinstance(code, int):
            return code
        on_message(message)
    return None


def _failure(ended: int, alarm: _Alarm, said: _Said) -> CheckFailed:
    """What a machine means that ended with exit code `ended` and without one of the guest."""
    kind = CheckFailed if alarm.heard else NotBooted
    if alarm.rang:
        limit_s = alarm.timeouts.all_s if alarm.heard else alarm.timeouts.first_s
        what = "gave no exit code" if alarm.heard else "said nothing"
        return kind(f"the guest {what} in {limit_s:g} s; {said.by_guest()}")
    if ended:
        return kind(f"QEMU ended with exit code {ended}: {said.by_qemu()}")
    return kind(f"the guest gave no exit code; {said.by_guest()}")


def join(archives: Iterable[Path], target: Path) -> Path:
    """`archives` one after the other in the file `target`."""
    with target.open("wb") as out:
        for archive in archives:
            with archive.open("rb") as opened:
                shutil.copyfileobj(opened, out)
    return target
