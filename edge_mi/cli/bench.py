"""edge-mi bench: how long a decision takes on this machine, and where the time goes."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from typing import Any

from edge_mi.cli.arguments import add_bundle, load_bundle
from edge_mi.errors import ConfigError
from edge_mi.terminal import table

_COLUMNS = ("p50", "p90", "p99", "p999", "max")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument(
        "--rounds", type=int, default=1000, metavar="N", help="timed calls of each runner (default: 1000)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document as the last line")


def run(args: argparse.Namespace) -> int:
    if args.rounds < 1:
        raise ConfigError(f"--rounds must be at least 1, found {args.rounds}")
    bundle = load_bundle(args)
    latency: Any = import_module("edge_mi.benchmarks.latency")
    document = latency.measure(bundle, rounds=args.rounds)
    print(json.dumps(document) if args.json else _page(document))
    return 0


def _page(document: dict[str, Any]) -> str:
    machine = document["machine"]
    state = ", ".join(
        f"{name} {machine[key]}{unit}"
        for name, key, unit in (
            ("governor", "governor", ""),
            ("clock", "clock_mhz", " MHz"),
            ("temperature", "temperature_c", " °C"),
            ("throttled", "throttled", ""),
            ("load", "load_1min", ""),
        )
        if machine[key] is not None
    )
    runners = [_row(name, runner["window_us"]) for name, runner in document["runners"].items()]
    hops = [_row(name, runner["hop_us"]) for name, runner in document["runners"].items() if runner["hop_us"]]
    stages = [_row(name, times) for name, times in document["pipeline_us"].items()]
    lines = [
        f"{machine['processor'] or machine['architecture']}, {machine['cores']} cores, {machine['system']}",
        f"state: {state}",
        "versions: " + ", ".join(f"{name} {number}" for name, number in document["versions"].items()),
        "",
        f"ONE WINDOW, one thread, {document['macs_window']:,} MACs; microseconds, runners interleaved",
        table(runners, header=["runner", *_COLUMNS, "n"]),
        "",
        f"ONE HOP, its new frames and the head, {document['macs_hop']:,} MACs "
        f"({document['macs_hop'] / document['macs_window']:.1%} of the window)",
        table(hops, header=["runner", *_COLUMNS, "n"]),
        "",
        "ONE SECOND OF STREAM from a 130 Hz patch; microseconds",
        table(stages, header=["stage", *_COLUMNS, "n"]),
        "",
        f"real-time factor {document['realtime_factor']:g} (seconds of signal for one second of one core), "
        f"peak memory {document['rss_mb']:g} MB",
    ]
    if machine["emulated"]:
        lines.insert(0, "EMULATED PROCESSOR: these are no speeds of any device.")
    return "\n".join(lines)


def _row(name: str, times: dict[str, float]) -> list[str]:
    return [name, *(f"{times[column]:.0f}" for column in _COLUMNS), str(int(times["n"]))]
