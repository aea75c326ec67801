"""Boot a virtual machine with BlueZ and run the bridge against the emulator in it: `make ble-vm`.

The exit code is the guest's: 0 where every scenario passed, 1 where one failed or the machine did not run to its end, 2
where it cannot be built. Without QEMU the run is skipped, with a line that says so and exit code 0.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_mi.benchmarks.debian_packages import run, say

from edge_mi.errors import EdgeMIError
from edge_mi.files import check_place, output_error, write_file

from . import machine
from .guest.scenarios import SCENARIOS
from .image import Image, make_image
from .report import Report, failures

_GUEST = ("{python}", "-m", "edge_mi.benchmarks.bluez_vm.guest")


def main(argv: Sequence[str] | None = None) -> int:
    """Build, boot, listen and write the result."""
    args = _parser().parse_args(argv)
    qemu = machine.installed()
    if qemu is None:
        print(f"skipped: {machine.QEMU} is not here (apt install qemu-system-x86)", file=sys.stderr)
        return 0
    try:
        return _run(args, qemu)
    except EdgeMIError as exc:
        print(f"edge-mi: {exc}", file=sys.stderr)
        return exc.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edge_mi.benchmarks.bluez_vm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, default=Path(".ble-vm"), help="where the machine is kept")
    parser.add_argument(
        "--accelerator", choices=machine.ACCELERATORS, help="default: kvm where it boots, else tcg"
    )
    parser.add_argument(
        "--kernel", metavar="PACKAGE", help="with the kernel; default: the newest of the sources"
    )
    names = [each.name for each in SCENARIOS]
    parser.add_argument(
        "--only", action="append", default=[], choices=names, metavar="SCENARIO", help="again for more"
    )
    parser.add_argument(
        "--program", metavar="COMMAND", help="run this in the guest instead, and return its exit code"
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the result here")
    return parser


def _run(args: argparse.Namespace, qemu: Path) -> int:
    if args.out is not None:
        check_place(args.out)
    chosen = [shlex.quote(word) for name in args.only for word in ("--only", name)]
    words = [args.program] if args.program is not None else [*_GUEST, *chosen]
    try:
        image = make_image(args.home.resolve(), Path.cwd(), words, args.kernel)
    except OSError as exc:
        raise output_error(args.home, exc) from exc
    tried = machine.accelerators() if args.accelerator is None else [machine.ACCELERATORS[args.accelerator]]
    report = Report()
    code, used = boot_first(qemu, image, tried, args.home.resolve(), report.take)
    if args.program is not None:
        return code
    versions = {"bluez": image.versions["bluez"], "qemu": run([qemu, "--version"]).splitlines()[0].split()[3]}
    document = report.document(code, used.name, versions)
    if args.out is not None:
        write_file(args.out, (json.dumps(document, indent=1) + "\n").encode())
    failed = failures(document, code)
    for line in failed:
        print(f"edge-mi: {line}", file=sys.stderr)
    return (code or 1) if failed else 0


def boot_first(
    qemu: Path,
    image: Image,
    tried: Sequence[machine.Accelerator],
    home: Path,
    on_message: Callable[[dict[str, Any]], None],
) -> tuple[int, machine.Accelerator]:
    """Boot with the first of `tried` that boots: the exit code of the guest, and with which.

    Raises CheckFailed where none does: a machine may have KVM and not be able to boot a stock kernel with it.
    """
    initrd, log = machine.join(image.archives, home / "initrd"), home / "console.log"
    try:
        for each in tried[:-1]:
            try:
                return _boot(qemu, image, each, initrd, log, on_message), each
            except machine.NotBooted as exc:
                say(f"{each.name} boots no guest here ({str(exc).splitlines()[0]}); trying the next")
        return _boot(qemu, image, tried[-1], initrd, log, on_message), tried[-1]
    finally:
        initrd.unlink(missing_ok=True)


def _boot(
    qemu: Path, image: Image, with_: machine.Accelerator, initrd: Path, log: Path, on_message: Any
) -> int:
    say(f"booting with {with_.name}")
    words = machine.command(qemu, image, with_, initrd, log)
    return machine.boot(words, log, with_.timeouts, on_message)


if __name__ == "__main__":
    raise SystemExit(main())
