"""Live patches on the command line: one process, any number of devices, one detector each, one event loop."""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_mi.cli.keepers import keepers_of
from edge_mi.cli.lead import CHEST, check_lead
from edge_mi.cli.screen import Screen
from edge_mi.cli.stopping import Stopping
from edge_mi.detector import Detector
from edge_mi.errors import EdgeMIError, OutputError
from edge_mi.files import output_error
from edge_mi.samples import end_s

_LONGEST_NAME = 64  # of a folder that is named after a device


@dataclass(slots=True)
class _Patch:
    """One device that the user named, and what it came to."""

    device: str
    screen: Screen
    folder: Path | None
    error: EdgeMIError | None = None
    keepers: list[Any] = field(default_factory=list)

    def tell(self, words: str) -> None:
        """Say what happened to the link, and keep it."""
        self.screen.tell(words)
        for each in self.keepers:
            each.note(words)


def stream_live(args: argparse.Namespace, make_detector: Callable[[], Detector]) -> int:
    """Stream every `args.device` until it ends or the user stops; the exit code."""
    devices = list(dict.fromkeys(args.device))
    several = len(devices) > 1
    folders = _folders(args.record, devices)
    patches = [
        _Patch(each, Screen(make_detector(), as_json=args.json, label=each if several else None), folder)
        for each, folder in zip(devices, folders, strict=True)
    ]
    if args.lsl:
        lsl: Any = import_module("edge_mi.firmware_bridge.lsl")
        lsl.load_lsl()  # what is missing is said before a patch is looked for
    return asyncio.run(_stream_all(args, patches))


def _folders(record: Path | None, devices: list[str]) -> list[Path | None]:
    """Where each patch is recorded: in the folder that the user named, or, of several, in one of its own in it."""
    if record is None or len(devices) == 1:
        return [record] * len(devices)
    folders: list[Path | None] = []
    for device in devices:
        name = base = re.sub(r"[^A-Za-z0-9-]+", "-", device)[:_LONGEST_NAME]
        while record / name in folders:
            name = f"{base}-{len(folders) + 1}"
        folders.append(record / name)
    return folders


async def _stream_all(args: argparse.Namespace, patches: list[_Patch]) -> int:
    bridge: Any = import_module("edge_mi.firmware_bridge.bridge")
    stopping = Stopping()
    radio = bridge.radio_of(args.link, args.adapter)
    streams = [
        bridge.patch_stream(
            radio, each.device, allowed=args.allow, profile=args.profile, rate_hz=args.patch_rate,
            encrypt=args.encrypt, stop=stopping.event, on_event=each.tell,
        )
        for each in patches
    ]  # fmt: skip
    async with radio:
        with _shared_folder(args.record if len(patches) > 1 else None):
            await _all_of(_guard(args, *pair) for pair in zip(patches, streams, strict=True))
    failed = [each.error for each in patches if each.error is not None]
    if len(failed) < len(patches):
        return stopping.exit_code
    if len(failed) == 1:
        raise failed[0]
    return max(each.exit_code for each in failed)  # each was said with its name


async def _all_of(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at once; where one ends with an error, the others leave their patches stopped before it goes on."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _shared_folder(folder: Path | None) -> Iterator[None]:
    """A folder for the recordings of several patches, gone again if there are none."""
    if folder is None:
        yield
        return
    try:
        folder.mkdir(mode=0o700)
    except OSError as exc:
        raise output_error(folder, exc) from exc
    try:
        yield
    finally:
        with suppress(OSError):  # it holds recordings
            folder.rmdir()


async def _guard(args: argparse.Namespace, patch: _Patch, stream: Any) -> None:
    """Stream one patch; what goes wrong with it does not touch the others."""
    try:
        await _stream_one(args, patch, stream)
    except EdgeMIError as exc:
        patch.error = exc
        if patch.screen.label is not None:
            patch.screen.tell(str(exc))


async def _stream_one(args: argparse.Namespace, patch: _Patch, stream: Any) -> None:
    screen, keepers = patch.screen, patch.keepers
    async with AsyncExitStack() as exits:
        keepers.extend(
            exits.enter_context(each)
            for each in keepers_of(stream, screen.placement, folder=patch.folder, lsl=args.lsl)
        )
        await exits.enter_async_context(stream)
        if stream.format is None:  # the user stopped before it was found
            return
        check_lead(stream.format.lead, screen.placement)
        screen.begin(f"{patch.device}, placement {screen.placement}")
        if screen.placement != "lead-i":
            screen.tell(CHEST)
        try:
            async for heard in stream.heard():
                for each in keepers:
                    each.push(heard)
                decisions = screen.take(heard.item, time.monotonic())
                for each in keepers:
                    each.decisions(decisions)
                if args.seconds is not None and end_s(heard.item) >= args.seconds:
                    break
        except OutputError:
            keepers.clear()  # they take no more, and would say that instead of why
            raise
        finally:
            # what was heard until the patch was lost for good is still worth its page
            last = screen.close()
            for each in keepers:
                each.decisions(last)
            screen.end(stream.statistics)
