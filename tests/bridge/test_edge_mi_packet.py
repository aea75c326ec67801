"""Packets of the EdgeMI Patch: the examples of the document, round trips, and no crash on any bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edge_mi.firmware_bridge import edge_mi_packet as emp
from hypothesis import given
from hypothesis import strategies as st

from edge_mi.errors import ConfigError, FrameError

DOCUMENT = (Path(__file__).parents[2] / "docs" / "patch-protocol.md").read_text(encoding="utf-8")
INFO = emp.Info(1, "I", 16, 250_000, 1_000_000, 87)

contacts = st.sampled_from([None, False, True])
batteries = st.none() | st.integers(0, 100)
words32 = st.integers(1, 2**32 - 1)


@st.composite
def infos(draw: st.DrawFn, least_measurement: int = 1) -> emp.Info:
    return emp.Info(
        measurement=draw(st.integers(least_measurement, 255)),
        lead=draw(st.sampled_from([None, *emp.LEADS])),
        bits=draw(st.sampled_from([16, 24])),
        rate_millihz=draw(words32),
        codes_per_v=draw(words32),
        battery_percent=draw(batteries),
    )


def bytes_in_document(what: str) -> bytes:
    found = re.search(rf"^\| {re.escape(what)} \| `([0-9a-f ]+)` \|$", DOCUMENT, re.MULTILINE)
    assert found is not None, what
    return bytes.fromhex(found[1])


def test_the_worked_example_of_the_document_is_a_packet() -> None:
    (dump,) = re.findall(r"^```\n([0-9a-f ]+)\n```$", DOCUMENT, re.MULTILINE)
    data = bytes.fromhex(dump)
    table = re.findall(r"^\| `([0-9a-f ]+)` \| (\w+) \| ([^|]+) \|$", DOCUMENT, re.MULTILINE)
    rows = table[: 1 + next(i for i, (_, field, _) in enumerate(table) if field == "checksum")]
    assert b"".join(bytes.fromhex(row) for row, _, _ in rows) == data
    said = [(field, value.split(",")[0].strip()) for _, field, value in rows]
    packet = emp.decode_data(data)
    assert said == [
        ("kind", "data"),
        ("measurement", str(packet.frame.measurement)),
        ("counter", str(packet.frame.counter)),
        ("clock_us", str((packet.frame.stamp_ns or 0) // 1000)),
        *[("sample", str(code)) for code in packet.frame.codes.tolist()],
        ("checksum", f"0x{int.from_bytes(data[-2:], 'little'):04x}"),
    ]
    assert (packet.bits, packet.contact) == (16, True)
    assert len(data) == 20


def test_the_other_examples_are_what_is_said_of_them() -> None:
    examples = {
        "START, 250 Hz, a new measurement": emp.Start(250, 0),
        "START, any rate, resume measurement 1": emp.Start(0, 1),
        "STOP": emp.Stop(),
        "DESCRIBE": emp.Describe(),
    }
    assert {what: emp.decode_command(bytes_in_document(what)) for what in examples} == examples
    said = "answer to START: measurement 1, lead I, 16 bits, 250 Hz, 1000 codes/mV, battery 87 %"
    indications = {
        said: emp.Answer(emp.Op.START, emp.Status.OK, INFO),
        "answer to START: rate not supported": emp.Answer(emp.Op.START, emp.Status.RATE_NOT_SUPPORTED),
        "answer to STOP": emp.Answer(emp.Op.STOP, emp.Status.OK),
        "STATUS: battery 87 %, contact off": emp.StatusEvent(87, False),
        "STOPPED: commanded": emp.StoppedEvent(emp.StopReason.COMMANDED),
    }
    assert {what: emp.decode_control(bytes_in_document(what)) for what in indications} == indications


def test_the_document_lists_what_the_code_knows() -> None:
    for uuid in (emp.SERVICE, emp.CONTROL, emp.DATA):
        assert f"| `{uuid}` |" in DOCUMENT
    for op in emp.Op:
        assert f"| {op.name} | {len(encoded(op))} | `{op:02x}`," in DOCUMENT
    table = DOCUMENT.partition("| status | meaning |")[2].partition("\n\n")[0]
    assert [int(row) for row in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == list(emp.Status)
    fits = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", DOCUMENT, re.MULTILINE)
    assert len(fits) == 4
    for mtu, narrow, wide in fits:
        assert emp.samples_that_fit(int(mtu), 16) == int(narrow)
        assert emp.samples_that_fit(int(mtu), 24) == int(wide)


def encoded(op: emp.Op) -> bytes:
    return {
        emp.Op.START: emp.encode_start(), emp.Op.STOP: emp.encode_stop(), emp.Op.DESCRIBE: emp.encode_describe()
    }[op]  # fmt: skip


def with_crc(text: str) -> bytes:
    """The bytes and their checksum, computed bit by bit as its definition says."""
    body = bytes.fromhex(text)
    crc = 0xFFFF
    for byte in body:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return body + crc.to_bytes(2, "little")


def test_the_checksum_is_ccitt_false() -> None:
    assert with_crc(b"123456789".hex())[-2:] == b"\xb1\x29"
    assert emp.encode_stop() == with_crc("02")


@given(
    st.sampled_from([16, 24]),
    st.data(),
    st.integers(1, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    contacts,
)
def test_data_survive_a_round_trip(
    bits: emp.Bits, data: st.DataObject, measurement: int, counter: int, clock_us: int, contact: bool | None
) -> None:
    limit = 1 << (bits - 1)
    codes = data.draw(st.lists(st.integers(-limit, limit - 1), min_size=1, max_size=166))
    packet = emp.encode_data(
        codes, measurement=measurement, counter=counter, clock_us=clock_us, bits=bits, contact=contact
    )
    assert len(packet) == emp.AROUND_SAMPLES + len(codes) * bits // 8
    found = emp.decode_data(packet)
    assert (found.bits, found.contact, found.frame.measurement) == (bits, contact, measurement)
    assert (found.frame.counter, found.frame.stamp_ns) == (counter, clock_us * 1000)
    assert found.frame.codes.dtype == np.int32
    assert found.frame.codes.tolist() == codes


@pytest.mark.parametrize(("bits", "ends"), [(16, [32767, -32768]), (24, [8388607, -8388608])])
def test_codes_saturate_and_never_wrap(bits: emp.Bits, ends: list[int]) -> None:
    packet = emp.encode_data([2**31 - 1, -(2**31)], measurement=1, counter=0, clock_us=0, bits=bits)
    assert emp.decode_data(packet).frame.codes.tolist() == ends


def test_counter_and_clock_wrap() -> None:
    packet = emp.decode_data(emp.encode_data([0], measurement=1, counter=2**32 + 7, clock_us=2**33 + 5))
    assert (packet.frame.counter, packet.frame.stamp_ns) == (7, 5000)


@pytest.mark.parametrize(("mtu", "bits"), [(23, 16), (23, 24), (247, 16), (517, 16), (517, 24)])
def test_a_full_packet_fits_and_one_sample_more_does_not(mtu: int, bits: emp.Bits) -> None:
    n = emp.samples_that_fit(mtu, bits)
    room = min(mtu - 3, emp.PACKET_MOST)
    assert emp.AROUND_SAMPLES + n * bits // 8 <= room < emp.AROUND_SAMPLES + (n + 1) * bits // 8


def again(message: emp.DataPacket | emp.Command | emp.Control) -> bytes | None:
    """The bytes of what was decoded; None for what is never sent."""
    match message:
        case emp.DataPacket(frame=frame):
            return emp.encode_data(
                frame.codes,
                measurement=frame.measurement,
                counter=frame.counter or 0,
                clock_us=(frame.stamp_ns or 0) // 1000,
                bits=message.bits,
                contact=message.contact,
            )
        case emp.Start():
            return emp.encode_start(message.rate_hz, message.resume)
        case emp.Stop():
            return emp.encode_stop()
        case emp.Describe():
            return emp.encode_describe()
        case emp.Answer():
            return emp.encode_answer(message.command, message.status, message.info)
        case emp.StatusEvent():
            return emp.encode_status(message.battery_percent, message.contact)
        case emp.StoppedEvent():
            return emp.encode_stopped(message.reason)
        case emp.OtherVersion():
            return None


@pytest.mark.parametrize("decode", [emp.decode_data, emp.decode_command, emp.decode_control])
@given(body=st.binary(max_size=600), intact=st.booleans())
def test_any_bytes_are_a_packet_written_in_its_only_way_or_a_frame_error(
    decode: Callable[[bytes], emp.DataPacket | emp.Command | emp.Control], body: bytes, intact: bool
) -> None:
    data = with_crc(body.hex()) if intact else body
    try:
        message = decode(data)
    except FrameError:
        return
    assert again(message) in (data, None)


@given(st.binary(max_size=14), st.integers(0x40, 0x47), st.integers(1, 255))
def test_whole_samples_behind_a_right_header_are_data(samples: bytes, kind: int, measurement: int) -> None:
    body = bytes([kind, measurement]) + bytes(8) + samples
    width = 3 if kind & 1 else 2
    right = len(samples) >= width and len(samples) % width == 0 and kind not in (0x44, 0x45)
    try:
        packet = emp.decode_data(with_crc(body.hex()))
    except FrameError:
        assert not right
    else:
        assert right
        assert len(packet.frame.codes) == len(samples) // width


@given(st.lists(st.integers(0, 159), min_size=1, max_size=3, unique=True))
def test_up_to_three_wrong_bits_are_always_found(positions: list[int]) -> None:
    wrong = bytearray(emp.encode_data([12, -7, 305, 9], measurement=1, counter=1000, clock_us=4_000_000))
    for position in positions:
        wrong[position // 8] ^= 1 << position % 8
    with pytest.raises(FrameError, match="checksum"):
        emp.decode_data(bytes(wrong))


@pytest.mark.parametrize("cut", range(1, 244))
def test_a_packet_that_was_cut_is_refused(cut: int) -> None:
    packet = emp.encode_data(list(range(116)), measurement=1, counter=0, clock_us=0)
    with pytest.raises(FrameError):
        emp.decode_data(packet[:-cut])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("4001" + "00" * 8, "12 bytes; expected 14 to 512"),
        ("4001" + "00" * 509, "513 bytes"),
        ("3001" + "00" * 10, "kind 0x30"),
        ("4801" + "00" * 10, "kind 0x48 sets bits"),
        ("4401" + "00" * 10, "kind 0x44 sets bits"),
        ("4000" + "00" * 10, "measurement 0"),
        ("4001" + "00" * 11, "whole samples of 16 bits"),
        ("4101" + "00" * 10, "whole samples of 24 bits"),
    ],
)
def test_what_is_wrong_with_data_is_named(body: str, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        emp.decode_data(with_crc(body))


@given(st.integers(0, 0xFFFF), st.integers(0, 255))
def test_a_start_survives_a_round_trip(rate_hz: int, resume: int) -> None:
    assert emp.decode_command(emp.encode_start(rate_hz, resume)) == emp.Start(rate_hz, resume)
    assert emp.refusal(emp.encode_start(rate_hz, resume)) is None


@given(st.integers(0, 127), st.integers(1, 255))
def test_refusals_survive_a_round_trip(command: int, status: int) -> None:
    assert emp.decode_control(emp.encode_answer(command, status)) == emp.Answer(command, status)


@given(st.sampled_from([emp.Op.START, emp.Op.DESCRIBE]), infos())
def test_info_survives_a_round_trip_in_the_smallest_mtu(command: emp.Op, info: emp.Info) -> None:
    answer = emp.encode_answer(command, emp.Status.OK, info)
    assert len(answer) == 17 <= emp.CONTROL_MOST
    assert emp.decode_control(answer) == emp.Answer(command, emp.Status.OK, info)


def test_a_patch_at_rest_describes_itself_with_no_measurement_and_cannot_start_with_none() -> None:
    at_rest = emp.Info(0, None, 24, 500_000, 1, None)
    answer = emp.encode_answer(emp.Op.DESCRIBE, emp.Status.OK, at_rest)
    assert emp.decode_control(answer) == emp.Answer(emp.Op.DESCRIBE, emp.Status.OK, at_rest)
    with pytest.raises(ConfigError, match="measurement"):
        emp.encode_answer(emp.Op.START, emp.Status.OK, at_rest)
    with pytest.raises(FrameError, match="names no measurement"):
        emp.decode_control(with_crc("8100" + answer[2:-2].hex()))


@given(batteries, contacts, st.integers(0, 255))
def test_events_survive_a_round_trip(battery: int | None, contact: bool | None, reason: int) -> None:
    assert emp.decode_control(emp.encode_status(battery, contact)) == emp.StatusEvent(battery, contact)
    assert emp.decode_control(emp.encode_stopped(reason)) == emp.StoppedEvent(reason)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("40", "3 bytes"),
        ("40" * 19, "21 bytes"),
        ("4057", "a status of 4 bytes; expected 5"),
        ("406501", "battery of 101"),
        ("405702", "contact of 2"),
        ("410000", "a stop of 5 bytes"),
        ("4200", "kind 0x42"),
        ("8200ff", "an answer without info of 5 bytes"),
        ("810401", "an answer without info of 5 bytes"),
        ("8700", "OK to command 7"),
        ("8100", "an answer with info of 4 bytes; expected 17"),
        ("81000101001090d0030040420f005700", "an answer with info of 18 bytes"),
        ("81000101001090d0030040420f00c8", "battery of 200"),
        ("810001010c1090d0030040420f0057", "lead of 12"),
        ("81000101001490d0030040420f0057", "20 bits"),
        ("810001010010000000004042f00057", "rate of 0 mHz"),
        ("81000101001090d003000000000057", "0 codes a volt"),
    ],
)
def test_what_is_wrong_with_an_indication_is_named(body: str, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        emp.decode_control(with_crc(body))


@pytest.mark.parametrize("rest", ["", "07", "07" * 15])
def test_another_version_is_known_as_such_and_read_no_further(rest: str) -> None:
    assert emp.decode_control(with_crc("810002" + rest)) == emp.OtherVersion(emp.Op.START, 2)


@pytest.mark.parametrize(
    ("written", "command", "status"),
    [
        (b"", 0, emp.Status.BAD_LENGTH),
        (b"\x01", 1, emp.Status.BAD_LENGTH),
        (b"\x01\x02\x03\x04\x05\x06", 1, emp.Status.BAD_CRC),
        (with_crc("07"), 7, emp.Status.UNKNOWN_COMMAND),
        (with_crc("ff0000"), 0x7F, emp.Status.UNKNOWN_COMMAND),
        (with_crc("01fa00"), 1, emp.Status.BAD_LENGTH),
        (with_crc("0200"), 2, emp.Status.BAD_LENGTH),
    ],
)
def test_bytes_that_are_no_command_have_their_answer(
    written: bytes, command: int, status: emp.Status
) -> None:
    answer = emp.refusal(written)
    assert answer is not None
    assert emp.decode_control(answer) == emp.Answer(command, status)
    with pytest.raises(FrameError, match=status.name.lower().replace("_", " ")):
        emp.decode_command(written)


def test_a_new_measurement_is_never_the_one_that_was_to_be_resumed() -> None:
    for last in range(256):
        for resume in range(256):
            found = emp.next_measurement(last, resume)
            assert 1 <= found <= 255
            assert found != resume
            assert found == (last % 255 + 1 if last % 255 + 1 != resume else (last + 1) % 255 + 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"codes": []},
        {"codes": [[1]]},
        {"codes": [1.5]},
        {"codes": [0] * 251},
        {"codes": [0] * 167, "bits": 24},
        {"bits": 12},
        {"measurement": 0},
        {"measurement": 256},
    ],
)
def test_what_no_data_packet_can_hold_is_refused(wrong: dict[str, object]) -> None:
    arguments = {"codes": [1], "measurement": 1, "counter": 0, "clock_us": 0, **wrong}
    with pytest.raises(ConfigError):
        emp.encode_data(arguments.pop("codes"), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: emp.encode_start(65536),
        lambda: emp.encode_start(-1),
        lambda: emp.encode_start(0, 256),
        lambda: emp.encode_status(101, None),
        lambda: emp.encode_stopped(256),
        lambda: emp.encode_answer(128, 1),
        lambda: emp.encode_answer(1, 256),
        lambda: emp.encode_answer(1, 0),
        lambda: emp.encode_answer(2, 0, INFO),
        lambda: emp.encode_answer(1, 4, INFO),
        lambda: emp.encode_answer(7, 0),
        lambda: emp.encode_answer(1, 0, emp.Info(1, "X", 16, 1, 1)),
        lambda: emp.encode_answer(1, 0, emp.Info(1, "I", 32, 1, 1)),  # type: ignore[arg-type]
        lambda: emp.encode_answer(1, 0, emp.Info(1, "I", 16, 0, 1)),
        lambda: emp.encode_answer(1, 0, emp.Info(1, "I", 16, 1, 2**32)),
    ],
)
def test_what_no_control_packet_can_hold_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError):
        wrong()  # type: ignore[operator]
