"""An emulated H10 to decisions: how many times real time on one core, what is lost, and what a paced patch costs.

Unpaced, emulator, link, client and detector share one process and one core. Paced, the emulator has a process of its
own, and the share is that of the process that streams and decides, its Bluetooth stack in Python included.
Run by `make bench-stream`; prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.firmware_bridge.bridge import patch_stream, radio_of
from edge_mi.firmware_bridge.client import PatchStream
from edge_mi.firmware_bridge.emulator.fault_plan import NO_FAULTS
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.detector import Detector
from edge_mi.records import write_wfdb
from edge_mi.samples import Chunk
from edge_mi.shipped import shipped_bundle

from .emulated import emulated_h10
from .emulated_here import stream_of
from .machine import describe_machine

SCHEMA: Final = 2
SENSOR_HZ: Final = 130
_SETTLED_S: Final = 10.0  # of the paced stream, before its cost is counted


def main() -> int:
    """Measure and print; exit code 1 where a sample was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="of ECG, unpaced (default: 3600)")
    parser.add_argument(
        "--paced-seconds", type=float, default=120.0, help="at the patch's own pace (default: 120)"
    )
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    microvolts = np.rint(synthetic.ecg(args.seconds, rate_hz=SENSOR_HZ, seed=1).lead("I") * 1000)
    document = {
        "schema": SCHEMA,
        "machine": describe_machine(),
        **asyncio.run(unpaced(microvolts)),
        **paced(microvolts, args.paced_seconds),
        "command": "make bench-stream",
    }
    print(json.dumps(document))
    return 0 if document["samples_lost"] == 0 else 1


async def unpaced(microvolts: np.ndarray) -> dict[str, Any]:
    """Stream and judge the whole record as fast as one process can."""
    sensor = EmulatedSensor(PATCHES["h10"](NO_FAULTS), microvolts)
    detector = Detector(Bundle.load(shipped_bundle()))
    received = decisions = 0
    async with stream_of(sensor) as stream:
        start = time.monotonic()
        async for item in stream:
            received += len(item.samples_mv) if isinstance(item, Chunk) else 0
            decisions += len(detector.push(item))
        decisions += len(detector.close())
        wall_s = time.monotonic() - start
    seconds = len(microvolts) / SENSOR_HZ
    return {
        "seconds": seconds,
        "samples_sent": len(microvolts),
        "samples_received": received,
        "samples_lost": len(microvolts) - received,
        "decisions": decisions,
        "wall_s": round(wall_s, 2),
        "times_real_time": round(seconds / wall_s, 1),
    }


def paced(microvolts: np.ndarray, seconds: float) -> dict[str, Any]:
    """The share of one core that `seconds` of a patch at its own pace take."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "hci"
        record = write_wfdb(Path(folder), "heart", ["I"], microvolts[None].astype(np.int16), SENSOR_HZ, 1000)
        with emulated_h10(record, socket, speed=1):
            return asyncio.run(_cost(f"unix:{socket}", seconds))


async def _cost(link: str, seconds: float) -> dict[str, Any]:
    detector = Detector(Bundle.load(shipped_bundle()))
    async with radio_of(link) as radio, patch_stream(radio, "Polar H10") as stream:
        await _judge(stream, detector, _SETTLED_S)
        wall_s, cpu_s = time.monotonic(), time.process_time()
        decisions = await _judge(stream, detector, _SETTLED_S + seconds)
        wall_s, cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
    return {
        "paced_seconds": round(wall_s, 1),
        "paced_decisions": decisions,
        "cpu_percent": round(100 * cpu_s / wall_s, 2),
    }


async def _judge(stream: PatchStream, detector: Detector, until_s: float) -> int:
    decisions = 0
    async for item in stream:
        decisions += len(detector.push(item))
        if item.t_s >= until_s:
            break
    return decisions


if __name__ == "__main__":
    raise SystemExit(main())
