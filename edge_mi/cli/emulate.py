"""edge-mi emulate: a record served as a Bluetooth patch, with the faults of a plan, for work without hardware."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edge_mi import synthetic
from edge_mi.cli.arguments import add_lead, positive
from edge_mi.cli.stopping import Stopping
from edge_mi.errors import ConfigError
from edge_mi.optional import require
from edge_mi.records import read_record

SYNTHETIC: Final = "synthetic"
_SYNTHETIC_S: Final = 300.0
_ADDRESS: Final = "F0:F1:F2:F3:F4:F5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    patches: Any = import_module("edge_mi.firmware_bridge.emulator.patches")  # which needs no bumble
    parser.add_argument(
        "profile",
        choices=tuple(patches.PATCHES),
        metavar="PROFILE",
        help=f"the patch to be: {', '.join(patches.PATCHES)}",
    )
    parser.add_argument(
        "record",
        metavar="RECORD",
        help=f"a record on disk (WFDB, .mat, CSV), or '{SYNTHETIC}' for {_SYNTHETIC_S:g} s of a made heart",
    )
    parser.add_argument(
        "--link",
        default=None,
        metavar="LINK",
        help="unix:PATH, a socket to serve (default: unix:edge-mi-PROFILE in this folder); vhci, the kernel's virtual "
        "adapter; or a real adapter, as hci-socket:0 or usb:0",
    )
    parser.add_argument(
        "--plan", type=Path, metavar="TOML", help="what goes wrong, and when (docs/emulator.md)"
    )
    parser.add_argument(
        "--speed", type=_pace, default=1.0, metavar="X", help="times real time; 0: unpaced (default: 1)"
    )
    parser.add_argument(
        "--repeat",
        action="store_true",
        help="begin the record again at its end instead of stopping there for good",
    )
    parser.add_argument(
        "--address",
        type=_address,
        default=_ADDRESS,
        metavar="ADDRESS",
        help=f"its address (default: {_ADDRESS})",
    )
    add_lead(parser)


def _pace(text: str) -> float:
    return 0.0 if float(text) == 0 else positive(text)


def _address(text: str) -> str:
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text):
        raise argparse.ArgumentTypeError(f"{text!r}; expected six bytes such as {_ADDRESS}")
    return text.upper()


def run(args: argparse.Namespace) -> int:
    require("bumble", extra="emulate")
    plans: Any = import_module("edge_mi.firmware_bridge.emulator.fault_plan")
    patches: Any = import_module("edge_mi.firmware_bridge.emulator.patches")
    plan = plans.NO_FAULTS if args.plan is None else _plan(plans, args.plan)
    patch = patches.PATCHES[args.profile](plan)
    name, samples_mv, rate_hz = _signal(args)
    resample: Any = import_module("edge_mi.firmware_bridge.resample")
    sensors: Any = import_module("edge_mi.firmware_bridge.emulator.sensor")
    codes = resample.codes_at(samples_mv, rate_hz, patch.rate_hz, patch.codes_per_mv)
    sensor = sensors.EmulatedSensor(patch, codes, plan, repeat=args.repeat)
    return asyncio.run(_serve(args, sensor, f"{name}, {len(codes) / patch.rate_hz:.1f} s"))


def _signal(args: argparse.Namespace) -> tuple[str, Any, float]:
    if args.record == SYNTHETIC:
        if args.rate is not None:
            raise ConfigError(f"--rate is for a CSV without a time column; '{SYNTHETIC}' has its own rate")
        heart = synthetic.ecg(_SYNTHETIC_S, rate_hz=500, seed=1)
        return f"a synthetic heart, lead {args.lead}", heart.lead(args.lead), heart.rate_hz
    record = read_record(Path(args.record), lead=args.lead, rate_hz=args.rate)
    for warning in record.warnings:
        print(f"edge-mi: warning: {warning}", file=sys.stderr)
    return record.name, record.samples_mv, record.rate_hz


def _plan(plans: Any, path: Path) -> Any:
    try:
        return plans.read_plan(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"cannot read the fault plan {path}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"cannot read the fault plan {path}: {exc}") from exc
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc} (docs/emulator.md lists what there is)") from exc


async def _serve(args: argparse.Namespace, sensor: Any, what: str) -> int:
    airs: Any = import_module("edge_mi.firmware_bridge.emulator.air")
    patches: Any = import_module("edge_mi.firmware_bridge.emulator.patches")
    peripheral: Any = import_module("edge_mi.firmware_bridge.emulator.peripheral")
    stopping = Stopping()
    link = args.link or f"unix:edge-mi-{args.profile}"
    async with airs.air(link) as air:
        source, sink = air.hci("patch")
        patch = peripheral.Peripheral(source, sink, sensor, address=args.address, speed=args.speed)
        await patch.start()
        pace = f"at {args.speed:g} times real time" if args.speed else "unpaced"
        reach = f" --link {shlex.quote(link)}" if link.startswith("unix:") else ""
        kind = patches.STREAMED_AS.get(args.profile)
        known = "" if kind is None else f" --profile {kind}"
        print(f"{sensor.patch.name}: {what}, {pace}; reach it with", file=sys.stderr)
        print(
            f"  edge-mi stream --device '{sensor.patch.name}'{reach}{known} --placement lead-i",
            file=sys.stderr,
            flush=True,
        )
        await stopping.event.wait()
    return stopping.exit_code
