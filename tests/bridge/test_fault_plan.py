"""Fault plans: read strictly, struck once or again and again, and accounted for to the packet."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from edge_mi.firmware_bridge import edge_mi_packet, healthypi_packets, movesense_gsp, polar_pmd
from edge_mi.firmware_bridge.emulator.edge_mi_patch import EdgeMiPatch
from edge_mi.firmware_bridge.emulator.fault_plan import (
    MTU_LIMITS,
    NO_FAULTS,
    Fault,
    FaultPlan,
    Kind,
    read_plan,
)
from edge_mi.firmware_bridge.emulator.gatt import EmulatedPatch, Send, SensorState
from edge_mi.firmware_bridge.emulator.h10 import H10
from edge_mi.firmware_bridge.emulator.patches import PATCHES
from edge_mi.firmware_bridge.emulator.sensor import EmulatedSensor, Packet
from edge_mi.firmware_bridge.polar_pmd import CLOCK_AFTER_RESET_NS, DATA, decode_ecg_frame
from hypothesis import given, settings
from hypothesis import strategies as st

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


def listen_to(patch: EmulatedPatch) -> None:
    """Begin a measurement as a client of this kind of patch does."""
    patch.subscribed(healthypi_packets.ECG, on=True)
    for characteristic, command in (
        (polar_pmd.CONTROL_POINT, polar_pmd.START_ECG),
        (movesense_gsp.COMMAND, movesense_gsp.encode_subscribe(1, movesense_gsp.ecg_path(128))),
        (edge_mi_packet.CONTROL, edge_mi_packet.encode_start()),
    ):
        patch.written(characteristic, command, 517, SensorState())


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
        ("[[fault]]\nkind = 'drop'\nat_s = -1", "at_s of a drop is -1 s; expected 0 to 1e"),
        (
            "[[fault]]\nkind = 'drop'\nat_s = 1\nevery_s = 1e-300",
            "every_s of a drop is 1e-300 s; expected 0.001",
        ),
        (
            "[[fault]]\nkind = 'reset'\nat_s = 1\nfor_s = 1e308",
            "for_s of a reset is 1e.308 s; expected 0 to 86400",
        ),
        ("[[fault]]\nkind = 'clock_jump'\nat_s = 1\nby_s = -1e300", "by_s of a clock_jump is -1e.300 s"),
        ("[[fault]]\nkind = 'stall'\nat_s = 1", "a stall at 1 s has no for_s"),
        ("[[fault]]\nkind = 'clock_jump'\nat_s = 1", "a clock_jump at 1 s has no by_s"),
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


@pytest.mark.parametrize("profile", PATCHES)
def test_a_truncated_packet_of_every_patch_is_half_as_long_unless_the_plan_says_otherwise(
    profile: str,
) -> None:
    plan = read_plan('[[fault]]\nkind = "truncate"\nat_s = 0.0')
    made = []
    for each in (plan, NO_FAULTS):
        patch = PATCHES[profile](each)
        listen_to(patch)
        made.append(EmulatedSensor(patch, np.arange(1000), each).next_packet(247).sends)
    assert made[0] == [Send(whole.characteristic, whole.data[: len(whole.data) // 2]) for whole in made[1]]


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


def test_a_clock_that_is_set_behind_its_beginning_wraps() -> None:
    back = packets(Fault(kind="clock_jump", at_s=at(5), by_s=-1e9))
    stamps = [decode_ecg_frame(send.data).stamp_ns for packet in back[5:7] for send in packet.sends]
    assert None not in stamps
    assert (stamps[1] - stamps[0] + 10**18) % 2**64 == pytest.approx(N / 130 * 1e9, abs=1)  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["disconnect", "reset"])
def test_a_patch_that_is_away_goes_on_measuring(kind: Kind) -> None:
    found = packets(Fault(kind=kind, at_s=at(5), for_s=3 * N / 130))
    assert found[5].after == "disconnect"
    assert found[5].away_s == 3 * N / 130
    assert firsts(found)[4:8] == [[4], [5], [9], [10]]
    # the last packet is sent when it is made, and the next one when the patch is back
    assert [each.due_s for each in found[4:8]] == pytest.approx([n * N / 130 for n in (5, 6, 10, 11)])


def test_the_last_packet_before_a_reset_is_of_the_time_before_it() -> None:
    for profile, made in PATCHES.items():
        plan = FaultPlan(fault=(Fault(kind="reset", at_s=1.0, for_s=2.0),))
        patch, usual = made(plan), made(NO_FAULTS)
        listen_to(patch)
        listen_to(usual)
        samples = np.arange(2000)
        reset, whole = EmulatedSensor(patch, samples, plan), EmulatedSensor(usual, samples)
        while True:
            packet, expected = reset.next_packet(247), whole.next_packet(247)
            assert (packet.due_s, packet.sends) == (expected.due_s, expected.sends), profile
            if packet.after == "disconnect":
                break
        assert not patch.measuring


def test_what_was_held_back_does_not_come_over_the_next_link() -> None:
    plan = FaultPlan(fault=(Fault(kind="reorder", at_s=at(5)), Fault(kind="disconnect", at_s=at(5))))
    sensor = EmulatedSensor(H10(), np.arange(FRAMES * N) % 20_000, plan)
    found = [sensor.next_packet(232) for _ in range(6)]
    assert found[5].after == "disconnect"
    sensor.begin()
    assert firsts([*found, sensor.next_packet(232)])[4:] == [[4], [], [6]]


@pytest.mark.parametrize("mtu", [23, 247])
def test_an_edgemi_patch_tells_its_status_at_least_once_a_minute(mtu: int) -> None:
    patch = PATCHES["edgemi"](NO_FAULTS)
    listen_to(patch)
    plan = FaultPlan(fault=(Fault(kind="contact", at_s=70.0),))
    sensor = EmulatedSensor(patch, np.arange(1000), plan, repeat=True)
    told_s = [0.0]
    while sensor.made < 200 * patch.rate_hz:
        packet = sensor.next_packet(mtu)
        for send in packet.sends:
            if send.characteristic == edge_mi_packet.CONTROL:
                assert send.data == edge_mi_packet.encode_status(87, told_s[-1] < 50)
                told_s.append(packet.due_s)
    # one for each minute, and counted from the one that told a change
    assert told_s == pytest.approx([0, 60, 70, 130, 190], abs=0.3 * len(told_s))
    assert max(np.diff(told_s)) <= 60


@pytest.mark.parametrize("profile", sorted(PATCHES.keys() - {"edgemi"}))
def test_other_patches_tell_changes_only(profile: str) -> None:
    patch = PATCHES[profile](NO_FAULTS)
    listen_to(patch)
    sensor = EmulatedSensor(patch, np.arange(1000), repeat=True)
    while sensor.made < 150 * patch.rate_hz:
        assert len({send.characteristic for send in sensor.next_packet(247).sends}) == 1


_SOON_S = st.floats(0, 20)
_FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(get_args(Kind)),
    at_s=_SOON_S,
    every_s=st.just(0.0) | st.floats(0.001, 20),
    packets=st.integers(1, 2**70),
    keep_bytes=st.none() | st.integers(0, 2**70),
    for_s=st.floats(1e-3, 86_400),
    by_s=st.floats(-1e10, 1e10).filter(bool),
    percent=st.integers(0, 100),
    on=st.booleans(),
)
_PLANS = st.builds(
    FaultPlan,
    mtu=st.integers(*MTU_LIMITS),
    careless=st.just(True),
    battery_percent=st.integers(0, 100),
    drift_ppm=st.floats(-500_000, 500_000),
    rate_ppm=st.floats(-500_000, 500_000),
    fault=st.lists(_FAULTS, max_size=6).map(tuple),
)


@pytest.mark.parametrize("profile", PATCHES)
@settings(deadline=None)
@given(plan=_PLANS, repeat=st.booleans(), data=st.data())
def test_any_plan_yields_packets_and_no_exception(
    profile: str, plan: FaultPlan, repeat: bool, data: st.DataObject
) -> None:
    patch = PATCHES[profile](plan)
    size = data.draw(st.integers(1, 1500), label="samples")
    sensor = EmulatedSensor(patch, np.arange(size) - size // 2, plan, repeat=repeat)
    due_s = 0.0
    for _ in range(data.draw(st.integers(1, 60), label="packets")):
        if not patch.measuring:
            listen_to(patch)
            sensor.begin()
            due_s = sensor.world_s  # a stall ends with its link
        packet = sensor.next_packet(plan.mtu)
        assert all(isinstance(each.data, bytes) for each in packet.sends)
        assert np.isfinite(packet.due_s)
        assert packet.due_s >= due_s
        due_s = packet.due_s
        if packet.after is None:
            assert patch.measuring
        elif packet.after == "disconnect":
            patch.parted()


def test_what_is_stalled_comes_later_all_at_once() -> None:
    due = [packet.due_s for packet in packets(Fault(kind="stall", at_s=at(5), for_s=5.0))]
    assert due[5] == due[6] == due[13] == pytest.approx(6 * N / 130 + 5)
    assert due[30] == pytest.approx(31 * N / 130)


def test_the_end_of_the_record_ends_the_measurement_or_begins_it_again() -> None:
    found = packets(frames=FRAMES + 1)
    assert found[-1].after == "end"
    assert firsts(packets(frames=FRAMES + 2, repeat=True))[-2:] == [[0], [1]]


@pytest.mark.parametrize("profile", PATCHES)
def test_behind_the_end_of_the_record_every_measurement_ends_at_once(profile: str) -> None:
    patch = PATCHES[profile](NO_FAULTS)
    sensor = EmulatedSensor(patch, np.arange(100), NO_FAULTS)
    listen_to(patch)
    while sensor.next_packet(247).after is None:
        pass
    for _ in range(3):
        listen_to(patch)
        sensor.begin()
        last = sensor.next_packet(247)
        assert (last.after, patch.measuring) == ("end", False)
        assert {each.characteristic for each in last.sends} <= {
            polar_pmd.CONTROL_POINT,
            edge_mi_packet.CONTROL,
        }


def test_a_stall_ends_with_its_link() -> None:
    sensor = EmulatedSensor(
        H10(), np.arange(FRAMES * N), FaultPlan(fault=(Fault(kind="stall", at_s=1, for_s=60),))
    )
    while sensor.next_packet(232).due_s < 60:
        pass
    sensor.begin()
    assert sensor.next_packet(232).due_s == sensor.world_s < 5


def test_time_that_passes_unheard_is_rounded_once_and_not_each_time() -> None:
    sensor = EmulatedSensor(EdgeMiPatch(), np.arange(100), FaultPlan(drift_ppm=10_000), repeat=True)
    for i in range(1, 10_001):
        sensor.live_until(i * 0.0011, alone=False)
    assert sensor.made == round(11 * 250 * 1.01)
    sensor.live_until(1.0, alone=False)  # it is there already
    assert sensor.made == round(11 * 250 * 1.01)


def test_only_time_without_a_link_counts_to_the_minute_after_which_an_edgemi_patch_stops() -> None:
    patch = EdgeMiPatch()
    listen_to(patch)
    sensor = EmulatedSensor(patch, np.arange(100), repeat=True)
    patch.parted()
    sensor.live_until(59, alone=True)
    sensor.live_until(500, alone=False)
    assert patch.measurement == 1
    sensor.live_until(502, alone=True)
    assert patch.measurement == 0


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
