"""What reads bytes from the air, under a fuzzer that follows its branches: a frame or the documented error, nothing else.

`make fuzz` runs a million inputs through each; `python tests/fuzz/decoders.py [NAME [RUNS]]` runs one. Needs atheris.
"""

from __future__ import annotations

import binascii
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import atheris

with atheris.instrument_imports(include=["edge_mi.firmware_bridge"]):
    from edge_mi.firmware_bridge import edge_mi_packet, healthypi_packets, movesense_gsp, polar_pmd
    from edge_mi.firmware_bridge.battery import BATTERY_LEVEL, decode_battery
    from edge_mi.firmware_bridge.profile import Wishes
    from edge_mi.firmware_bridge.profiles import PROFILES
    from edge_mi.firmware_bridge.receiver import Receiver
    from edge_mi.firmware_bridge.statistics import StreamStatistics
    from journals import TARGETS as JOURNALS

from edge_mi.errors import FrameError

RUNS = 1_000_000
SLOW = ("journal", "journal-torn")  # files of this machine, not bytes from the air: a tenth


def or_frame_error(decode: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with suppress(FrameError):
            decode(data)

    return run


def sealed(body: bytes) -> bytes:
    """With the checksum that it should have."""
    return body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2, "little")


def receiver(key: str) -> Callable[[bytes], None]:
    """A whole stream of notifications of one profile: each is a length, a characteristic and its bytes."""
    profile = PROFILES[key]
    places = [*profile.subscribe, BATTERY_LEVEL]

    def run(data: bytes) -> None:
        given = atheris.FuzzedDataProvider(data)
        stream = Receiver(lambda before: profile.next_session(Wishes(), before), StreamStatistics())
        stream.begin()
        host_s = 0.0
        while given.remaining_bytes():
            host_s += given.ConsumeIntInRange(0, 2000) / 1000
            place = places[given.ConsumeIntInRange(0, len(places) - 1)]
            stream.receive(place, given.ConsumeBytes(given.ConsumeIntInRange(0, 520)), host_s)
            if given.ConsumeIntInRange(0, 15) == 0:
                stream.interrupt("link_lost")
                stream.begin()

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
    **{f"{key}-stream": receiver(key) for key in PROFILES},
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
            f"{len(TARGETS)} targets, {runs} inputs each, {runs // 10} of {' and '.join(SLOW)}"
            + (f"; failed: {', '.join(failed)}" if failed else "")
        )
        return int(bool(failed))
    if name not in TARGETS:
        print(f"unknown target {name!r}; there are {' '.join(TARGETS)}, or all", file=sys.stderr)
        return 2
    print(name, flush=True)
    atheris.Setup([sys.argv[0], f"-atheris_runs={runs}", "-max_len=600", "-verbosity=0"], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
