"""The dialogue that starts an H10, whatever state it was left in."""

from __future__ import annotations

import pytest
from edge_mi.firmware_bridge.battery import BATTERY_LEVEL
from edge_mi.firmware_bridge.frames import Frame
from edge_mi.firmware_bridge.polar_h10 import FORMAT, PROFILE, H10Session, describe
from edge_mi.firmware_bridge.polar_pmd import (
    CONTROL_POINT,
    DATA,
    START_ECG,
    STOP_ECG,
    Op,
    Status,
    encode_answer,
    encode_device_stopped,
    encode_ecg_frame,
)
from edge_mi.firmware_bridge.profile import Wishes
from edge_mi.firmware_bridge.session import BadFrame, Battery, Ended, Message, Refused, Started, Write
from hypothesis import given
from hypothesis import strategies as st

from edge_mi.errors import ConfigError

START, STOP = Write(CONTROL_POINT, START_ECG), Write(CONTROL_POINT, STOP_ECG)


def answered(session: H10Session, op: int, status: int) -> list[Message]:
    return list(session.receive(CONTROL_POINT, encode_answer(op, status)))


def session() -> H10Session:
    made = H10Session(Wishes())
    assert made.begin() == [START]
    return made


def test_a_rested_device_starts_at_once() -> None:
    assert answered(session(), Op.START, Status.SUCCESS) == [Started(FORMAT)]


@pytest.mark.parametrize("stopped", [Status.SUCCESS, Status.ALREADY_IN_STATE])
def test_a_device_that_was_left_streaming_is_stopped_and_started(stopped: Status) -> None:
    begun = session()
    assert answered(begun, Op.START, Status.ALREADY_IN_STATE) == [STOP]
    assert answered(begun, Op.STOP, stopped) == [START]
    assert answered(begun, Op.START, Status.SUCCESS) == [Started(FORMAT)]


def test_a_device_that_stays_in_its_state_is_given_up() -> None:
    begun = session()
    answered(begun, Op.START, Status.ALREADY_IN_STATE)
    answered(begun, Op.STOP, Status.SUCCESS)
    assert answered(begun, Op.START, Status.ALREADY_IN_STATE) == [Refused("already in state")]


@pytest.mark.parametrize(
    "status", [s for s in Status if s not in (Status.SUCCESS, Status.ALREADY_IN_STATE)] + [77]
)
def test_every_refusal_is_said_in_words(status: int) -> None:
    assert answered(session(), Op.START, status) == [Refused(describe(status))]


def test_refusals_say_what_to_do() -> None:
    assert "MTU of 232" in describe(Status.INVALID_MTU)
    assert "charger" in describe(Status.DEVICE_IN_CHARGER)
    assert describe(77) == "status 77, which is not documented"


def test_a_read_of_the_features_changes_nothing() -> None:
    begun = session()
    assert begun.receive(CONTROL_POINT, bytes.fromhex("0f05") + bytes(15)) == []
    assert answered(begun, Op.START, Status.SUCCESS) == [Started(FORMAT)]


def test_the_device_may_stop_by_itself() -> None:
    begun = session()
    answered(begun, Op.START, Status.SUCCESS)
    assert begun.receive(CONTROL_POINT, encode_device_stopped()) == [Ended()]


def test_a_late_answer_while_streaming_is_ignored() -> None:
    begun = session()
    answered(begun, Op.START, Status.SUCCESS)
    assert answered(begun, Op.START, Status.ALREADY_IN_STATE) == []


def test_frames_battery_and_what_is_neither() -> None:
    begun = session()
    (frame,) = begun.receive(DATA, encode_ecg_frame(5, [1, -2]))
    assert isinstance(frame, Frame)
    assert (frame.stamp_ns, frame.codes.tolist()) == (5, [1, -2])
    assert begun.receive(BATTERY_LEVEL, b"\x57") == [Battery(87)]
    assert isinstance(begun.receive(BATTERY_LEVEL, b"\xff")[0], BadFrame)
    assert isinstance(begun.receive(DATA, b"\x00")[0], BadFrame)
    assert begun.receive("another", b"\x00") == []


@given(st.lists(st.tuples(st.sampled_from([CONTROL_POINT, DATA, BATTERY_LEVEL]), st.binary(max_size=250))))
def test_no_bytes_from_the_air_raise(heard: list[tuple[str, bytes]]) -> None:
    begun = session()
    for characteristic, data in heard:
        begun.receive(characteristic, data)


def test_it_stops_before_it_leaves_and_takes_no_other_rate() -> None:
    assert session().end() == [STOP]
    assert PROFILE.is_named("polar h10 1234")
    assert not PROFILE.is_named("Polar H9 1234")
    with pytest.raises(ConfigError, match="130 Hz"):
        H10Session(Wishes(rate_hz=200))
