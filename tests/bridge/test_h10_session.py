"""The dialogue that starts an H10, whatever state it was left in."""

from __future__ import annotations

import pytest
from edge_mi.firmware_bridge.h10_session import H10Session, describe
from edge_mi.firmware_bridge.polar_pmd import (
    START_ECG,
    STOP_ECG,
    Op,
    Status,
    encode_answer,
    encode_device_stopped,
)

from edge_mi.errors import PatchError


def test_a_rested_device_starts_at_once() -> None:
    session = H10Session()
    assert session.on_control_point(encode_answer(Op.START, Status.SUCCESS)) is None
    assert session.state == "streaming"


@pytest.mark.parametrize("stopped", [Status.SUCCESS, Status.ALREADY_IN_STATE])
def test_a_device_that_was_left_streaming_is_stopped_and_started(stopped: Status) -> None:
    session = H10Session()
    assert session.on_control_point(encode_answer(Op.START, Status.ALREADY_IN_STATE)) == STOP_ECG
    assert session.on_control_point(encode_answer(Op.STOP, stopped)) == START_ECG
    assert session.on_control_point(encode_answer(Op.START, Status.SUCCESS)) is None
    assert session.state == "streaming"


def test_a_device_that_stays_in_its_state_is_given_up() -> None:
    session = H10Session()
    session.on_control_point(encode_answer(Op.START, Status.ALREADY_IN_STATE))
    session.on_control_point(encode_answer(Op.STOP, Status.SUCCESS))
    with pytest.raises(PatchError, match="already in state"):
        session.on_control_point(encode_answer(Op.START, Status.ALREADY_IN_STATE))


@pytest.mark.parametrize(
    "status", [s for s in Status if s not in (Status.SUCCESS, Status.ALREADY_IN_STATE)] + [77]
)
def test_every_refusal_is_an_error_in_words(status: int) -> None:
    with pytest.raises(PatchError, match="refuses to start its ECG"):
        H10Session().on_control_point(encode_answer(Op.START, status))


def test_refusals_say_what_to_do() -> None:
    assert "MTU of 232" in describe(Status.INVALID_MTU)
    assert "charger" in describe(Status.DEVICE_IN_CHARGER)
    assert describe(77) == "status 77, which is not documented"


def test_a_read_of_the_features_changes_nothing() -> None:
    session = H10Session()
    assert session.on_control_point(bytes.fromhex("0f05") + bytes(15)) is None
    assert session.state == "starting"


def test_the_device_may_stop_by_itself() -> None:
    session = H10Session()
    session.on_control_point(encode_answer(Op.START, Status.SUCCESS))
    session.on_control_point(encode_device_stopped())
    assert session.state == "stopped_by_device"


def test_a_late_answer_while_streaming_is_ignored() -> None:
    session = H10Session()
    session.on_control_point(encode_answer(Op.START, Status.SUCCESS))
    assert session.on_control_point(encode_answer(Op.START, Status.ALREADY_IN_STATE)) is None
    assert session.state == "streaming"
