"""The dialogue with an EdgeMI Patch: started, gone on with, refused, ended, and no bytes that upset it."""

from __future__ import annotations

import pytest
from c_packets import with_crc
from edge_mi.firmware_bridge import edge_mi_packet as emp
from edge_mi.firmware_bridge.battery import BATTERY_LEVEL
from edge_mi.firmware_bridge.edge_mi_packet import CONTROL, DATA, Info, Op, Status, StopReason
from edge_mi.firmware_bridge.edge_mi_session import PROFILE, EdgeMiSession, describe
from edge_mi.firmware_bridge.frames import Frame, StreamFormat
from edge_mi.firmware_bridge.profile import Wishes
from edge_mi.firmware_bridge.session import (
    BadFrame,
    Battery,
    Contact,
    Ended,
    Message,
    Refused,
    Started,
    Write,
)
from hypothesis import given
from hypothesis import strategies as st

from edge_mi.errors import ConfigError

FORMAT = StreamFormat(
    rate_hz=249.5,
    codes_per_mv=1234.567,
    bits=16,
    counted=True,
    stamped="first",
    stamp_modulus_ns=2**32 * 1000,
    lead="I",
)
INFO = Info(7, "I", 16, 249_500, 1_234_567)
STOP = Write(CONTROL, emp.encode_stop())


def ok(info: Info = INFO, op: Op = Op.START) -> bytes:
    return emp.encode_answer(op, Status.OK, info)


def data(codes: list[int], *, measurement: int = 7, contact: bool | None = None, **others: int) -> bytes:
    arguments = {"counter": 0, "clock_us": 0, **others}
    return emp.encode_data(codes, measurement=measurement, contact=contact, **arguments)  # type: ignore[arg-type]


def started(wishes: Wishes | None = None, resume: int = 0) -> EdgeMiSession:
    session = EdgeMiSession(wishes or Wishes(), resume)
    assert session.receive(CONTROL, ok()) == [Started(FORMAT)]
    return session


def reason(messages: object) -> str:
    (message,) = messages  # type: ignore[misc]
    assert isinstance(message, BadFrame)
    return message.reason


@pytest.mark.parametrize(
    ("rate_hz", "resume", "command"),
    [(None, 0, emp.encode_start()), (500, 0, emp.encode_start(500)), (None, 7, emp.encode_start(0, 7))],
)
def test_it_asks_for_what_was_wished(rate_hz: int | None, resume: int, command: bytes) -> None:
    assert EdgeMiSession(Wishes(rate_hz=rate_hz), resume).begin() == [Write(CONTROL, command)]


@pytest.mark.parametrize(("rate_hz", "resume"), [(0, 0), (65536, 0), (-1, 0), (None, 256), (None, -1)])
def test_what_no_command_can_hold_is_refused_before_anything_is_sent(
    rate_hz: int | None, resume: int
) -> None:
    with pytest.raises(ConfigError):
        EdgeMiSession(Wishes(rate_hz=rate_hz), resume)


def test_the_answer_says_how_to_read_what_follows() -> None:
    session = EdgeMiSession(Wishes())
    assert session.measurement == 0
    told = ok(Info(9, None, 24, 500_000, 2_000_000, 55))
    wide = StreamFormat(
        rate_hz=500.0,
        codes_per_mv=2000.0,
        bits=24,
        counted=True,
        stamped="first",
        stamp_modulus_ns=2**32 * 1000,
    )
    assert session.receive(CONTROL, told) == [Started(wide), Battery(55)]
    assert session.measurement == 9
    assert wide.grade == "counter"


def test_frames_carry_counter_stamp_and_measurement() -> None:
    (frame,) = started().receive(DATA, data([1, -2, 3], counter=2**32 - 1, clock_us=2**32 - 1))
    assert isinstance(frame, Frame)
    assert frame.codes.tolist() == [1, -2, 3]
    assert (frame.counter, frame.stamp_ns, frame.measurement) == (2**32 - 1, (2**32 - 1) * 1000, 7)


def test_contact_is_told_before_the_samples_and_when_it_changes() -> None:
    session = started()
    seen = [
        [
            type(message) if isinstance(message, Frame) else message
            for message in session.receive(DATA, packet)
        ]
        for packet in (
            data([0]),
            data([0], contact=True),
            data([0], contact=True),
            data([0]),
            data([0], contact=False),
            data([0], contact=True),
        )
    ]
    assert seen == [
        [Frame], [Contact(True), Frame], [Frame], [Contact(None), Frame], [Contact(False), Frame], [Contact(True), Frame]
    ]  # fmt: skip


def test_a_status_tells_battery_and_changed_contact() -> None:
    session = EdgeMiSession(Wishes())
    assert session.receive(CONTROL, emp.encode_status(80, True)) == [Battery(80), Contact(True)]
    assert session.receive(CONTROL, emp.encode_status(79, True)) == [Battery(79)]
    assert session.receive(CONTROL, emp.encode_status(None, False)) == [Contact(False)]
    assert session.receive(CONTROL, emp.encode_status(None, None)) == [Contact(None)]
    assert session.receive(BATTERY_LEVEL, b"\x57") == [Battery(87)]


def test_a_lost_link_is_gone_on_with() -> None:
    before = started()
    after = EdgeMiSession(Wishes(), resume=before.measurement)
    assert after.begin() == [Write(CONTROL, emp.encode_start(0, 7))]
    assert after.measurement == 7  # should this link be lost too, before an answer
    assert after.receive(CONTROL, ok()) == [Started(FORMAT)]
    (frame,) = after.receive(DATA, data([1], counter=99))
    assert isinstance(frame, Frame)
    assert (frame.counter, frame.measurement) == (99, 7)


def test_a_patch_that_did_not_wait_begins_another_measurement() -> None:
    session = EdgeMiSession(Wishes(), resume=6)
    assert session.receive(CONTROL, ok()) == [Started(FORMAT)]
    assert session.measurement == 7
    (frame,) = session.receive(DATA, data([1]))
    assert isinstance(frame, Frame)
    assert frame.measurement == 7


@pytest.mark.parametrize("resume", [0, 7])
def test_data_before_the_answer_are_bad_frames(resume: int) -> None:
    session = EdgeMiSession(Wishes(), resume)
    assert "before the patch answered" in reason(session.receive(DATA, data([1], contact=True)))
    session.end()
    assert "before the patch answered" in reason(session.receive(DATA, data([1])))


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (data([1], measurement=8), "measurement 8; 7 was started"),
        (
            emp.encode_data([1], measurement=7, counter=0, clock_us=0, bits=24),
            "24 bits; the patch announced 16",
        ),
        (data([1])[:-1], "expected 14 to 512"),
        (data([1, 2])[:-2], "checksum"),
        (b"", "0 bytes"),
    ],
)
def test_data_that_do_not_belong_to_the_measurement_are_bad_frames(packet: bytes, words: str) -> None:
    session = started()
    assert words in reason(session.receive(DATA, packet))
    assert len(session.receive(DATA, data([1]))) == 1


@pytest.mark.parametrize("status", [*[s for s in Status if s is not Status.OK], 77])
def test_every_refusal_is_said_in_words(status: int) -> None:
    session = EdgeMiSession(Wishes())
    assert session.receive(CONTROL, emp.encode_answer(Op.START, status)) == [Refused(describe(status))]
    assert session.receive(CONTROL, ok()) == []
    assert "before the patch answered" in reason(session.receive(DATA, data([1])))


def test_refusals_say_what_helps() -> None:
    assert "another one" in describe(Status.RATE_NOT_SUPPORTED)
    assert "pair" in describe(Status.ENCRYPTION_NEEDED)
    assert "status 77" in describe(77)


@pytest.mark.parametrize(
    ("rate_hz", "taken"), [(250, True), (254, True), (245, True), (256, False), (200, False)]
)
def test_a_rate_that_is_not_the_one_wished_is_refused(rate_hz: int, taken: bool) -> None:
    session = EdgeMiSession(Wishes(rate_hz=rate_hz))
    (message,) = session.receive(CONTROL, ok())
    assert isinstance(message, Started if taken else Refused)
    if isinstance(message, Refused):
        assert "249.5 Hz" in message.reason
        assert f"{rate_hz} Hz" in message.reason


def test_a_patch_of_another_version_is_refused_and_not_read() -> None:
    later = emp.encode_answer(Op.START, Status.OK, INFO)[:-2].replace(b"\x81\x00\x01", b"\x81\x00\x02")
    session = EdgeMiSession(Wishes())
    (message,) = session.receive(CONTROL, with_crc(later))
    assert isinstance(message, Refused)
    assert "version 2" in message.reason
    assert session.receive(CONTROL, ok()) == []


def test_an_answer_that_cannot_be_read_is_a_bad_frame_and_the_next_one_counts() -> None:
    session = EdgeMiSession(Wishes())
    assert "checksum" in reason(session.receive(CONTROL, ok()[:-1] + b"\x00"))
    assert session.receive(CONTROL, ok()) == [Started(FORMAT)]


def test_answers_to_other_commands_start_nothing() -> None:
    session = EdgeMiSession(Wishes())
    assert session.receive(CONTROL, ok(op=Op.DESCRIBE)) == []
    assert session.receive(CONTROL, emp.encode_answer(Op.STOP)) == []
    assert session.receive("another", ok()) == []
    assert session.receive(CONTROL, ok()) == [Started(FORMAT)]
    assert session.receive(CONTROL, ok()) == []


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (StopReason.COMMANDED, ""),
        (StopReason.BATTERY, "its battery is empty"),
        (StopReason.ELECTRODES, "its electrodes are off"),
        (StopReason.FAULT, "it has a fault"),
        (9, ""),
    ],
)
def test_the_patch_may_stop_by_itself_and_says_why(why: int, words: str) -> None:
    session = started()
    assert session.receive(CONTROL, emp.encode_stopped(why)) == [Ended(words)]
    assert session.receive(CONTROL, emp.encode_stopped(why)) == []
    assert session.measurement == 0
    assert "after the measurement ended" in reason(session.receive(DATA, data([1])))


def test_a_stop_that_is_no_longer_ours_does_not_end_what_was_asked_for() -> None:
    session = EdgeMiSession(Wishes(), resume=3)
    assert session.receive(CONTROL, emp.encode_stopped(StopReason.BATTERY)) == []
    assert session.receive(CONTROL, ok()) == [Started(FORMAT)]


@pytest.mark.parametrize(
    "farewell",
    [
        [emp.encode_answer(Op.STOP), emp.encode_stopped(StopReason.COMMANDED)],
        [emp.encode_stopped(StopReason.COMMANDED), emp.encode_answer(Op.STOP)],
        [emp.encode_answer(Op.STOP, Status.NOT_MEASURING)],
    ],
)
def test_what_was_on_its_way_still_counts_after_our_stop(farewell: list[bytes]) -> None:
    session = started()
    assert session.end() == [STOP]
    (frame,) = session.receive(DATA, data([1]))
    assert isinstance(frame, Frame)
    assert [message for packet in farewell for message in session.receive(CONTROL, packet)] == []
    assert session.measurement == 0
    assert session.end() == [STOP]
    assert "after the measurement ended" in reason(session.receive(DATA, data([1])))
    assert session.receive(CONTROL, ok()) == []


@pytest.mark.parametrize("late", [ok(), ok(op=Op.DESCRIBE), emp.encode_answer(Op.DESCRIBE, Status.BAD_CRC)])
def test_only_the_answer_to_our_stop_is_taken_for_it(late: bytes) -> None:
    session = started()
    session.end()
    assert session.receive(CONTROL, late) == []
    assert session.measurement == 7
    assert len(session.receive(DATA, data([1]))) == 1


def test_it_is_found_by_its_name_and_wants_an_encrypted_link() -> None:
    assert PROFILE.is_named("EdgeMI 0042")
    assert not PROFILE.is_named("Edge")
    assert PROFILE.encrypted
    assert (PROFILE.subscribe, PROFILE.needed_mtu) == ((CONTROL, DATA), 23)
    assert PROFILE.session(Wishes()).begin() == [Write(CONTROL, emp.encode_start())]


control_packets = st.one_of(
    st.builds(emp.encode_stopped, st.integers(0, 255)),
    st.builds(emp.encode_status, st.none() | st.integers(0, 100), st.sampled_from([None, True, False])),
    st.builds(emp.encode_answer, st.integers(0, 127), st.integers(1, 255)),
    st.sampled_from([ok(), ok(), ok(op=Op.DESCRIBE), emp.encode_answer(Op.STOP)]),
    st.binary(max_size=24),
)
data_packets = st.one_of(
    st.sampled_from([data([1]), data([1], contact=True), data([1], measurement=8)]), st.binary()
)
heard_packets = st.one_of(
    st.tuples(st.just(CONTROL), control_packets),
    st.tuples(st.just(DATA), data_packets),
    st.tuples(st.just(BATTERY_LEVEL), st.binary(max_size=2)),
    st.just(("end", b"")),
)


@given(st.lists(heard_packets, max_size=30), st.sampled_from([0, 7]))
def test_whatever_is_heard_frames_lie_between_one_start_and_the_end(
    heard: list[tuple[str, bytes]], resume: int
) -> None:
    session = EdgeMiSession(Wishes(), resume)
    said: list[Message] = []
    for characteristic, packet in heard:
        said += session.end() if characteristic == "end" else session.receive(characteristic, packet)
    kinds = [type(message) for message in said]
    assert kinds.count(Started) + kinds.count(Refused) <= 1
    frames = [i for i, kind in enumerate(kinds) if kind is Frame]
    if frames:
        assert kinds.index(Started) < frames[0]
        assert Ended not in kinds[: frames[-1]]
    if Ended in kinds:
        assert kinds.index(Started) < kinds.index(Ended)
