"""edge-mi data check: whether a folder holds what its list says."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.errors import ConfigError, DamagedData
from edge_mi.progress import size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a download (SHA256SUMS.txt) or a window store"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN",
        help="only files whose path fits, for a part of a collection (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )
    parser.add_argument("--json", action="store_true", help="a JSON report as the last line")


def run(args: argparse.Namespace) -> int:
    if args.jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, found {args.jobs}")
    work: Any = import_module("edge_mi.train.data.check")
    report = work.check_folder(args.folder, only=tuple(args.only), jobs=args.jobs)
    whole = report.checked - report.missing - report.changed
    print(f"{args.folder}: {whole} of {report.checked} files as listed ({size(report.bytes_checked)})")
    for name in ("missing", "changed", "unlisted"):
        count, first = getattr(report, name), getattr(report, f"first_{name}")
        if count:
            print(f"{name}: {count}\n" + "\n".join(f"  {path}" for path in first))
            if count > len(first):
                print("  ...")
    if report.unfinished:
        print(f"unfinished: {report.unfinished} (parts that edge-mi data fetch goes on from)")
    if args.json:
        print(json.dumps({"folder": str(args.folder), "good": report.good, **dataclasses.asdict(report)}))
    if not report.good:
        hint = "; for a part of a collection add --only" if report.missing and not args.only else ""
        raise DamagedData(
            f"{args.folder}: {report.missing} files are missing and {report.changed} changed{hint}; "
            + (
                "build the store again"
                if report.kind == "store"
                else "edge-mi data fetch --verify loads them"
            )
        )
    return 0
