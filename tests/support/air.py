"""Emulated patches in a thread with an event loop of its own, for tests that run the program as a user does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from edge_mi.firmware_bridge.emulator.fault_plan import NO_FAULTS, FaultPlan
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor
from edge_mi.firmware_bridge.emulator.socket_air import SocketAir

from edge_mi import synthetic
from edge_mi.cli.main import main

_T = TypeVar("_T")
PATIENCE_S = 120.0
STOPS = {signal.SIGINT: 130, signal.SIGTERM: 0, signal.SIGHUP: 0}  # what ends a command, and its exit code
Output = pytest.CaptureFixture[str]


def refused(command: list[str], capsys: Output, *messages: str, shows: bool = False) -> None:
    """Exit code 2 and one line that has all of `messages`; shows: with something on stdout before."""
    capsys.readouterr()
    try:
        assert main(command) == 2
    except SystemExit as ended:  # of the parser
        assert ended.code == 2
    captured = capsys.readouterr()
    assert bool(captured.out) == shows, captured.out
    assert len(captured.err.splitlines()) == 1, captured.err
    assert [each for each in messages if each not in captured.err] == [], captured.err


def microvolts(seconds: float = 40, *, rate_hz: int = 130, territory: str = "inferior") -> np.ndarray:
    """A made heart in the codes of an H10."""
    heart = synthetic.ecg(seconds, rate_hz=rate_hz, territory=territory, seed=3).lead("I")
    return np.rint(heart * 1000).astype(np.int64)


def environment(**more: str) -> dict[str, str]:
    """That of the tests, and output buffered as a user's shell has it."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"} | more


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A patch to emulate. speed 0: as fast as the link takes it. prepare: done to it before it is in the air."""

    codes: np.ndarray
    profile: str = "h10"
    name: str | None = None
    address: str = "F0:F1:F2:F3:F4:F5"
    plan: FaultPlan = NO_FAULTS
    repeat: bool = False
    speed: float = 0.0
    prepare: Callable[[Peripheral], None] = lambda _: None


@contextmanager
def in_the_air(path: Path, *patches: Made) -> Iterator[list[Peripheral]]:
    """The patches on the socket `path` while the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)

    exits = AsyncExitStack()
    try:
        yield do(_launch(path, patches, exits))
    finally:
        do(_land(exits))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


async def _launch(path: Path, patches: tuple[Made, ...], exits: AsyncExitStack) -> list[Peripheral]:
    air = await exits.enter_async_context(SocketAir(path))
    made = []
    for i, each in enumerate(patches):
        patch: Any = PATCHES[each.profile](each.plan)
        if each.name is not None:
            patch.name = each.name
        sensor = EmulatedSensor(patch, each.codes, each.plan, repeat=each.repeat)
        peripheral = Peripheral(*air.hci(f"patch{i}"), sensor, address=each.address, speed=each.speed)
        each.prepare(peripheral)
        await peripheral.start()
        made.append(peripheral)
    return made


async def _land(exits: AsyncExitStack) -> None:
    await exits.aclose()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def start(*words: object) -> subprocess.Popen[str]:
    """`edge-mi` with these words, in a process of its own, which is ended where a test waits for ever."""
    command = [sys.executable, "-m", "edge_mi", *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.daemon = True
    watchdog.start()
    return process


def program(*words: object) -> subprocess.CompletedProcess[str]:
    """`edge-mi` with these words, to its end."""
    process = start(*words)
    out, err = process.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess(words, process.returncode, out, err)
