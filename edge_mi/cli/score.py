"""edge-mi score: one probability for each record of a folder, on all cores."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from edge_mi.bundle import Bundle
from edge_mi.chain.chain import nominal_rate_hz
from edge_mi.cli.arguments import add_bundle, add_lead, add_polarity, add_runner, load_bundle
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError, RecordError
from edge_mi.files import check_place, write_file
from edge_mi.notice import NOTICE
from edge_mi.polarity import PolarityMode
from edge_mi.progress import Progress
from edge_mi.records import list_records
from edge_mi.score import COLUMNS, Score, score_record
from edge_mi.workers import WorkerPool

_BATCH = 16


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
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )
    parser.add_argument("--json", action="store_true", help="a JSON summary as the last line")


def run(args: argparse.Namespace) -> int:
    if args.jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, found {args.jobs}")
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
    records = list_records(args.records)
    if not records:
        raise RecordError(f"{args.records} holds no record (.hea, .mat or .csv)")
    if args.out is not None:
        if args.out.resolve() in {path.resolve() for _, path in records}:
            raise ConfigError(f"--out {args.out} is one of the records; choose another file")
        check_place(args.out)
    print(NOTICE, file=sys.stderr)
    scores: list[Score] = []
    with Progress(len(records), "scoring") as progress:
        for batch in _scores(args, bundle, detector, records):
            scores += batch
            progress.advance(len(batch))
    _write(args.out, scores)
    failed = [score for score in scores if score.error is not None]
    answered = [score for score in scores if score.probability is not None]
    inverted = sum(score.reason == "inverted" for score in scores)
    print(
        f"{len(scores)} records: {len(answered)} scored, {len(scores) - len(answered) - len(failed)} undetermined, "
        f"{len(failed)} unreadable",
        file=sys.stderr,
    )
    if inverted:
        print(
            f"{inverted} of the undetermined look upside down; --polarity trust scores them all the same",
            file=sys.stderr,
        )
    if args.json:
        print(json.dumps({
            "records": len(scores), "scored": len(answered), "unreadable": len(failed),
            "positive": sum(s.state == "positive" for s in answered), "model_id": bundle.model_id,
            "inverted": inverted, "polarity": detector.polarity_check,
            "runner": detector.runner.name, "out": str(args.out) if args.out else None,
        }))  # fmt: skip
    if len(failed) == len(scores):
        raise RecordError(f"no record could be read: {failed[0].error}")
    if not answered:
        reason = next(score.reason for score in scores if score.error is None)
        raise RecordError(f"no record has a window that could be judged ({reason})")
    return 0


def _scores(
    args: argparse.Namespace, bundle: Bundle, detector: Detector, records: list[tuple[str, Path]]
) -> Iterator[list[Score]]:
    """Scores in the order of the records; a batch whose worker died is done again here."""
    batches = [records[i : i + _BATCH] for i in range(0, len(records), _BATCH)]
    jobs = min(args.jobs, len(batches))
    if jobs <= 1:
        for batch in batches:
            yield [score_record(detector, path, name, args.lead, args.rate) for name, path in batch]
        return
    setting = (
        bundle,
        detector.runner.name,
        args.polarity,
        args.operating_point,
        args.whole_window,
        args.lead,
        args.rate,
    )
    with WorkerPool(jobs, _open, *setting) as pool:
        futures = [pool.submit(_score_batch, batch) for batch in batches]
        for batch, future in zip(batches, futures, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:
                yield [score_record(detector, path, name, args.lead, args.rate) for name, path in batch]


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


def _score_batch(batch: list[tuple[str, Path]]) -> list[Score]:
    detector, lead, rate_hz = _worker
    return [score_record(detector, path, name, lead, rate_hz) for name, path in batch]


def _write(out: Path | None, scores: list[Score]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(score.row() for score in scores)
    if out is None:
        sys.stdout.write(buffer.getvalue())
    else:
        write_file(out, buffer.getvalue().encode())
