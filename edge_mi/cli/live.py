"""Live patches on the command line: one process, any number of devices, one detector each, one event loop."""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.cli.screen import Screen
from edge_mi.cli.stopping import Stopping
from edge_mi.detector import Detector
from edge_mi.errors import EdgeMIError
from edge_mi.samples import Chunk, Item

_CHEST = (
    "a strap on the chest is not lead I, so nothing is judged; hold its electrodes to the right and left arm and say "
    "--placement lead-i"
)


@dataclass(slots=True)
class _Patch:
    """One device that the user named, and what it came to."""

    device: str
    screen: Screen
    error: EdgeMIError | None = None


def stream_live(args: argparse.Namespace, make_detector: Callable[[], Detector]) -> int:
    """Stream every `args.device` until it ends or the user stops; the exit code."""
    devices = list(dict.fromkeys(args.device))
    several = len(devices) > 1
    patches = [
        _Patch(each, Screen(make_detector(), as_json=args.json, label=each if several else None))
        for each in devices
    ]
    return asyncio.run(_stream_all(args, patches))


async def _stream_all(args: argparse.Namespace, patches: list[_Patch]) -> int:
    bridge: Any = import_module("edge_mi.firmware_bridge.bridge")
    stopping = Stopping()
    async with bridge.radio_of(args.link, args.adapter) as radio:
        streams = [
            bridge.patch_stream(
                radio, each.device, allowed=args.allow, profile=args.profile, rate_hz=args.patch_rate,
                encrypt=args.encrypt, stop=stopping.event, on_event=each.screen.tell,
            )
            for each in patches
        ]  # fmt: skip
        await asyncio.gather(*(_guard(args, *pair) for pair in zip(patches, streams, strict=True)))
    failed = [each.error for each in patches if each.error is not None]
    if len(failed) == len(patches):
        raise failed[0]
    return stopping.exit_code


async def _guard(args: argparse.Namespace, patch: _Patch, stream: Any) -> None:
    """Stream one patch; what goes wrong with it does not touch the others."""
    try:
        await _stream_one(args, patch.screen, stream, patch.device)
    except EdgeMIError as exc:
        patch.error = exc
        if patch.screen.label is not None:
            patch.screen.tell(str(exc))


async def _stream_one(args: argparse.Namespace, screen: Screen, stream: Any, device: str) -> None:
    async with AsyncExitStack() as exits:
        recorder = None if args.record is None else exits.enter_context(_recorder(args, screen, stream))
        await exits.enter_async_context(stream)
        screen.begin(f"{device}, placement {screen.placement}")
        if screen.placement != "lead-i":
            screen.tell(_CHEST)
        try:
            async for heard in stream.heard():
                if recorder is not None:
                    recorder.push(heard)
                decisions = screen.take(heard.item, time.monotonic())
                if recorder is not None:
                    recorder.decisions(decisions)
                if args.seconds is not None and _end_s(heard.item) >= args.seconds:
                    break
        finally:
            # what was heard until the patch was lost for good is still worth its page
            last = screen.close()
            if recorder is not None:
                recorder.decisions(last)
            screen.end(stream.statistics)


def _recorder(args: argparse.Namespace, screen: Screen, stream: Any) -> Any:
    """A recorder in the folder that the user named; of several patches, each in a folder of its own in it."""
    recording: Any = import_module("edge_mi.firmware_bridge.recording.follow")
    folder: Path = args.record
    if screen.label is not None:
        folder.mkdir(exist_ok=True)
        folder = folder / re.sub(r"[^A-Za-z0-9-]+", "-", screen.label)
    return recording.StreamRecorder(folder, stream, screen.placement)


def _end_s(item: Item) -> float:
    return item.t_s + (len(item.samples_mv) / item.rate_hz if isinstance(item, Chunk) else 0.0)
