"""edge-mi emulate: a record served as a Bluetooth patch on a virtual link, for trials without hardware."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edge_mi.cli.arguments import add_lead, positive
from edge_mi.cli.stopping import Stopping
from edge_mi.optional import require
from edge_mi.records import read_record

PROFILES: Final = ("h10",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", choices=PROFILES, metavar="PROFILE", help="the patch to be: h10")
    parser.add_argument("record", type=Path, metavar="RECORD", help="a record on disk (WFDB, .mat, CSV)")
    parser.add_argument(
        "--link",
        default="unix:edge-mi-h10",
        metavar="unix:PATH",
        help="socket to serve (default: unix:edge-mi-h10 in this folder)",
    )
    parser.add_argument(
        "--speed", type=_pace, default=1.0, metavar="X", help="times real time; 0: unpaced (default: 1)"
    )
    parser.add_argument(
        "--repeat", action="store_true", help="begin the record again at its end instead of stopping"
    )
    add_lead(parser)


def _pace(text: str) -> float:
    return 0.0 if float(text) == 0 else positive(text)


def run(args: argparse.Namespace) -> int:
    require("bumble", extra="emulate")
    resample: Any = import_module("edge_mi.firmware_bridge.resample")
    link: Any = import_module("edge_mi.firmware_bridge.virtual_link")
    path = Path(link.socket_path(args.link))
    record = read_record(args.record, lead=args.lead, rate_hz=args.rate)
    for warning in record.warnings:
        print(f"edge-mi: warning: {warning}", file=sys.stderr)
    microvolts = resample.microvolts_at_130_hz(record.samples_mv, record.rate_hz)
    return asyncio.run(_serve(args, path, microvolts, record.name))


async def _serve(args: argparse.Namespace, path: Path, microvolts: Any, name: str) -> int:
    server: Any = import_module("edge_mi.firmware_bridge.emulator_server")
    emulator: Any = import_module("edge_mi.firmware_bridge.h10_emulator")
    stopping = Stopping()
    async with server.VirtualRadio(path) as radio:
        patch = emulator.H10Emulator(
            radio.patch_controller, radio.patch_controller, microvolts, speed=args.speed, repeat=args.repeat
        )
        await patch.start()
        pace = f"at {args.speed:g} times real time" if args.speed else "unpaced"
        print(
            f"{emulator.NAME}: {name}, {len(microvolts) / 130:.1f} s, {pace}; reach it with", file=sys.stderr
        )
        print(
            f"  edge-mi stream --device 'Polar H10' --link unix:{path} --placement lead-i",
            file=sys.stderr,
            flush=True,
        )
        await stopping.event.wait()
    return stopping.exit_code
