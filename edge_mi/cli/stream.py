"""edge-mi stream: lead I from a patch or a record, one decision a second, until it ends or is stopped."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_mi.cli.arguments import (
    add_bundle,
    add_lead,
    add_placement,
    add_polarity,
    add_radio,
    add_runner,
    load_bundle,
    positive,
)
from edge_mi.cli.live import stream_live
from edge_mi.cli.screen import Screen
from edge_mi.decision import REASONS, Decision
from edge_mi.detector import Detector, Placement
from edge_mi.errors import ConfigError, RecordError
from edge_mi.records import read_record
from edge_mi.sources import chunks_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--replay", type=Path, metavar="RECORD", help="a record on disk (WFDB, .mat, CSV)")
    source.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help='a Bluetooth patch by the beginning of its name, its address or its service, such as "Polar H10"; give it '
        "again for more patches at once",
    )
    add_radio(parser)
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
    # a strap worn as a strap is not lead I; only the user can know that it is held like one
    placement: Placement = args.placement or ("lead-i" if args.replay else "chest")

    def detector() -> Detector:
        return Detector(
            bundle,
            args.runner,
            placement=placement,
            polarity=args.polarity,
            operating_point=args.operating_point,
            whole_window=args.whole_window,
        )

    if args.replay:
        screen = Screen(detector(), as_json=args.json)
        record = read_record(args.replay, lead=args.lead, rate_hz=args.rate)
        screen.begin(
            f"{record.name}, lead {record.lead}, {record.rate_hz:g} Hz, {len(record.samples_mv) / record.rate_hz:.1f} s"
        )
        for warning in record.warnings:
            print(f"edge-mi: warning: {warning}", file=sys.stderr)
        stop_at = len(record.samples_mv) if args.seconds is None else round(args.seconds * record.rate_hz)
        _replay(screen, record.samples_mv[:stop_at], record.rate_hz, args.speed)
        screen.end()
        _demand_an_answer(screen.decisions)
        return 0
    return stream_live(args, detector)


def _check(args: argparse.Namespace) -> None:
    if args.speed is not None and args.device:
        raise ConfigError("--speed paces a --replay; a patch has its own pace")
    if args.link is not None and not args.device:
        raise ConfigError("--link reaches an emulated patch: give its name with --device")


def _replay(screen: Screen, samples_mv: NDArray[np.floating], rate_hz: float, speed: float | None) -> None:
    start = time.monotonic()
    for chunk in chunks_of(samples_mv, rate_hz):
        if speed is not None:
            due = start + (chunk.t_s + len(chunk.samples_mv) / rate_hz) / speed
            time.sleep(max(0.0, due - time.monotonic()))
        screen.take(chunk)
    screen.close()


def _demand_an_answer(decisions: list[Decision]) -> None:
    if any(d.probability is not None for d in decisions):
        return
    judged = Counter(d.reason for d in decisions if d.reason not in (None, "warming_up"))
    if not judged:
        raise RecordError("the record is too short for one window")
    reason, n = judged.most_common(1)[0]
    hint = "; --polarity trust judges it all the same" if reason == "inverted" else ""
    raise RecordError(
        f"no window could be judged: {REASONS[reason] if reason else reason} ({n} of {len(decisions)}){hint}"
    )
