"""edge-mi recording: what is in a recording; export it as EDF+, or mend one that was cut off."""

from __future__ import annotations

import argparse
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.cli.talk import one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recording", type=Path, metavar="RECORDING", help="folder of edge-mi record or stream --record"
    )
    parser.add_argument(
        "--edf", type=Path, metavar="FILE", help="write it as EDF+ (16 bit; says what it rounds)"
    )
    parser.add_argument(
        "--mend", action="store_true", help="make the files of a recording whole that a crash cut off"
    )


def run(args: argparse.Namespace) -> int:
    reader: Any = import_module("edge_mi.firmware_bridge.recording.reader")
    if args.mend:
        recording = import_module("edge_mi.firmware_bridge.recording.recover").recover(args.recording)
    else:
        recording = reader.Recording.open(args.recording)
    meta = recording.meta
    rate_hz = meta.format.rate_hz
    print(f"{one_line(meta.device)} ({meta.profile}), lead {meta.signal_name}, placement {meta.placement}")
    print(
        f"{recording.start:%Y-%m-%d %H:%M:%S} UTC, {recording.n_samples / rate_hz:.1f} s, {rate_hz:g} Hz, "
        f"{meta.format.bits} bits"
    )
    kinds = Counter(event.kind for event in recording.events())
    print(", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing happened")
    if recording.problem:
        print(recording.problem)
    if args.edf is not None:
        print(import_module("edge_mi.firmware_bridge.recording.edf").export_edf(recording, args.edf))
    return 0
