"""`edge-mi emulate` in a process of its own, for as long as a block runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY_TIMEOUT_S = 30.0


@contextmanager
def emulated_h10(record: Path, socket: Path, *, speed: float = 0) -> Iterator[None]:
    """Serve `record` as an H10 at `socket`, at `speed` times real time; 0: as fast as it is taken.

    Raises SystemExit with the emulator's words if it fails.
    """
    emulator = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "edge_mi",
            "emulate",
            "h10",
            str(record),
            "--speed",
            f"{speed:g}",
            "--link",
            f"unix:{socket}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert emulator.stderr is not None
    try:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not socket.exists():
            if emulator.poll() is not None:
                raise SystemExit(f"the emulator did not start: {emulator.stderr.read().strip()}")
            if time.monotonic() > deadline:
                raise SystemExit("the emulator did not start: no answer")
            time.sleep(0.05)
        yield
    finally:
        emulator.terminate()
        emulator.wait()
        emulator.stderr.close()
