"""edge-mi doctor: what is installed, which runner it gives, and what to type for what is missing."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from edge_mi.errors import EdgeMIError
from edge_mi.optional import find_compiler
from edge_mi.terminal import table

# package, extra that brings it, what it is for
PACKAGES: Final = (
    ("numpy", "", "everything"),
    ("ai-edge-litert", "tflite", "runner litert (XNNPACK, family fast) and litert-ref"),
    ("tflite-runtime", "", "runner litert-ref where LiteRT cannot be had"),
    ("onnxruntime", "onnx", "runner ort (family fast), float comparison"),
    ("bleak", "ble", "Bluetooth patches"),
    ("bumble", "emulate", "an emulated patch"),
    ("pyEDFlib", "edf", "edge-mi recording --edf"),
    ("pylsl", "lsl", "edge-mi stream --lsl"),
    ("onnx", "export", "edge-mi export"),
    ("flatbuffers", "export", "edge-mi export"),
    ("safetensors", "export", "checkpoints"),
    ("cryptography", "sign", "signed bundles"),
    ("tflite-micro", "tflm", "edge-mi export: TFLM compared, arenas measured (x86_64 only)"),
    ("torch", "train", "edge-mi train"),
    ("scipy", "train", "edge-mi train, edge-mi data build"),
    ("matplotlib", "train", "plots of edge-mi train reproduce"),
    ("ray", "ray", "edge-mi score --ray"),
)
_BLUETOOTH: Final = Path("/sys/class/bluetooth")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def run(args: argparse.Namespace) -> int:
    report = examine()
    if args.json:
        print(json.dumps(report))
    else:
        print(_page(report))
    return 0 if report["usable"] else 1


def examine() -> dict[str, Any]:
    """All that the page shows, as a JSON document."""
    packages = {name: _version(name) for name, _, _ in PACKAGES}
    missing = {
        name: f"pip install '.[{extra}]'" for name, extra, _ in PACKAGES if extra and packages[name] is None
    }
    problems = []
    if sys.maxsize < 2**32:
        problems.append("this Python is 32-bit; EdgeMI's runners exist for 64-bit systems only")
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        problems.append(f"Python {platform.python_version()}; tested are 3.11 to 3.13")
    runners, default = _runners(problems)
    adapters = sorted(path.name for path in _BLUETOOTH.glob("hci*")) if _BLUETOOTH.is_dir() else []
    return {
        "edge_mi": _version("edge-mi"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(terse=True),
        "packages": packages,
        "missing": missing,
        "runners": runners,
        "default_runner": default,
        "bluetooth_adapters": adapters,
        "bluetoothd": shutil.which("bluetoothctl") is not None,
        "c_compiler": find_compiler(),
        "problems": problems,
        "usable": default is not None and sys.maxsize >= 2**32,
    }


def _runners(problems: list[str]) -> tuple[dict[str, dict[str, str]], str | None]:
    from edge_mi.golden import verify_golden
    from edge_mi.runners.choose import available_runners, default_runner_name, open_runner

    found: dict[str, dict[str, str]] = {}
    try:
        from edge_mi.bundle import Bundle
        from edge_mi.shipped import shipped_bundle

        bundle = Bundle.load(shipped_bundle())
    except EdgeMIError as exc:
        problems.append(str(exc))
        return found, None
    for name in available_runners():
        try:
            runner = open_runner(bundle, name)
            verify_golden(bundle, runner)
        except EdgeMIError as exc:
            problems.append(f"runner {name}: {exc}")
            continue
        found[name] = {"library": runner.library, "family": runner.family}
    if not found:
        problems.append("no runner: pip install '.[tflite]'")
        return found, None
    preferred = default_runner_name()
    return found, preferred if preferred in found else next(iter(found))


def _page(report: dict[str, Any]) -> str:
    rows = []
    for name, extra, use in PACKAGES:
        found = report["packages"][name]
        rows.append([name, found or "-", use, "" if found or not extra else f"pip install '.[{extra}]'"])
    runners = [[name, r["library"], r["family"], "default" if name == report["default_runner"] else ""]
               for name, r in report["runners"].items()]  # fmt: skip
    parts = [
        f"edge-mi {report['edge_mi']}, Python {report['python']}, {report['system']}, {report['machine']}",
        "",
        table(rows, header=["package", "version", "for", "to install"]),
        "",
    ]
    if runners:
        parts += [
            table(runners, header=["runner", "library", "family", ""]),
            "(each gave the golden outputs of the shipped bundle)",
        ]
    adapters = (
        ", ".join(report["bluetooth_adapters"])
        or "none found (a patch can still be emulated: --link unix:PATH)"
    )
    parts += ["", f"Bluetooth adapters: {adapters}"]
    parts.append(
        f"C compiler: {report['c_compiler'] or 'none (edge-mi export --to c needs one: apt install gcc)'}"
    )
    parts += [f"PROBLEM: {problem}" for problem in report["problems"]]
    return "\n".join(parts)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
