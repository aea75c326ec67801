"""Movesense: the bytes of its protocol, and the dialogue that starts its ECG and joins what it had to split."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from itertools import permutations

import numpy as np
import pytest
from edge_mi.firmware_bridge import movesense_gsp as gsp
from edge_mi.firmware_bridge.battery import BATTERY_LEVEL
from edge_mi.firmware_bridge.frames import Frame
from edge_mi.firmware_bridge.integrity import open_stream
from edge_mi.firmware_bridge.movesense_session import (
    PREFERRED_RATES_HZ,
    MovesenseSession,
    format_at,
    reference_of,
)
from edge_mi.firmware_bridge.profile import Wishes
from edge_mi.firmware_bridge.session import BadFrame, Battery, Message, Refused, Started, Write
from edge_mi.firmware_bridge.statistics import StreamStatistics
from hypothesis import given
from hypothesis import strategies as st

from edge_mi.errors import ConfigError, FrameError
from edge_mi.samples import Chunk

REFERENCE = reference_of(128)
OTHER = reference_of(250)
LONG = range(40)  # samples that need two notifications

codes_24 = st.integers(-(2**23), 2**23 - 1)


def session(rate_hz: int | None = 128) -> MovesenseSession:
    made = MovesenseSession(Wishes(rate_hz=rate_hz))
    made.begin()
    return made


def started(rate_hz: int = 128) -> MovesenseSession:
    made = session(rate_hz)
    assert answered(made, 200) == [Started(format_at(rate_hz))]
    return made


def answered(made: MovesenseSession, status: int, *, big_endian: bool = False) -> list[Message]:
    answer = gsp.encode_answer(reference_of(made.rate_hz), status, big_endian=big_endian)
    return list(made.receive(gsp.DATA, answer))


def heard(made: MovesenseSession, *notifications: bytes) -> list[Message]:
    return [message for data in notifications for message in made.receive(gsp.DATA, data)]


# bytes


def test_a_frame_byte_by_byte() -> None:
    data = bytes.fromhex("02 66 01020304 01000000 ffffffff 00008000 a60a0000 ffff7f00 000080ff")
    part = gsp.decode_notification(data[:14] + data[18:])
    assert isinstance(part, gsp.Part)
    assert (part.reference, part.second, part.awaits_second) == (0x66, False, False)
    frame = gsp.decode_ecg(part.body)
    assert frame.codes.dtype == np.int32
    assert frame.codes.tolist() == [1, -1, 2726, 2**23 - 1, -(2**23)]
    assert frame.stamp_ns == 0x04030201 * 10**6


def test_a_frame_of_known_firmware_has_70_bytes_and_fits_the_mtu_that_is_asked_for() -> None:
    (data,) = gsp.encode_ecg(0x66, 5, np.arange(gsp.SAMPLES_PER_FRAME))
    assert data[:10].hex() == "02660500000000000000"
    assert len(data) == 70
    assert len(data) + 3 == gsp.NEEDED_MTU == 73


def test_commands_byte_by_byte() -> None:
    assert gsp.encode_subscribe(0x64, gsp.ecg_path(128)) == b"\x01\x64/Meas/ECG/128"
    assert gsp.encode_unsubscribe(0x64) == b"\x02\x64"
    assert gsp.decode_command(b"\x00\x07") == gsp.Request(gsp.Command.HELLO, 7)


@given(st.integers(1, 255), st.sampled_from(gsp.RATES_HZ))
def test_commands_survive_a_round_trip(reference: int, rate_hz: int) -> None:
    path = gsp.ecg_path(rate_hz)
    subscribe, unsubscribe = gsp.encode_subscribe(reference, path), gsp.encode_unsubscribe(reference)
    assert gsp.decode_command(subscribe) == gsp.Request(gsp.Command.SUBSCRIBE, reference, path)
    assert gsp.decode_command(unsubscribe) == gsp.Request(gsp.Command.UNSUBSCRIBE, reference)


@given(st.integers(0, 2**40), st.lists(codes_24, min_size=1, max_size=gsp.SAMPLES_MOST))
def test_frames_survive_a_round_trip_in_one_notification_or_in_two(stamp_ms: int, codes: list[int]) -> None:
    parts = [gsp.decode_notification(data) for data in gsp.encode_ecg(9, stamp_ms, codes)]
    bodies = [part.body for part in parts if isinstance(part, gsp.Part)]
    assert len(bodies) == len(parts) == (1 if len(codes) <= 36 else 2)
    frame = gsp.decode_ecg(b"".join(bodies))
    assert frame.codes.tolist() == codes
    assert frame.stamp_ns == stamp_ms % 2**32 * 10**6


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("status", list(gsp.Status))
def test_every_known_status_is_read_in_either_order_of_its_bytes(status: int, big_endian: bool) -> None:
    answer = gsp.encode_answer(3, status, big_endian=big_endian)
    assert gsp.decode_notification(answer) == gsp.Answer(3, status)


def test_answers_byte_by_byte() -> None:
    assert gsp.decode_notification(bytes.fromhex("0166c800")) == gsp.Answer(0x66, 200)
    assert gsp.decode_notification(bytes.fromhex("016601fb")) == gsp.Answer(0x66, 507)
    assert gsp.decode_notification(bytes.fromhex("0166f50199")) == gsp.Answer(0x66, 501)
    assert gsp.decode_notification(bytes.fromhex("0166cc00")) == gsp.Answer(0x66, 204)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"\x02\x66", "2 bytes"),
        (b"\x01\x66\xc8", "without a status"),
        (b"\x00\x66\x00", "kind 0"),
        (b"\x04\x66\x00", "kind 4"),
    ],
)
def test_what_is_no_notification_is_named(data: bytes, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        gsp.decode_notification(data)


@pytest.mark.parametrize("sample_bytes", [0, 1, 2, 3, 6, 62])
def test_samples_that_are_not_whole_are_no_frame(sample_bytes: int) -> None:
    with pytest.raises(FrameError, match="cut on its way, or is none of the ECG in codes"):
        gsp.decode_ecg(bytes(4 + sample_bytes))


def test_millivolts_in_float_are_no_codes() -> None:
    with pytest.raises(FrameError, match="24 bits"):
        gsp.decode_ecg(struct.pack("<I3f", 0, 0.1, -0.5, 1.2))


@pytest.mark.parametrize("codes", [[], [2**23], [-(2**23) - 1], [1.5], range(75)])
def test_what_no_frame_can_hold_is_refused(codes: list[float]) -> None:
    with pytest.raises(ConfigError):
        gsp.encode_ecg(1, 0, np.array(codes))


@pytest.mark.parametrize("reference", [0, 256, -1])
def test_a_reference_is_a_byte_and_not_zero(reference: int) -> None:
    for encode in (
        lambda: gsp.encode_unsubscribe(reference),
        lambda: gsp.encode_subscribe(reference, "/Meas/ECG/128"),
        lambda: gsp.encode_answer(reference, 200),
        lambda: gsp.encode_ecg(reference, 0, [1]),
    ):
        with pytest.raises(ConfigError, match="1 to 255"):
            encode()


@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\x01\x00/Meas", b"\x09\x01", b"\x01\x01", b"\x02\x01a", b"\x01\x01\xff"]
)
def test_what_is_no_command_is_a_frame_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        gsp.decode_command(data)


@pytest.mark.parametrize("decode", [gsp.decode_notification, gsp.decode_command, gsp.decode_ecg])
@given(data=st.binary(max_size=300) | st.integers(0, 300).map(bytes))
def test_any_bytes_are_read_or_are_a_frame_error(decode: Callable[[bytes], object], data: bytes) -> None:
    with suppress(FrameError):
        decode(data)


# dialogue


def test_it_subscribes_to_the_rate_that_is_wished_and_starts_when_that_is_accepted() -> None:
    made = MovesenseSession(Wishes(rate_hz=250))
    assert made.begin() == [Write(gsp.COMMAND, b"\x01" + bytes([OTHER]) + b"/Meas/ECG/250")]
    assert answered(made, 200) == [Started(format_at(250))]


def test_the_format_is_that_of_the_maker() -> None:
    layout = format_at(128)
    assert layout.codes_per_mv == pytest.approx(1 / 0.38147e-3, rel=1e-5)
    assert (layout.rate_hz, layout.bits, layout.grade, layout.stamped) == (128, 24, "stamp", "first")
    assert layout.stamp_modulus_ns == 2**32 * 10**6


def test_every_rate_has_its_own_reference_and_none_is_zero() -> None:
    references = {reference_of(rate_hz) for rate_hz in gsp.RATES_HZ}
    assert len(references) == len(gsp.RATES_HZ) == 7
    assert min(references) > 0


def test_a_rate_that_no_sensor_has_is_refused_before_the_first_byte() -> None:
    with pytest.raises(ConfigError, match=r"125, 128, 200, 250, 256, 500 or 512 Hz, found 100"):
        MovesenseSession(Wishes(rate_hz=100))


@pytest.mark.parametrize("big_endian", [False, True])
def test_without_a_wish_the_next_rate_is_tried_until_none_is_left(big_endian: bool) -> None:
    made = session(None)
    asked = [made.rate_hz]
    for _ in PREFERRED_RATES_HZ[1:]:
        (write,) = answered(made, 501, big_endian=big_endian)
        asked.append(made.rate_hz)
        assert write == Write(
            gsp.COMMAND, gsp.encode_subscribe(reference_of(asked[-1]), gsp.ecg_path(asked[-1]))
        )
    assert tuple(asked) == PREFERRED_RATES_HZ
    (refused,) = answered(made, 501, big_endian=big_endian)
    assert refused == Refused(
        "it does not have 128, 125 or 200 Hz: ask for another rate, 250, 256, 500 or 512 Hz"
    )


def test_a_sensor_with_125_hz_starts_with_125_hz() -> None:
    made = session(None)
    answered(made, 501)
    assert answered(made, 201) == [Started(format_at(125))]


def test_a_wish_is_not_replaced_by_another_rate() -> None:
    (refused,) = answered(session(512), 501)
    assert refused == Refused(
        "it does not have 512 Hz: ask for another rate, 125, 128, 200, 250, 256 or 500 Hz"
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "update its firmware"),
        (403, "does not allow"),
        (404, "no ECG"),
        (409, "close other apps"),
        (500, "wear it again"),
        (503, "close other apps"),
        (507, "no room"),
        (418, "status 418, which is not documented"),
        (0, "status 0, which is not documented"),
        (51200 + 1, "not documented"),
    ],
)
def test_refusals_are_said_in_words(status: int, words: str) -> None:
    (refused,) = answered(session(), status)
    assert isinstance(refused, Refused)
    assert words in refused.reason


def test_a_frame_shows_that_a_silent_sensor_started() -> None:
    made = session()
    first, second = gsp.encode_ecg(REFERENCE, 0, [1]), gsp.encode_ecg(REFERENCE, 8, [2])
    began, *frames = heard(made, *first, *second)
    assert began == Started(format_at(128))
    assert [each.codes.tolist() for each in frames if isinstance(each, Frame)] == [[1], [2]]


def test_a_late_or_second_answer_changes_nothing() -> None:
    made = started()
    assert answered(made, 501) == []
    assert answered(made, 200) == []


def test_nothing_is_measured_after_a_refusal() -> None:
    made = session()
    answered(made, 507)
    (bad,) = heard(made, *gsp.encode_ecg(REFERENCE, 0, [1]))
    assert isinstance(bad, BadFrame)
    assert answered(made, 200) == []


@pytest.mark.parametrize("data", [gsp.encode_answer(OTHER, 200), gsp.encode_ecg(OTHER, 0, [1])[0]])
def test_what_another_stream_sends_is_a_bad_frame(data: bytes) -> None:
    (bad,) = heard(session(), data)
    assert isinstance(bad, BadFrame)
    assert f"reference {OTHER}; {REFERENCE} was subscribed" in bad.reason


def test_stamps_are_handed_on_as_they_come_and_the_stream_sees_through_their_wrap() -> None:
    made, stream = started(), open_stream(format_at(128), StreamStatistics())
    stamps_ms = [2**32 - 250, 2**32 - 125, 2**32, 2**32 + 125]
    frames = [heard(made, *gsp.encode_ecg(REFERENCE, stamp_ms, range(16)))[0] for stamp_ms in stamps_ms]
    assert [frame.stamp_ns for frame in frames if isinstance(frame, Frame)] == [
        stamp_ms % 2**32 * 10**6 for stamp_ms in stamps_ms
    ]
    items = [item for frame in frames if isinstance(frame, Frame) for item in stream.push(frame, 0.0)]
    assert len(items) == 4
    assert all(isinstance(item, Chunk) for item in items)


# frames in two parts

FIRST_1, SECOND_1 = gsp.encode_ecg(REFERENCE, 1, LONG)
FIRST_2, SECOND_2 = gsp.encode_ecg(REFERENCE, 2, LONG)
(WHOLE,) = gsp.encode_ecg(REFERENCE, 3, [7])


@pytest.mark.parametrize(
    ("arriving", "shown"),
    [
        ([FIRST_1, SECOND_1, FIRST_2, SECOND_2], [1, 2]),
        ([FIRST_1], []),
        ([SECOND_1], ["first part did not come"]),
        ([SECOND_1, FIRST_1], ["first part did not come"]),
        ([SECOND_1, FIRST_2, SECOND_2], ["first part did not come", 2]),
        ([FIRST_1, FIRST_2, SECOND_2], ["second part did not come", 2]),
        ([FIRST_1, SECOND_1, SECOND_1], [1, "first part did not come"]),
        ([FIRST_1, FIRST_1, SECOND_1], ["second part did not come", 1]),
        ([FIRST_1, WHOLE], ["second part did not come", 3]),
        ([FIRST_1, WHOLE, SECOND_1], ["second part did not come", 3, "first part did not come"]),
        ([FIRST_1, SECOND_1[:-1], FIRST_2, SECOND_2], ["whole samples", 2]),
        ([FIRST_1[:-1], SECOND_1], ["whole samples", "first part did not come"]),
        ([FIRST_1, b"\x03" + bytes([OTHER]) + SECOND_1[2:], SECOND_1], ["reference", 1]),
        ([FIRST_1, gsp.encode_answer(REFERENCE, 200), SECOND_1], [1]),
    ],
)
def test_two_parts_are_joined_and_a_lost_one_is_said(arriving: list[bytes], shown: list[int | str]) -> None:
    messages = heard(started(), *arriving)
    assert len(messages) == len(shown)
    for message, expected in zip(messages, shown, strict=True):
        if isinstance(expected, int):
            assert isinstance(message, Frame)
            assert message.stamp_ns == expected * 10**6
            assert len(message.codes) == (1 if expected == 3 else len(LONG))
        else:
            assert isinstance(message, BadFrame)
            assert expected in message.reason


@pytest.mark.parametrize("count", range(1, 6))
def test_in_whatever_order_parts_come_each_is_in_a_frame_or_counted_or_awaited(count: int) -> None:
    for arriving in permutations([FIRST_1, SECOND_1, FIRST_2, SECOND_2, WHOLE], count):
        messages = heard(started(), *arriving)
        joined = sum(isinstance(message, Frame) and len(message.codes) > 1 for message in messages)
        whole = sum(isinstance(message, Frame) and len(message.codes) == 1 for message in messages)
        bad = sum(isinstance(message, BadFrame) for message in messages)
        awaited = arriving[-1] in (FIRST_1, FIRST_2)
        assert 2 * joined + whole + bad + awaited == count


def test_a_split_frame_starts_a_silent_sensor_too() -> None:
    assert heard(session(), FIRST_1) == []
    began, frame = heard(session(), FIRST_1, SECOND_1)
    assert began == Started(format_at(128))
    assert isinstance(frame, Frame)


# the rest


def test_battery_and_other_characteristics() -> None:
    made = session()
    assert made.receive(BATTERY_LEVEL, b"\x57") == [Battery(87)]
    assert isinstance(made.receive(BATTERY_LEVEL, b"\xff")[0], BadFrame)
    assert made.receive("another", b"\x02") == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([gsp.DATA, gsp.DATA, gsp.COMMAND, BATTERY_LEVEL]),
            st.sampled_from(
                [
                    b"",
                    b"\x01" + bytes([REFERENCE]),
                    b"\x02" + bytes([REFERENCE]),
                    b"\x03" + bytes([REFERENCE]),
                ]
            ),
            st.binary(max_size=300) | st.just(bytes(gsp.FIRST_PART_BYTES)),
        )
    )
)
def test_no_bytes_from_the_air_raise(arriving: list[tuple[str, bytes, bytes]]) -> None:
    made = session()
    for characteristic, head, rest in arriving:
        made.receive(characteristic, head + rest)
    assert len(made.end()) == 1


@pytest.mark.parametrize("kind", range(5))
def test_a_notification_of_any_length_is_a_frame_only_where_it_holds_whole_samples(kind: int) -> None:
    for length in range(301):
        data = (bytes([kind, REFERENCE]) + bytes(length))[:length]
        frames = [message for message in heard(started(), data) if isinstance(message, Frame)]
        whole = kind == gsp.Response.DATA and length >= 10 and (length - 6) % 4 == 0
        assert [len(frame.codes) for frame in frames] == ([(length - 6) // 4] if whole else [])


def test_it_unsubscribes_what_it_subscribed() -> None:
    made = session(None)
    assert made.end() == [Write(gsp.COMMAND, bytes([2, reference_of(128)]))]
    answered(made, 501)
    assert made.end() == [Write(gsp.COMMAND, bytes([2, reference_of(125)]))]
