"""edge-mi data fetch: a public collection from PhysioNet, checked file by file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.errors import DamagedData, DownloadError
from edge_mi.progress import size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", metavar="ptbxl|ptbdb|ludb|mimic-iv-ecg", help="what to download")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for it; a rerun goes on there"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN",
        help="only files whose path fits, such as 'records100/*' or '*.csv' (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, default=4, metavar="N", help="connections, at most 8 (default: 4)"
    )
    parser.add_argument("--base-url", metavar="URL", help="a mirror: the folder that holds SHA256SUMS.txt")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="hash the files that are there; else those loaded here are trusted",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="load the list only and say what there is to do"
    )
    parser.add_argument("--json", action="store_true", help="a JSON summary as the last line")


def run(args: argparse.Namespace) -> int:
    work: Any = import_module("edge_mi.train.data.fetch")
    published = import_module("edge_mi.train.data.physionet").collection(args.collection)
    options = work.FetchOptions(only=tuple(args.only), jobs=args.jobs, verify=args.verify)
    url = (args.base_url or published.url).rstrip("/")
    name = f"{published.title} {published.version}"
    print(
        f"{name}, {url}\nlicence: {published.licence}; cite https://doi.org/{published.doi}", file=sys.stderr
    )
    if args.dry_run:
        plan = work.plan_fetch(url, args.out, options)
        print(f"{name}: {_plan(plan)}")
        _json(args, published, url, {"plan": dataclasses.asdict(plan)})
        return 0
    result = work.fetch(url, args.out, options)
    plan = result.plan
    print(
        f"{name} in {args.out}: {result.loaded} files loaded ({size(result.bytes_received)}), "
        f"{plan.present} there before"
    )
    _json(args, published, url, dataclasses.asdict(result))
    _complain(result, args.out)
    return 0


def _plan(plan: Any) -> str:
    to_load = plan.missing + plan.changed
    parts = [
        f"{plan.selected} of {plan.listed} files wanted",
        f"{plan.present} there ({size(plan.bytes_present)})",
        f"{to_load} to load",
    ]
    if plan.changed:
        parts.append(f"{plan.changed} of them in place of a file with another hash")
    if plan.begun:
        parts.append(f"{plan.begun} of them begun ({size(plan.bytes_begun)})")
    return ", ".join(parts) + ("; the list holds no sizes" if to_load else "")


def _json(args: argparse.Namespace, published: Any, url: str, more: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps({
            "collection": args.collection, "version": published.version, "source": url,
            "licence": published.licence, "out": str(args.out), "dry_run": args.dry_run, **more,
        }))  # fmt: skip


def _complain(result: Any, out: Path) -> None:
    """Raises DamagedData or DownloadError where something did not come."""
    sentences = []
    if result.wrong:
        sentences.append(
            f"{result.wrong} files came with another hash than the published one, however often they were asked for "
            f"({_first(result.first_wrong, result.wrong)})"
        )
    if result.refused:
        sentences.append(
            f"{result.refused} files are not given ({_first(result.first_refused, result.refused)})"
        )
    if result.lost:
        sentences.append(f"{result.lost} files did not come ({_first(result.first_lost, result.lost)})")
    if result.not_tried:
        sentences.append(f"{result.not_tried} more were not asked for")
    if sentences:
        kind = DamagedData if result.wrong else DownloadError
        raise kind(f"{', '.join(sentences)}; the same command goes on with {out}")


def _first(paths: tuple[str, ...], count: int) -> str:
    return ", ".join(paths) + (", ..." if count > len(paths) else "")
