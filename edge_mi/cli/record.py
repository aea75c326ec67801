"""edge-mi record: lead I of a patch into a recording, without a word on what it means."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.cli.arguments import add_placement, add_radio, positive
from edge_mi.cli.stopping import Stopping
from edge_mi.samples import Chunk, Gap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to record; must not exist")
    parser.add_argument(
        "--device", required=True, metavar="NAME", help="a Bluetooth patch by name, address or service"
    )
    add_radio(parser)
    parser.add_argument("--seconds", type=positive, metavar="S", help="stop after S seconds of signal")
    add_placement(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_record(args))


async def _record(args: argparse.Namespace) -> int:
    bridge: Any = import_module("edge_mi.firmware_bridge.bridge")
    recording: Any = import_module("edge_mi.firmware_bridge.recording.follow")
    stopping = Stopping()
    async with bridge.radio_of(args.link, args.adapter) as radio:
        stream = bridge.patch_stream(
            radio, args.device, allowed=args.allow, profile=args.profile, rate_hz=args.patch_rate,
            encrypt=args.encrypt, stop=stopping.event, on_event=_tell,
        )  # fmt: skip
        with recording.StreamRecorder(args.folder, stream, args.placement or "chest") as recorder:
            async with stream:
                _tell(f"recording into {args.folder}; Ctrl-C ends it")
                try:
                    async for heard in stream.heard():
                        recorder.push(heard)
                        item = heard.item
                        if isinstance(item, Gap):
                            missing = (
                                "an unknown number of" if item.n_samples is None else str(item.n_samples)
                            )
                            _tell(f"gap at {item.t_s:.2f} s: {missing} samples missing ({item.cause})")
                        elif args.seconds is not None and _end_s(item) >= args.seconds:
                            break
                finally:
                    _tell(str(stream.statistics))
    print(args.folder)
    return stopping.exit_code


def _end_s(chunk: Chunk) -> float:
    return chunk.t_s + len(chunk.samples_mv) / chunk.rate_hz


def _tell(message: str) -> None:
    print(f"edge-mi: {message}", file=sys.stderr, flush=True)
