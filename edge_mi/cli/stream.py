"""edge-mi stream: lead I from a patch or a record, one decision a second, until it ends or is stopped."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from edge_mi.cli.arguments import (
    add_bundle,
    add_lead,
    add_placement,
    add_polarity,
    add_radio,
    add_runner,
    check_new_recording,
    check_radio,
    load_bundle,
    positive,
)
from edge_mi.cli.live import stream_live
from edge_mi.cli.replay import replay
from edge_mi.detector import Detector, Placement
from edge_mi.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--replay", type=Path, metavar="RECORD", help="a record on disk (WFDB, .mat, CSV), or a recording"
    )
    source.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help='a Bluetooth patch by the beginning of its name, its address or its service, such as "Polar H10"; give it '
        "again for more patches at once",
    )
    add_radio(parser)
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FOLDER",
        help="keep the stream in this new folder, as WFDB; replays to the bit",
    )
    parser.add_argument(
        "--speed", type=positive, metavar="X", help="pace a replay at X times real time (default: unpaced)"
    )
    parser.add_argument("--seconds", type=positive, metavar="S", help="stop after S seconds of signal")
    add_placement(parser)
    add_polarity(parser)
    add_lead(parser)
    add_runner(parser)
    parser.add_argument(
        "--json", action="store_true", help="JSON lines: a header, then one document a decision"
    )


def run(args: argparse.Namespace) -> int:
    _check(args)
    bundle = load_bundle(args)

    def detector(placement: Placement) -> Detector:
        return Detector(
            bundle,
            args.runner,
            placement=placement,
            polarity=args.polarity,
            operating_point=args.operating_point,
            whole_window=args.whole_window,
        )

    if args.replay:
        return replay(args, detector)
    # a strap worn as a strap is not lead I; only the user can know that it is held like one
    return stream_live(args, partial(detector, args.placement or "chest"))


def _check(args: argparse.Namespace) -> None:
    if args.speed is not None and args.device:
        raise ConfigError("--speed paces a --replay; a patch has its own pace")
    if args.link is not None and not args.device:
        raise ConfigError("--link reaches an emulated patch: give its name with --device")
    if args.record is not None and not args.device:
        raise ConfigError("--record keeps what a patch sends: give its name with --device")
    if not args.device:
        for name in ("adapter", "profile", "patch_rate", "allow", "encrypt", "lsl"):
            if getattr(args, name):
                raise ConfigError(f"--{name.replace('_', '-')} is for a patch: give its name with --device")
        return
    if args.lead != "I" or args.rate is not None:
        raise ConfigError("--lead and --rate are for a --replay; a patch says what it measures")
    check_radio(args)
    if args.record is not None:
        check_new_recording(args.record)
