"""edge-mi record: lead I of a patch into a recording, without a word on what it means."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.cli.arguments import add_placement, add_radio, check_new_recording, check_radio, positive
from edge_mi.cli.keepers import keepers_of
from edge_mi.cli.lead import CHEST
from edge_mi.cli.stopping import Stopping
from edge_mi.cli.talk import tell
from edge_mi.errors import PatchError
from edge_mi.samples import Gap, end_s
from edge_mi.terminal import gap_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to record; must not exist")
    parser.add_argument(
        "--device",
        required=True,
        metavar="NAME",
        help='a Bluetooth patch by the beginning of its name, its address or its service, such as "Polar H10"',
    )
    add_radio(parser)
    parser.add_argument("--seconds", type=positive, metavar="S", help="stop after S seconds of signal")
    add_placement(parser)


def run(args: argparse.Namespace) -> int:
    check_radio(args)
    check_new_recording(args.folder)
    return asyncio.run(_record(args))


async def _record(args: argparse.Namespace) -> int:
    bridge: Any = import_module("edge_mi.firmware_bridge.bridge")
    stopping = Stopping()
    radio = bridge.radio_of(args.link, args.adapter)
    keepers: list[Any] = []

    def tell_and_keep(words: str) -> None:
        tell(words)
        for each in keepers:
            each.note(words)

    stream = bridge.patch_stream(
        radio, args.device, allowed=args.allow, profile=args.profile, rate_hz=args.patch_rate,
        encrypt=args.encrypt, stop=stopping.event, on_event=tell_and_keep,
    )  # fmt: skip
    async with AsyncExitStack() as exits:
        keepers.extend(
            exits.enter_context(each)
            for each in keepers_of(stream, args.placement or "chest", folder=args.folder, lsl=args.lsl)
        )
        await exits.enter_async_context(radio)
        await exits.enter_async_context(stream)
        tell(f"recording into {args.folder}; Ctrl-C ends it")
        if args.placement != "lead-i":
            tell(CHEST)
        try:
            async for heard in stream.heard():
                for each in keepers:
                    each.push(heard)
                item = heard.item
                if isinstance(item, Gap):
                    tell(gap_line(item))
                elif args.seconds is not None and end_s(item) >= args.seconds:
                    break
        finally:
            tell(str(stream.statistics))
    if args.folder.exists():
        print(args.folder)
    elif stopping.event.is_set():
        tell("stopped before the first sample: nothing was recorded")
    else:
        raise PatchError("the patch ended its measurement without a sample: nothing was recorded")
    return stopping.exit_code
