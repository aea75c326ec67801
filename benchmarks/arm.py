"""Whether an emulated Raspberry Pi gives the bytes that x86-64 gives: `make arm`.

The wheel of this checkout runs `edge-mi info --verify`, `score`, `stream --replay` and `export --int8` here and on
each emulated processor, with the same versions of the libraries, and every byte of the results is compared. Nothing is
timed: the emulation says nothing of speed. Exit code 1 where a byte differs, 2 where something needed is missing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_mi.errors import CheckFailed, EdgeMIError
from edge_mi.files import write_file

from .arm_debian import GUEST
from .arm_python import CPUS, EXTRAS, ArmPythons, prepare
from .arm_tasks import EXIT_CODE, QUICK_REAL_EACH, REAL_EACH, STDOUT, Task, tasks, write_records
from .debian_packages import CannotEmulate, empty, say
from .same_bytes import first_difference

SCHEMA: Final = 1
COMMAND: Final = "make arm"
HOST: Final = "x86_64"
VERSIONS: Final = (
    "edge-mi",
    "numpy",
    "ai-edge-litert",
    "onnxruntime",
    "bleak",
    "onnx",
    "flatbuffers",
    "safetensors",
)
_PROBE: Final = (
    "import json, platform, sys, edge_mi; from importlib.metadata import version; print(json.dumps({"
    "'machine': platform.machine(), 'python': platform.python_version(), 'edge_mi': edge_mi.__file__,"
    "'versions': {name: version(name) for name in sys.argv[1:]}}))"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task left: by name its exit code, standard output and files; and the last line of its standard error."""

    outputs: Mapping[str, bytes]
    said: str

    @property
    def exit_code(self) -> int:
        """Negative where a signal killed it."""
        return int(self.outputs[EXIT_CODE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Who computes: a Python, the folders where its packages are, and the folder that it works in."""

    name: str
    python: Path
    sites: tuple[Path, ...]
    folder: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run Python with `words`, the wheel before anything that is installed."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": ":".join(map(str, self.sites)),
            "PYTHONNOUSERSITE": "1",
            "PYTHONSAFEPATH": "1",
            "CC": "none",  # the host's compiler makes nothing that the emulated Python could load
        }
        return subprocess.run(
            [self.python, *words], cwd=self.folder, env=environment, capture_output=True, check=False
        )

    def do(self, task: Task) -> Outcome:
        """Run the task and gather what it leaves."""
        done = self.run("-m", task.module, *task.words)
        # tflite-micro exists for x86-64 only, so that export says more of it there
        lines = [line for line in done.stdout.splitlines(keepends=True) if b"tflm" not in line]
        outputs = {EXIT_CODE: str(done.returncode).encode(), STDOUT: b"".join(lines)}
        made = self.folder / task.made if task.made else None
        if made is not None:
            for path in [made] if made.is_file() else sorted(made.rglob("*")):
                if path.is_file():
                    outputs[path.relative_to(self.folder).as_posix()] = path.read_bytes()
        return Outcome(outputs, _last_line(done.stderr))


def main() -> int:
    """Prepare, run and compare; the result goes to `--out`, or to standard output."""
    parser = argparse.ArgumentParser(prog="python -m edge_mi.benchmarks.arm", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".arm"), help="where the emulated Python is kept")
    parser.add_argument("--prepare", action="store_true", help="only make the emulated Python")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one processor, fewer real records, and the files of the bundle without export's comparisons",
    )
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the result here")
    args = parser.parse_args()
    home = args.home.resolve()
    try:
        pythons = prepare(home, Path.cwd())
        if args.prepare:
            return 0
        document, differences = compare(pythons, empty(home / "run"), quick=args.quick)
    except EdgeMIError as exc:
        print(f"edge-mi: {exc}", file=sys.stderr)
        return exc.exit_code
    text = json.dumps(document, indent=1) + "\n"
    if args.out is None:
        print(text, end="")
    else:
        write_file(args.out, text.encode())
    for difference in differences:
        print(f"edge-mi: {difference}", file=sys.stderr)
    return 1 if differences else 0


def compare(pythons: ArmPythons, folder: Path, *, quick: bool) -> tuple[dict[str, Any], list[str]]:
    """The result, and a sentence on every task whose bytes differ.

    Raises CheckFailed where a task fails on this machine itself, CannotEmulate where the versions differ.
    """
    records = folder / "records"
    records.mkdir()
    synthetic, real = write_records(records, real_each=QUICK_REAL_EACH if quick else REAL_EACH)
    host = _machine(HOST, Path(sys.executable), (pythons.host_site,), folder)
    cpus = CPUS[:1] if quick else CPUS
    emulated = [
        _machine(cpu.name, pythons.pythons[cpu.name], (pythons.site,), folder) for cpu in cpus
    ]  # fmt: skip
    probes = {machine.name: _probe(machine) for machine in (host, *emulated)}
    check_versions(probes)
    rows, differences = [], []
    for task in tasks(records, quick=quick):
        expected = host.do(task)
        if expected.exit_code:
            raise CheckFailed(f"{task.name} fails on {HOST} itself: {expected.said}")
        for machine in emulated[:1] if task.slow else emulated:
            difference = difference_in(task, expected, machine.do(task), machine.name)
            differences += [] if difference is None else [difference]
            row = {
                "cpu": machine.name, "what": task.name, "n": task.count(expected.outputs), "counts": task.counts,
                "bytes": sum(map(len, expected.outputs.values())), "identical": difference is None,
            }  # fmt: skip
            rows.append(row)
            say(
                f"{machine.name}: {task.name}: {row['n']} {task.counts} {'identical' if row['identical'] else 'DIFFER'}"
            )
    document = {
        "schema": SCHEMA,
        "emulator": pythons.qemu,
        "cpus": {cpu.name: {"board": cpu.board, "python": probes[cpu.name]["python"]} for cpu in cpus},
        "host": {"architecture": host.name, "python": probes[host.name]["python"]},
        "versions": probes[host.name]["versions"],
        "extras": EXTRAS,
        "records": {"synthetic": synthetic, "real": real},
        "compared": rows,
        "identical": not differences,
        "command": COMMAND,
    }
    return document, differences


def difference_in(task: Task, expected: Outcome, found: Outcome, name: str) -> str | None:
    """One sentence where what the machine `name` left is not what x86-64 left; None where every byte is the same."""
    if found.exit_code != expected.exit_code:
        how = f"exit code {found.exit_code}" if found.exit_code >= 0 else f"signal {-found.exit_code}"
        return f"{task.name}: ended with {how} on {name}: {found.said}"
    difference = first_difference(expected.outputs, found.outputs, (HOST, name))
    return None if difference is None else f"{task.name}: {difference}"


def check_versions(probes: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises CannotEmulate where two machines do not have the same versions of the libraries."""
    names = list(probes)
    for other in names[1:]:
        for package, version in probes[names[0]]["versions"].items():
            found = probes[other]["versions"][package]
            if found != version:
                raise CannotEmulate(
                    f"{package} is {version} on {names[0]} and {found} on {other}; install what constraints.txt names"
                )


def _machine(name: str, python: Path, sites: tuple[Path, ...], folder: Path) -> Machine:
    own = folder / name
    own.mkdir()
    return Machine(name=name, python=python, sites=sites, folder=own)


def _probe(machine: Machine) -> dict[str, Any]:
    """Versions and place of what `machine` runs. Raises CannotEmulate where that is not the wheel on that machine."""
    done = machine.run("-c", _PROBE, *VERSIONS)
    if done.returncode:
        raise CannotEmulate(f"Python on {machine.name} fails: {_last_line(done.stderr)}")
    probe: dict[str, Any] = json.loads(done.stdout)
    expected = HOST if machine.name == HOST else GUEST
    if probe["machine"] != expected or not Path(probe["edge_mi"]).is_relative_to(machine.sites[0]):
        raise CannotEmulate(
            f"{machine.name} is {probe['machine']} and has {probe['edge_mi']}, expected {expected} and the wheel in "
            f"{machine.sites[0]}"
        )
    return probe


def _last_line(stderr: bytes) -> str:
    return "".join(stderr.decode(errors="replace").strip().splitlines()[-1:])


if __name__ == "__main__":
    raise SystemExit(main())
