"""Run the scenarios in the guest, and say on its second serial port how each ended."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from .bluez import Bluez, ready
from .lab import Failed, Json, Lab, control
from .scenarios import SCENARIOS, Scenario

PORT: Final = Path("/dev/ttyS1")
PACKAGES: Final = ("bleak", "bumble", "dbus-fast", "numpy")
_LONGEST_S: Final = {"kvm": 180.0, "tcg": 600.0}


def main() -> int:
    """0 where every scenario passed, 1 where one did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    only = parser.parse_args().only  # the host has seen that there are such
    wanted = [each for each in SCENARIOS if not only or each.name in only]
    accelerator = os.environ.get("ACCELERATOR", "tcg")
    with PORT.open("w", buffering=1) as port:

        def say(document: Json) -> None:
            port.write(json.dumps(document) + "\n")

        say({"versions": _versions(), "scenarios": [each.name for each in wanted]})
        bluez = Bluez()
        bluez.start()
        subprocess.Popen([sys.executable, "-m", "edge_mi.benchmarks.bluez_vm.guest.emulator"])
        results = [_run(each, bluez, accelerator, say) for each in wanted]
        return 0 if all(results) else 1


def _run(scenario: Scenario, bluez: Bluez, accelerator: str, say: Any) -> bool:
    """Run one scenario on an event loop of its own; whether it passed."""
    print(f"== {scenario.name}", flush=True)
    began_s = time.monotonic()
    figures: Json = {}
    before = bluez.pid
    try:
        figures = asyncio.run(_in_lab(scenario, bluez, accelerator))
        why = "" if scenario.replaces_daemon or bluez.pid == before else "bluetoothd died"
    except Failed as exc:
        why = str(exc)
    except Exception as exc:  # whatever it is, it is this scenario's, and the others are still run
        traceback.print_exc()
        why = f"{type(exc).__name__}: {exc}"
    if bluez.pid is None:
        why = f"{why}; bluetoothd is dead".lstrip("; ")
        bluez.start_daemon()
    took = {"seconds": round(time.monotonic() - began_s, 1)} if accelerator == "kvm" else {}
    say(
        {
            "scenario": scenario.name,
            "what": scenario.what,
            "passed": not why,
            "why": why,
            "figures": figures,
            **took,
        }
    )
    return not why


async def _in_lab(scenario: Scenario, bluez: Bluez, accelerator: str) -> Json:
    async with asyncio.timeout(_LONGEST_S[accelerator]):
        emulator = await control()
        try:
            await ready()
            return await scenario.body(Lab(bluez, emulator, keeps_time=accelerator == "kvm"))
        finally:
            emulator.close()


def _versions() -> Json:
    return {
        "linux": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


if __name__ == "__main__":
    raise SystemExit(main())
