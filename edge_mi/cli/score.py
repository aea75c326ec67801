"""edge-mi score: one probability for each record of a folder, on all cores."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from edge_mi.bundle import Bundle
from edge_mi.chain.chain import nominal_rate_hz
from edge_mi.cli.arguments import add_bundle, add_lead, add_polarity, add_runner, load_bundle
from edge_mi.cli.lead import check_wish
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError, RecordError
from edge_mi.files import check_place, new_file
from edge_mi.notice import NOTICE
from edge_mi.optional import require
from edge_mi.polarity import PolarityMode
from edge_mi.progress import Progress
from edge_mi.ray_workers import LOCAL, RayWorkers
from edge_mi.records import list_records
from edge_mi.score import COLUMNS, Score, Tally, score_record
from edge_mi.workers import WorkerPool

_BATCH: Final = 16
_SPOOL_BYTES: Final = 1 << 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "records",
        type=Path,
        metavar="RECORD|FOLDER|LIST",
        help="a record, a folder of records, or a text file that lists them",
    )
    parser.add_argument(
        "--out", type=Path, metavar="CSV", help="write the rows here (default: standard output)"
    )
    add_bundle(parser, option=True)
    add_runner(parser)
    add_polarity(parser)
    add_lead(parser)
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes of this machine (default: one a core)"
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS",
        help="use the Ray cluster at ADDRESS, or `local` for one on this machine (extra `ray`); its machines need "
        "this version of EdgeMI and must see the records under the same paths",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="a JSON summary as the last line")


def run(args: argparse.Namespace) -> int:
    if args.jobs is not None and args.jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, found {args.jobs}")
    if args.jobs is not None and args.ray not in (None, LOCAL):
        raise ConfigError("--jobs is for this machine; a Ray cluster uses the processors that it has")
    if args.ray is not None:
        require("ray", extra="ray")
    bundle = load_bundle(args)
    detector = Detector(
        bundle,
        args.runner,
        polarity=args.polarity,
        operating_point=args.operating_point,
        whole_window=args.whole_window,
    )
    if args.rate is not None:
        nominal_rate_hz(bundle.info.signal, args.rate)
    check_wish(args.lead)
    records = list_records(args.records)
    if not records:
        raise RecordError(f"{args.records} holds no record (.hea, .mat or .csv)")
    if args.out is not None:
        if args.out.resolve() in {path.resolve() for _, path in records}:
            raise ConfigError(f"--out {args.out} is one of the records; choose another file")
        check_place(args.out)
    print(NOTICE, file=sys.stderr)
    tally = Tally()
    with _rows(args.out) as writer, Progress(len(records), "scoring") as progress:
        writer.writerow(COLUMNS)
        for scores in _scores(args, bundle, detector, records):
            for score in scores:
                writer.writerow(score.row())
                tally.add(score)
            progress.advance(len(scores))
    print(
        f"{tally.records} records: {tally.scored} scored, "
        f"{tally.records - tally.scored - tally.unreadable} undetermined, {tally.unreadable} unreadable",
        file=sys.stderr,
    )
    if tally.warned:
        print(f"{tally.warned} with a warning, the first: {tally.first_warning}", file=sys.stderr)
    if tally.inverted:
        print(
            f"{tally.inverted} of the undetermined look upside down; --polarity trust scores them all the same",
            file=sys.stderr,
        )
    if args.json:
        print(json.dumps({
            "records": tally.records, "scored": tally.scored, "unreadable": tally.unreadable,
            "positive": tally.positive, "model_id": bundle.model_id,
            "inverted": tally.inverted, "polarity": detector.polarity_check,
            "runner": detector.runner.name, "out": str(args.out) if args.out else None,
        }))  # fmt: skip
    if tally.unreadable == tally.records:
        raise RecordError(f"no record could be read: {tally.first_error}")
    if not tally.scored:
        raise RecordError(f"no record has a window that could be judged ({tally.first_reason})")
    return 0


@contextmanager
def _rows(out: Path | None) -> Iterator[Any]:
    """A CSV writer whose rows are seen when all are there: in the file `out`, or on standard output."""
    if out is not None:
        with new_file(out) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            yield csv.writer(text, lineterminator="\n")
            text.detach()
        return
    with SpooledTemporaryFile(_SPOOL_BYTES, "w+", encoding="utf-8", newline="") as spool:
        yield csv.writer(spool, lineterminator="\n")
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout)


def _scores(
    args: argparse.Namespace, bundle: Bundle, detector: Detector, records: list[tuple[str, Path]]
) -> Iterator[list[Score]]:
    """Scores in the order of the records, a batch at a time."""

    def here(batch: list[tuple[str, Path]]) -> list[Score]:
        return [score_record(detector, path, name, args.lead, args.rate) for name, path in batch]

    batches = (records[i : i + _BATCH] for i in range(0, len(records), _BATCH))
    jobs = min(args.jobs or os.cpu_count() or 1, -(-len(records) // _BATCH))
    setting = (
        bundle,
        detector.runner.name,
        args.polarity,
        args.operating_point,
        args.whole_window,
        args.lead,
        args.rate,
    )
    if args.ray is not None:
        with RayWorkers(args.ray, jobs, _open_there, str(Path.cwd()), *setting) as cluster:
            yield from cluster.in_order(_score_batch, batches, here)
    elif jobs == 1:
        yield from map(here, batches)
    else:
        with WorkerPool(jobs, _open, *setting) as pool:
            yield from pool.in_order(_score_batch, batches, here)


_worker: tuple[Detector, str, float | None]


def _open(
    bundle: Bundle,
    runner: str,
    polarity: PolarityMode,
    operating_point: str | None,
    whole_window: bool,
    lead: str,
    rate_hz: float | None,
) -> None:
    global _worker
    detector = Detector(
        bundle, runner, polarity=polarity, operating_point=operating_point, whole_window=whole_window
    )
    _worker = detector, lead, rate_hz


def _open_there(folder: str, *setting: Any) -> None:
    """Make a worker of another machine ready; relative paths mean there what they mean here, or nothing."""
    with suppress(OSError):
        os.chdir(folder)
    _open(*setting)


def _score_batch(batch: list[tuple[str, Path]]) -> list[Score]:
    detector, lead, rate_hz = _worker
    return [score_record(detector, path, name, lead, rate_hz) for name, path in batch]
