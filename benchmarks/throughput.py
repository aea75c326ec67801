"""Emulated H10 to decision, unpaced, emulator and detector sharing one core: how many times real time, what is lost.

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
from typing import Any

import numpy as np
from edge_mi.firmware_bridge.client import PatchStream

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.detector import Detector
from edge_mi.records import write_wfdb
from edge_mi.samples import Chunk
from edge_mi.shipped import shipped_bundle

from .emulated import emulated_h10
from .machine import describe_machine

SCHEMA = 1
SENSOR_HZ = 130


def main() -> int:
    """Measure and print; exit code 1 where a sample was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="of ECG (default: 3600)")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    document = measure(args.seconds)
    print(json.dumps(document))
    return 0 if document["samples_lost"] == 0 else 1


def measure(seconds: float) -> dict[str, Any]:
    """Stream `seconds` of synthetic ECG from an emulator in a process of its own."""
    microvolts = np.rint(synthetic.ecg(seconds, rate_hz=SENSOR_HZ, seed=1).lead("I") * 1000)
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "hci"
        record = write_wfdb(Path(folder), "heart", ["I"], microvolts[None].astype(np.int16), SENSOR_HZ, 1000)
        with emulated_h10(record, socket):
            received, decisions, wall_s = asyncio.run(_stream(f"unix:{socket}"))
    return {
        "schema": SCHEMA,
        "machine": describe_machine(),
        "seconds": seconds,
        "samples_sent": len(microvolts),
        "samples_received": received,
        "samples_lost": len(microvolts) - received,
        "decisions": decisions,
        "wall_s": round(wall_s, 2),
        "times_real_time": round(seconds / wall_s, 1),
        "command": "make bench-stream",
    }


async def _stream(link: str) -> tuple[int, int, float]:
    detector = Detector(Bundle.load(shipped_bundle()))
    received = decisions = 0
    async with PatchStream("Polar H10", link=link) as stream:
        start = time.monotonic()
        async for item in stream:
            received += len(item.samples_mv) if isinstance(item, Chunk) else 0
            decisions += len(detector.push(item))
        decisions += len(detector.close())
        wall_s = time.monotonic() - start
    return received, decisions, wall_s


if __name__ == "__main__":
    raise SystemExit(main())
