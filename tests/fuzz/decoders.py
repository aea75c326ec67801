"""What reads bytes from the air, under a fuzzer that follows its branches: a frame or the documented error, nothing else.

`make fuzz` runs a million inputs through each; `python tests/fuzz/decoders.py [NAME [RUNS]]` runs one. Needs atheris. A
target of streams says at its end how many frames got through, and fails where none did.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import atheris

with atheris.instrument_imports(include=["edge_mi.firmware_bridge"]):
    from edge_mi.firmware_bridge import edge_mi_packet, healthypi_packets, movesense_gsp, polar_pmd
    from edge_mi.firmware_bridge.battery import decode_battery
    from journals import TARGETS as JOURNALS
    from streams import STREAMS, StreamTarget, sealed

from edge_mi.errors import FrameError

RUNS = 1_000_000
SLOW = ("journal", "journal-torn", *STREAMS)  # files of this machine, and many frames in each input: a tenth
LONGEST = 600  # bytes of an input: more than a notification
LONGEST_STREAM = 200  # what takes some 100 frames


def or_frame_error(decode: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with suppress(FrameError):
            decode(data)

    return run


def counted(name: str, target: Callable[[bytes], Any], runs: int) -> Callable[[bytes], Any]:
    """`target`, which says behind its last input how many frames got through; the fuzzer leaves nobody a later word."""
    if not isinstance(target, StreamTarget):
        return target
    inputs = 0

    def run(data: bytes) -> None:
        nonlocal inputs
        target(data)
        inputs += 1
        if inputs == runs:
            print(
                f"{name}: {inputs} inputs, {target.streams} streams, {target.chunks} frames of {target.samples} samples",
                flush=True,
            )
            assert target.chunks, "no frame got through: nothing behind the decoder was tried"

    return run


TARGETS: dict[str, Callable[[bytes], Any]] = {
    "h10-frame": or_frame_error(polar_pmd.decode_ecg_frame),
    "h10-control": polar_pmd.decode_control_point,
    "movesense-notification": or_frame_error(movesense_gsp.decode_notification),
    "movesense-ecg": or_frame_error(movesense_gsp.decode_ecg),
    "movesense-command": or_frame_error(movesense_gsp.decode_command),
    "healthypi5": or_frame_error(lambda data: healthypi_packets.decode(healthypi_packets.HEALTHYPI_5, data)),
    "healthypi-move": or_frame_error(
        lambda data: healthypi_packets.decode(healthypi_packets.HEALTHYPI_MOVE, data)
    ),
    "healthypi4": or_frame_error(lambda data: healthypi_packets.decode(healthypi_packets.HEALTHYPI_V4, data)),
    "edgemi-data": or_frame_error(edge_mi_packet.decode_data),
    "edgemi-control": or_frame_error(edge_mi_packet.decode_control),
    "edgemi-command": or_frame_error(edge_mi_packet.decode_command),
    # a fuzzer does not find checksums by itself
    "edgemi-sealed-data": or_frame_error(lambda data: edge_mi_packet.decode_data(sealed(data))),
    "edgemi-sealed-control": or_frame_error(lambda data: edge_mi_packet.decode_control(sealed(data))),
    "edgemi-sealed-command": or_frame_error(lambda data: edge_mi_packet.decode_command(sealed(data))),
    "battery": decode_battery,
    **STREAMS,
    **JOURNALS,
}


def main() -> int:
    """Run one target, or all, each in a process of its own, which the fuzzer ends with its own exit code."""
    name, *rest = sys.argv[1:] or ["all"]
    runs = int(rest[0]) if rest else RUNS
    if name == "all":
        wanted = {each: runs // 10 if each in SLOW else runs for each in TARGETS}
        failed = [
            each
            for each, count in wanted.items()
            if subprocess.run([sys.executable, __file__, each, str(count)]).returncode
        ]
        print(
            f"{len(TARGETS)} targets, {runs} inputs each, {runs // 10} of {', '.join(SLOW)}"
            + (f"; failed: {', '.join(failed)}" if failed else "")
        )
        return int(bool(failed))
    if name not in TARGETS:
        print(f"unknown target {name!r}; there are {' '.join(TARGETS)}, or all", file=sys.stderr)
        return 2
    print(name, flush=True)
    run = counted(name, TARGETS[name], runs)
    longest = LONGEST_STREAM if name in STREAMS else LONGEST
    atheris.Setup([sys.argv[0], f"-atheris_runs={runs}", f"-max_len={longest}", "-verbosity=0"], run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
