"""A record or a recording through the detector, as fast as it goes or at a pace."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edge_mi.cli.lead import check_lead, check_wish
from edge_mi.cli.screen import Screen
from edge_mi.cli.talk import one_line
from edge_mi.decision import REASONS, Reason
from edge_mi.detector import Detector, Placement
from edge_mi.errors import ConfigError, RecordError
from edge_mi.records import read_record
from edge_mi.samples import Chunk, Item, end_s
from edge_mi.sources import chunks_of
from edge_mi.stream_tally import StreamTally

_HINTS: Final[dict[Reason, str]] = {
    "inverted": "--polarity trust judges it all the same",
    "not_lead_i": "--placement lead-i judges it where the electrodes touched the right and the left arm",
}
JOURNAL: Final = "ecg.journal"  # of a recording; see edge_mi.firmware_bridge.recording


def replay(args: argparse.Namespace, make_detector: Callable[[Placement], Detector]) -> int:
    """Judge `args.replay` and show it; the exit code. Raises RecordError where no window could be judged."""
    shown = _recording if _is_recording(args.replay) else _record
    source, placement, items = shown(args)
    screen = Screen(make_detector(placement), as_json=args.json)
    screen.begin(source)
    start_s = time.monotonic()
    for item in _until(items, args.seconds):
        if args.speed is not None and isinstance(item, Chunk):
            due_s = start_s + end_s(item) / args.speed
            time.sleep(max(0.0, due_s - time.monotonic()))
        screen.take(item)
    screen.close()
    screen.end()
    _demand_an_answer(screen.tally)
    return 0


def _record(args: argparse.Namespace) -> tuple[str, Placement, Iterable[Item]]:
    check_wish(args.lead)
    record = read_record(args.replay, lead=args.lead, rate_hz=args.rate)
    for warning in record.warnings:
        print(f"edge-mi: warning: {warning}", file=sys.stderr)
    seconds = len(record.samples_mv) / record.rate_hz
    source = f"{record.name}, lead {record.lead}, {record.rate_hz:g} Hz, {seconds:.1f} s"
    return source, args.placement or "lead-i", chunks_of(record.samples_mv, record.rate_hz)


def _recording(args: argparse.Namespace) -> tuple[str, Placement, Iterable[Item]]:
    if args.lead != "I" or args.rate is not None:
        raise ConfigError(
            f"{args.replay} is a recording and says its own lead and rate: leave out --lead and --rate"
        )
    reader: Any = import_module("edge_mi.firmware_bridge.recording.reader")
    recording = reader.Recording.open(args.replay)
    if recording.problem:
        print(f"edge-mi: warning: {recording.problem}", file=sys.stderr)
    meta = recording.meta
    placement = args.placement or meta.placement
    check_lead(meta.format.lead, placement)
    rate_hz = meta.format.rate_hz
    source = f"recording of {one_line(meta.device)}, {meta.profile}, {rate_hz:g} Hz, {recording.n_samples / rate_hz:.1f} s"
    return source, placement, recording.items()


def _is_recording(path: Path) -> bool:
    try:
        folder = path if path.is_dir() else path.parent
        return (folder / JOURNAL).is_file() and (path.is_dir() or path.stem == Path(JOURNAL).stem)
    except OSError as exc:
        raise RecordError(f"cannot read {path}: {exc.strerror or exc}") from exc


def _until(items: Iterable[Item], seconds: float | None) -> Iterator[Item]:
    """The items of the first `seconds`, the last chunk cut there."""
    for item in items:
        if seconds is not None and isinstance(item, Chunk):
            left = round((seconds - item.t_s) * item.rate_hz)
            if left < len(item.samples_mv):
                if left > 0:
                    yield replace(item, samples_mv=item.samples_mv[:left])
                return
        yield item


def _demand_an_answer(tally: StreamTally) -> None:
    if tally.answered:
        return
    judged = tally.withheld.copy()
    del judged["warming_up"]
    if not judged:
        raise RecordError("the record is too short for one window")
    reason, n = judged.most_common(1)[0]
    hint = f"; {_HINTS[reason]}" if reason in _HINTS else ""
    raise RecordError(f"no window could be judged: {REASONS[reason]} ({n} of {tally.windows}){hint}")
