"""edge-mi stream: lead I from a patch or a record, one decision a second, until it ends or is stopped."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_mi.cli.arguments import (
    add_bundle,
    add_lead,
    add_placement,
    add_polarity,
    add_runner,
    load_bundle,
    positive,
)
from edge_mi.cli.stopping import Stopping
from edge_mi.decision import REASONS, Decision
from edge_mi.detector import Detector, Placement
from edge_mi.errors import ConfigError, PatchError, RecordError
from edge_mi.notice import NOTICE
from edge_mi.records import read_record
from edge_mi.samples import Chunk, FloatArray, Gap, Item
from edge_mi.sources import chunks_of
from edge_mi.terminal import decision_line, sparkline, summary

_SHOWN_S = 6.0
_UNCHECKED = {
    "trust": "polarity not checked, as you said: a lead I upside down gets a wrong answer",
    "none": "polarity not checked: this bundle has no check, and a lead I upside down gets a wrong answer",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--replay", type=Path, metavar="RECORD", help="a record on disk (WFDB, .mat, CSV)")
    source.add_argument(
        "--device", metavar="NAME", help='a Bluetooth patch by name or address, such as "Polar H10"'
    )
    parser.add_argument(
        "--link", metavar="unix:PATH", help="reach an emulated patch instead of the system's adapter"
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
    # a strap worn as a strap is not lead I; only the user can know that it is held like one
    placement: Placement = args.placement or ("lead-i" if args.replay else "chest")
    detector = Detector(
        bundle,
        args.runner,
        placement=placement,
        polarity=args.polarity,
        operating_point=args.operating_point,
        whole_window=args.whole_window,
    )
    screen = _Screen(detector, as_json=args.json)
    if args.replay:
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
    client: Any = import_module("edge_mi.firmware_bridge.client")
    return asyncio.run(_live(screen, client, args))


def _check(args: argparse.Namespace) -> None:
    if args.device == "":
        raise ConfigError('--device is empty; give the name of a patch, such as "Polar H10"')
    if args.speed is not None and args.device:
        raise ConfigError("--speed paces a --replay; a patch has its own pace")
    if args.link is not None and not args.device:
        raise ConfigError("--link reaches an emulated patch: give its name with --device")


def _replay(screen: _Screen, samples_mv: NDArray[np.floating], rate_hz: float, speed: float | None) -> None:
    start = time.monotonic()
    for chunk in chunks_of(samples_mv, rate_hz):
        if speed is not None:
            due = start + (chunk.t_s + len(chunk.samples_mv) / rate_hz) / speed
            time.sleep(max(0.0, due - time.monotonic()))
        screen.take(chunk)
    screen.close()


async def _live(screen: _Screen, client: Any, args: argparse.Namespace) -> int:
    stopping = Stopping()
    async with client.PatchStream(
        args.device, link=args.link, stop=stopping.event, on_event=screen.tell
    ) as stream:
        screen.begin(f"{args.device}, placement {screen.placement}")
        if screen.placement != "lead-i":
            screen.tell(
                "a strap on the chest is not lead I, so nothing is judged; hold its electrodes to the right and left arm "
                "and say --placement lead-i"
            )
        items: AsyncIterator[Item] = aiter(stream)
        try:
            async for item in items:
                arrived = time.monotonic()
                screen.take(item, arrived)
                if args.seconds is not None and item.t_s + _length_s(item) >= args.seconds:
                    break
        except PatchError:
            # what was heard until the patch was lost for good is still worth its page
            screen.close()
            screen.end(stream.statistics)
            raise
    screen.close()
    screen.end(stream.statistics)
    return stopping.exit_code


def _length_s(item: Item) -> float:
    return len(item.samples_mv) / item.rate_hz if isinstance(item, Chunk) else 0.0


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


class _Screen:
    """Where decisions go: a terminal or JSON lines."""

    def __init__(self, detector: Detector, *, as_json: bool) -> None:
        self._detector = detector
        self._json = as_json
        self._recent: FloatArray = np.zeros(0)
        self._rate_hz = 1.0
        self.placement = detector.placement
        self.decisions: list[Decision] = []

    def begin(self, source: str) -> None:
        bundle, point = self._detector.bundle, self._detector.operating_point
        if self._json:
            header = {
                "type": "header",
                "schema": 1,
                "notice": bundle.info.notice,
                "model_id": bundle.model_id,
                "prevalence": bundle.info.calibration.prevalence,
                "polarity": self._detector.polarity_check,
            }
            print(json.dumps(header, ensure_ascii=False), flush=True)
            return
        print(NOTICE)
        print(f"\nsource   {source}")
        print(
            f"model    {bundle.model_id} on {self._detector.runner.name}, threshold {point.threshold:.3f} ({point.name})"
        )
        if self._detector.polarity_check != "check":
            print(_UNCHECKED[self._detector.polarity_check])
        print("\n     time    state         probability (| is the threshold)", flush=True)

    def tell(self, message: str) -> None:
        """A line about the link, for the person at the terminal."""
        print(f"edge-mi: {message}", file=sys.stderr, flush=True)

    def take(self, item: Item, arrived_s: float | None = None) -> None:
        """Push an item and show what it decides; `arrived_s` is the host's monotonic clock, for the latency."""
        if isinstance(item, Gap):
            missing = "an unknown number of" if item.n_samples is None else str(item.n_samples)
            self.tell(f"gap at {item.t_s:.2f} s: {missing} samples missing ({item.cause})")
        else:
            keep = round(_SHOWN_S * item.rate_hz)
            self._rate_hz = item.rate_hz
            self._recent = np.concatenate([self._recent, item.samples_mv])[-keep:]
        self._show(self._detector.push(item), arrived_s)

    def close(self) -> None:
        """Show what the end of the stream decides."""
        self._show(self._detector.close(), None)

    def _show(self, decisions: list[Decision], arrived_s: float | None) -> None:
        for decision in decisions:
            if arrived_s is not None:
                decision = replace(decision, latency_ms=round(1000 * (time.monotonic() - arrived_s), 3))
            self.decisions.append(decision)
            line = (
                decision.to_json() if self._json else decision_line(decision, self._detector.operating_point)
            )
            print(line, flush=True)

    def end(self, statistics: Any = None) -> None:
        """The page at the end."""
        if statistics is not None:
            self.tell(str(statistics))
        if self._json:
            return
        trace = sparkline(self._recent[np.isfinite(self._recent)])
        if trace:
            print(f"\nlead I, the last {len(self._recent) / self._rate_hz:.0f} s\n  {trace}")
        print(summary(self.decisions, self._detector.bundle, self._detector.operating_point))
