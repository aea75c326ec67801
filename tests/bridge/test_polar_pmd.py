"""Bytes of the PMD service: vectors of Polar's SDK, round trips, and no crash on any bytes."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.firmware_bridge import polar_pmd as pmd
from hypothesis import given
from hypothesis import strategies as st

from edge_mi.errors import ConfigError, FrameError


def frame(body: bytes, *, kind: int = 0, frame_type: int = 0, stamp_ns: int = 1) -> bytes:
    return bytes([kind]) + stamp_ns.to_bytes(8, "little") + bytes([frame_type]) + body


@pytest.mark.parametrize(
    ("sample", "microvolts"),
    [("0280ff", -32766), ("028000", 32770), ("ffffff", -1), ("000080", -8388608), ("ffff7f", 8388607)],
)
def test_samples_are_24_bits_with_a_sign(sample: str, microvolts: int) -> None:
    assert pmd.decode_ecg_frame(frame(bytes.fromhex(sample))).codes.tolist() == [microvolts]


@pytest.mark.parametrize(
    ("frame_type", "sample", "microvolts"),
    [
        (1, "0280ff", 2),  # 14 bits; what follows is contact and impedance
        (1, "800200", 640),
        (1, "ff3fff", 16383),
        (2, "8080fc", 32896),  # 18 bits; what follows are two tags
        (2, "ffff03", 262143),
        (3, "0280ff01000005", -32766),  # then bioimpedance and a status
        (3, "028000ffffff00", 32770),
    ],
)
def test_other_frame_types_are_read_as_the_sdk_reads_them(
    frame_type: int, sample: str, microvolts: int
) -> None:
    data = frame(bytes.fromhex(sample), frame_type=frame_type)
    assert pmd.decode_ecg_frame(data).codes.tolist() == [microvolts]


@given(
    st.integers(0, 2**64 - 1),
    st.lists(st.integers(-(2**23), 2**23 - 1), min_size=1, max_size=100),
)
def test_frames_survive_a_round_trip(stamp_ns: int, samples: list[int]) -> None:
    decoded = pmd.decode_ecg_frame(pmd.encode_ecg_frame(stamp_ns, samples))
    assert decoded.stamp_ns == stamp_ns
    assert decoded.codes.tolist() == samples


def test_a_full_frame_needs_the_mtu_that_is_asked_for() -> None:
    assert len(pmd.encode_ecg_frame(0, np.zeros(73, dtype=int))) + 3 == pmd.NEEDED_MTU == 232


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_frame_error(data: bytes) -> None:
    try:
        decoded = pmd.decode_ecg_frame(data)
    except FrameError:
        return
    assert len(decoded.codes) * (7 if data[9] == 3 else 3) + 10 == len(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (frame(b"abc", kind=2), "measurement 2"),
        (frame(b"abc", frame_type=0x80), "type 0x80"),
        (frame(b"abc", frame_type=4), "type 0x04"),
        (frame(b"abc", frame_type=0x83), "type 0x83"),
        (frame(b"abcabc", frame_type=3), "cut on its way"),
        (frame(b"abcd"), "cut on its way"),
    ],
)
def test_what_is_not_understood_is_named(data: bytes, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        pmd.decode_ecg_frame(data)


@pytest.mark.parametrize("samples", [[], [2**23], [-(2**23) - 1], [1.5]])
def test_what_no_frame_can_hold_is_refused(samples: list[float]) -> None:
    with pytest.raises(ConfigError):
        pmd.encode_ecg_frame(0, samples)


def test_commands_are_those_of_the_sdk() -> None:
    assert pmd.START_ECG.hex() == "02000001820001010e00"
    assert pmd.STOP_ECG.hex() == "0300"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("f002000000", pmd.Answer(2, 0)),
        ("f0020006", pmd.Answer(2, 6)),
        ("f0028000", pmd.Answer(2, 0)),
        ("0100", pmd.DeviceStopped()),
        ("010200", pmd.DeviceStopped()),
        ("0102", None),  # it stopped the acceleration
        ("0f05000000", None),  # a read of the features comes as an indication
        ("f0020200", None),  # an answer about the acceleration
        ("f0", None),
        ("", None),
    ],
)
def test_control_point_messages(data: str, message: object) -> None:
    assert pmd.decode_control_point(bytes.fromhex(data)) == message


@given(st.binary(max_size=40))
def test_any_control_point_bytes_are_taken(data: bytes) -> None:
    pmd.decode_control_point(data)
