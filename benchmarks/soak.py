"""A day of an emulated patch with a fault a minute, unpaced: every sample delivered or missing, and memory flat.

`make soak`; prints one JSON document. Emulator, link, client and detector run in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.firmware_bridge.emulator.fault_plan import Fault, FaultPlan
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.resample import codes_at

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.detector import Detector
from edge_mi.samples import Chunk
from edge_mi.shipped import shipped_bundle

from .emulated_here import stream_of
from .machine import describe_machine

SCHEMA: Final = 3
PROFILES: Final = ("h10", "movesense", "edgemi")
GROWTH_MIB: Final = 10.0  # from the first hour to the last
HEART_S: Final = 600.0
_KINDS: Final = (
    {"kind": "drop", "packets": 2},
    {"kind": "duplicate", "packets": 3},
    {"kind": "truncate", "packets": 1},
    {"kind": "reorder"},
    {"kind": "stall", "for_s": 5.0},
    {"kind": "disconnect", "for_s": 20.0},
)
# whole samples are left, so that a frame without a checksum does not look cut
_KEPT_BYTES: Final = {"h10": 97, "movesense": 38, "edgemi": 97}
_CYCLE_S: Final = 60.0 * len(_KINDS)
_FIRST_S: Final = 90.0  # the rate of a stamped stream is fitted by then


def main() -> int:
    """Stream, measure and print; exit code 1 where a sample is unaccounted for or memory grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="of the sensor's time (default: 24)")
    parser.add_argument("--profile", choices=PROFILES, nargs="+", default=PROFILES, help="(default: all)")
    args = parser.parse_args()
    if len(args.profile) == 1:
        runs = [asyncio.run(soak(args.profile[0], args.hours))]
    else:
        runs = [_alone(profile, args.hours) for profile in args.profile]
    document = {
        "schema": SCHEMA,
        "machine": describe_machine(),
        "runs": runs,
        "command": "make soak",
    }
    print(json.dumps(document))
    return int(not all(map(_held, runs)))


def _alone(profile: str, hours: float) -> dict[str, Any]:
    """The run of one profile in a process of its own, so that its memory is its own."""
    words = ["-m", "edge_mi.benchmarks.soak", "--profile", profile, "--hours", str(hours)]
    done = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        raise SystemExit(f"the run of {profile} ended with exit code {done.returncode} and no result")
    run: dict[str, Any] = json.loads(done.stdout)["runs"][0]
    return run


def _held(run: dict[str, Any]) -> bool:
    grown_mib = run["memory_mib"][-1] - run["memory_mib"][0] if run["memory_mib"] else 0.0
    return run["unaccounted_samples"] <= run["allowed_samples"] and grown_mib <= GROWTH_MIB


def plan(profile: str) -> FaultPlan:
    """A fault a minute, each kind in turn, on a clock that is off."""
    kept = {"truncate": {"keep_bytes": _KEPT_BYTES[profile]}}
    faults = tuple(
        Fault(at_s=_FIRST_S + 60.0 * i, every_s=_CYCLE_S, **kind, **kept.get(str(kind["kind"]), {}))  # type: ignore[arg-type, index]
        for i, kind in enumerate(_KINDS)
    )
    return FaultPlan(drift_ppm=100.0, rate_ppm=1200.0, fault=faults)


async def soak(profile: str, hours: float) -> dict[str, Any]:
    """What a stream of `hours` came to."""
    faults = plan(profile)
    patch = PATCHES[profile](faults)
    heart = synthetic.ecg(HEART_S, rate_hz=500, seed=1).lead("I")
    codes = codes_at(heart, 500, patch.rate_hz, patch.codes_per_mv)
    sensor = EmulatedSensor(patch, codes, faults, repeat=True)
    detector = Detector(Bundle.load(shipped_bundle()))
    memory_mib: list[float] = []
    decisions = 0
    start = time.monotonic()
    async with stream_of(sensor) as stream:
        async for item in stream:
            decisions += len(detector.push(item))
            if item.t_s >= 3600.0 * (len(memory_mib) + 1):
                memory_mib.append(_rss_mib())
            if item.t_s >= 3600.0 * hours and isinstance(item, Chunk):
                break
    statistics = stream.statistics
    delivered_until = item.index + len(item.samples_mv)
    counted = statistics.samples + statistics.samples_lost
    return {
        "profile": profile,
        "grade": statistics.grade,
        "hours": hours,
        "faults": sum(each.times(-1.0, 3600.0 * hours) for each in faults.fault),
        "times_real_time": round(3600.0 * hours / (time.monotonic() - start), 1),
        "unaccounted_samples": abs(counted - delivered_until)
        + abs(_made_until(item, codes, patch) - delivered_until),
        "allowed_samples": 0 if statistics.grade == "counter" else _allowed(statistics),
        "decisions": decisions,
        "memory_mib": memory_mib,
        "statistics": asdict(statistics),
    }


def _made_until(chunk: Chunk, codes: np.ndarray, patch: Any) -> int:
    """The sensor's number of the sample after the chunk, by what is in it: the nearest such place of the record."""
    found = np.rint(chunk.samples_mv * patch.codes_per_mv).astype(np.int64)
    n = len(found)
    wrapped = np.concatenate([codes, codes[:n]])
    near = chunk.index % len(codes)
    for shift in sorted(range(-_SEARCHED, _SEARCHED + 1), key=abs):
        at = (near + shift) % len(codes)
        if np.array_equal(wrapped[at : at + n], found):
            return chunk.index + shift + n
    raise SystemExit("the last chunk is not in the record near its index: samples were misplaced")


_SEARCHED: Final = 500


def _allowed(statistics: Any) -> int:
    """One sample and 0.1 % of each gap (contract C2)."""
    return int(statistics.gaps + 0.001 * statistics.samples_lost)


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


if __name__ == "__main__":
    raise SystemExit(main())
