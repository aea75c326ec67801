"""Fault plans: read strictly, struck once or again and again, and accounted for to the packet."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.firmware_bridge.emulator.fault_plan import NO_FAULTS, Fault, FaultPlan, read_plan
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor, Packet
from edge_mi.firmware_bridge.polar_pmd import CLOCK_AFTER_RESET_NS, DATA, decode_ecg_frame

from edge_mi.errors import ConfigError, FrameError, SignalError

N = 73
FRAMES = 40


def packets(*faults: Fault, frames: int = FRAMES, repeat: bool = False, **plan: float) -> list[Packet]:
    sensor = EmulatedSensor(
        H10(),
        np.arange(FRAMES * N) % 20_000,
        FaultPlan(fault=faults, **plan),
        repeat=repeat,  # type: ignore[arg-type]
    )
    return [sensor.next_packet(232) for _ in range(frames)]


def at(packet: int) -> float:
    return (packet + 0.5) * N / 130


def firsts(found: list[Packet]) -> list[list[int]]:
    """First sample, as a number of a packet, of every notification."""
    return [
        [
            int(decode_ecg_frame(send.data).codes[0]) // N
            for send in packet.sends
            if send.characteristic == DATA
        ]
        for packet in found
    ]


def test_a_plan_is_read() -> None:
    plan = read_plan(
        'mtu = 100\npairing = true\ndrift_ppm = 100\n[[fault]]\nkind = "drop"\nat_s = 5\npackets = 3\nevery_s = 60.0\n'
    )
    assert plan == FaultPlan(
        mtu=100, pairing=True, drift_ppm=100.0, fault=(Fault(kind="drop", at_s=5.0, packets=3, every_s=60.0),)
    )
    assert read_plan("") == NO_FAULTS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mtu = 22", "23 to 517"),
        ("speed = 2", "speed"),
        ("mtu = 'a'", "mtu"),
        ("[[fault]]\nat_s = 1", "fault 1 of the plan has no kind"),
        ("[[fault]]\nkind = 'drop'", "has no at_s"),
        ("[[fault]]\nkind = 'melt'\nat_s = 1", "'melt'; expected drop,"),
        ("[[fault]]\nkind = 'drop'\nat_s = 1\nhow = 2", "how"),
        ("[[fault]]\nkind = 'drop'\nat_s = 1\npackets = 0", "no packet"),
        ("[[fault]]\nkind = 'battery'\nat_s = 1\npercent = 101", "101 percent"),
        ("fault = 3", "fault"),
        ("fault = [3]", "no table"),
        ("mtu = ", "not TOML"),
    ],
)
def test_what_is_no_plan_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_plan(text)


def test_without_faults_every_packet_comes_once() -> None:
    assert firsts(packets()) == [[i] for i in range(FRAMES)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind="drop", at_s=at(5), packets=2), {5: [], 6: []}),
        (Fault(kind="duplicate", at_s=at(5), packets=2), {5: [5, 5], 6: [6, 6]}),
        (Fault(kind="reorder", at_s=at(5)), {5: [], 6: [6, 5]}),
        (Fault(kind="drop", at_s=at(5), every_s=10 * N / 130), {5: [], 15: [], 25: [], 35: []}),
    ],
    ids=["drop", "duplicate", "reorder", "again and again"],
)
def test_a_fault_strikes_where_it_is_due(fault: Fault, expected: dict[int, list[int]]) -> None:
    assert firsts(packets(fault)) == [expected.get(i, [i]) for i in range(FRAMES)]


def test_a_truncated_packet_may_still_decode_or_not() -> None:
    (whole,) = packets(Fault(kind="truncate", at_s=at(5), keep_bytes=97))[5].sends
    assert len(decode_ecg_frame(whole.data).codes) == 29
    (broken,) = packets(Fault(kind="truncate", at_s=at(5), keep_bytes=96))[5].sends
    with pytest.raises(FrameError):
        decode_ecg_frame(broken.data)


def test_a_clock_that_jumps_and_one_that_is_reset() -> None:
    def stamps(*faults: Fault) -> np.ndarray:
        return np.array(
            [decode_ecg_frame(send.data).stamp_ns for packet in packets(*faults) for send in packet.sends]
        )

    usual = stamps()
    assert usual[0] == CLOCK_AFTER_RESET_NS + round((N - 1) * 1e9 / 130)
    jumped = stamps(Fault(kind="clock_jump", at_s=at(5), by_s=-100.0))
    # the packet in which it falls was stamped before
    assert (usual - jumped).tolist() == [0] * 6 + [100 * 10**9] * (FRAMES - 6)
    reset = stamps(Fault(kind="reset", at_s=at(5)))
    assert reset[6] == usual[0]


def test_a_patch_that_is_away_goes_on_measuring() -> None:
    found = packets(Fault(kind="disconnect", at_s=at(5), for_s=3 * N / 130))
    assert found[5].after == "disconnect"
    assert firsts(found)[4:8] == [[4], [5], [9], [10]]


def test_what_is_stalled_comes_later_all_at_once() -> None:
    due = [packet.due_s for packet in packets(Fault(kind="stall", at_s=at(5), for_s=5.0))]
    assert due[5] == due[6] == due[13] == pytest.approx(6 * N / 130 + 5)
    assert due[30] == pytest.approx(31 * N / 130)


def test_the_end_of_the_record_ends_the_measurement_or_begins_it_again() -> None:
    found = packets(frames=FRAMES + 1)
    assert found[-1].after == "end"
    assert firsts(packets(frames=FRAMES + 2, repeat=True))[-2:] == [[0], [1]]


def test_a_clock_that_drifts_is_late_by_the_worlds() -> None:
    usual, slow = packets()[-1].due_s, packets(drift_ppm=100.0)[-1].due_s
    assert slow / usual == pytest.approx(1 / (1 + 100e-6), abs=1e-9)
    fast = packets(rate_ppm=1000.0)
    last = decode_ecg_frame(fast[-1].sends[0].data).stamp_ns
    assert last is not None
    assert (last - CLOCK_AFTER_RESET_NS) / 1e9 == pytest.approx((FRAMES * N - 1) / 130.13, abs=1e-6)


def test_a_sensor_clips_and_wants_samples() -> None:
    clipped = EmulatedSensor(H10(), np.array([-(10**9), 10**9])).next_packet(232).sends[0]
    assert decode_ecg_frame(clipped.data).codes.tolist() == [-20_000, 19_999]
    with pytest.raises(SignalError, match="one row"):
        EmulatedSensor(H10(), np.zeros(0, dtype=np.int64))
