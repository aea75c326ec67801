"""HealthyPi: three layouts of packets without counter or stamp, and a dialogue that has nothing to say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from edge_mi.firmware_bridge import healthypi_packets as packets
from edge_mi.firmware_bridge.battery import BATTERY_LEVEL
from edge_mi.firmware_bridge.frames import Frame
from edge_mi.firmware_bridge.healthypi_packets import HEALTHYPI_5, HEALTHYPI_MOVE, HEALTHYPI_V4, Layout
from edge_mi.firmware_bridge.healthypi_session import HealthyPiSession
from edge_mi.firmware_bridge.profile import Wishes
from edge_mi.firmware_bridge.session import BadFrame, Battery, Refused, Started
from hypothesis import given
from hypothesis import strategies as st

from edge_mi.errors import ConfigError, FrameError

LAYOUTS = [HEALTHYPI_5, HEALTHYPI_MOVE, HEALTHYPI_V4]
each_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)


def codes_of(layout: Layout) -> st.SearchStrategy[list[int]]:
    limit = 1 << (layout.code_bits - 1)
    fewest, most = layout.samples
    return st.lists(st.integers(-limit, limit - 1), min_size=fewest, max_size=most)


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


# bytes


def test_a_packet_of_eight_byte_by_byte() -> None:
    data = bytes.fromhex("00010000 00ffffff 00ffff01 000000fe 00000000 00100000 00f0ffff 00020000")
    for layout in (HEALTHYPI_5, HEALTHYPI_MOVE):
        frame = packets.decode(layout, data)
        assert frame.codes.dtype == np.int32
        assert frame.codes.tolist() == [1, -1, 131071, -131072, 0, 16, -16, 2]
        assert (frame.counter, frame.stamp_ns) == (None, None)
        assert packets.encode(layout, frame.codes) == data


def test_a_packet_of_v4_byte_by_byte() -> None:
    data = bytes.fromhex("0100 ffff ff7f 0080 0000 a200 5eff 0200 feff")
    frame = packets.decode(HEALTHYPI_V4, data)
    assert frame.codes.dtype == np.int32
    assert frame.codes.tolist() == [1, -1, 32767, -32768, 0, 162, -162, 2, -2]
    assert packets.encode(HEALTHYPI_V4, frame.codes) == data


@given(st.lists(st.integers(-(2**17), 2**17 - 1), min_size=8, max_size=8), st.integers(0, 0x3F))
def test_codes_are_those_that_the_max30001_gave_to_the_firmware(codes: list[int], tag: int) -> None:
    sent = []
    for code in codes:
        high, middle, low = ((code & 0x3FFFF) << 6 | tag).to_bytes(3, "big")  # as its FIFO has it, with a tag
        word = signed((high << 16 | middle << 8 | low & 0xC0) << 8, 32) >> 6
        sent.append(word.to_bytes(4, "little", signed=True))
    assert packets.decode(HEALTHYPI_5, b"".join(sent)).codes.tolist() == codes


@given(st.lists(st.integers(-(2**23), 2**23 - 1), min_size=9, max_size=9))
def test_codes_of_v4_are_the_upper_16_bits_of_the_ads1292r(converted: list[int]) -> None:
    sent = b"".join((value >> 8).to_bytes(2, "little", signed=True) for value in converted)
    assert packets.decode(HEALTHYPI_V4, sent).codes.tolist() == [value >> 8 for value in converted]


@pytest.mark.parametrize(
    ("layout", "full_scale_mv", "code_bits"),
    [(HEALTHYPI_5, 1000 / 80, 18), (HEALTHYPI_MOVE, 1000 / 40, 18), (HEALTHYPI_V4, 2420 / 12, 16)],
    ids=lambda value: getattr(value, "title", None),
)
def test_the_full_scale_is_that_of_reference_and_gain(
    layout: Layout, full_scale_mv: float, code_bits: int
) -> None:
    assert 2 ** (code_bits - 1) / layout.format.codes_per_mv == pytest.approx(full_scale_mv)
    assert layout.format.bits >= code_bits


def test_rates_and_what_the_packets_cannot_show() -> None:
    assert [layout.format.rate_hz for layout in LAYOUTS] == [128, 128, 125]
    assert {layout.format.grade for layout in LAYOUTS} == {"none"}


def test_the_mtu_that_each_board_needs() -> None:
    assert [layout.needed_mtu for layout in LAYOUTS] == [35, 131, 23]


@each_layout
@given(data=st.data())
def test_packets_survive_a_round_trip(layout: Layout, data: st.DataObject) -> None:
    codes = data.draw(codes_of(layout))
    sent = packets.encode(layout, np.array(codes))
    assert len(sent) == layout.sample_bytes * len(codes)
    assert packets.decode(layout, sent).codes.tolist() == codes


@each_layout
def test_codes_saturate_where_the_converter_does(layout: Layout) -> None:
    limit = 1 << (layout.code_bits - 1)
    n = layout.samples[0]
    beyond = np.array([2**40, -(2**40)] + [0] * (n - 2))
    assert packets.decode(layout, packets.encode(layout, beyond)).codes.tolist()[:2] == [limit - 1, -limit]


@pytest.mark.parametrize(
    ("layout", "lengths"),
    [(HEALTHYPI_5, [32]), (HEALTHYPI_MOVE, list(range(32, 129, 4))), (HEALTHYPI_V4, [18])],
    ids=lambda value: getattr(value, "title", None),
)
def test_every_other_length_is_no_packet(layout: Layout, lengths: list[int]) -> None:
    for length in range(301):
        if length in lengths:
            assert len(packets.decode(layout, bytes(length)).codes) * layout.sample_bytes == length
        else:
            with pytest.raises(FrameError, match=f"a packet of {length} bytes; a {layout.title} sends"):
                packets.decode(layout, bytes(length))


@each_layout
@given(
    data=st.binary(max_size=300)
    | st.sampled_from([18, 32, 64, 128]).flatmap(lambda n: st.binary(min_size=n, max_size=n))
)
def test_any_bytes_are_a_packet_or_a_frame_error(layout: Layout, data: bytes) -> None:
    try:
        frame = packets.decode(layout, data)
    except FrameError:
        return
    assert packets.encode(layout, frame.codes) == data


@pytest.mark.parametrize("sample", [1, 64, -64, 255])
def test_firmware_of_another_scale_is_told_and_not_scaled_wrongly(sample: int) -> None:
    data = sample.to_bytes(4, "little", signed=True) + bytes(28)
    for layout in (HEALTHYPI_5, HEALTHYPI_MOVE):
        with pytest.raises(FrameError, match=r"no multiples of 256.*another scale"):
            packets.decode(layout, data)


@pytest.mark.parametrize("code", [2**17, -(2**17) - 1, 2**22])
def test_what_the_converter_cannot_have_made_is_no_packet(code: int) -> None:
    with pytest.raises(FrameError, match="18 bits"):
        packets.decode(HEALTHYPI_MOVE, (code * 256).to_bytes(4, "little", signed=True) + bytes(28))


@each_layout
@pytest.mark.parametrize("codes", [[], [1] * 7, [1] * 33, [1.5] * 9, [[1] * 9]])
def test_what_no_packet_can_hold_is_refused(layout: Layout, codes: list[float]) -> None:
    with pytest.raises(ConfigError):
        packets.encode(layout, np.array(codes))


# dialogue


@pytest.mark.parametrize("layout", [HEALTHYPI_MOVE, HEALTHYPI_V4], ids=lambda layout: layout.title)
def test_to_subscribe_is_to_start_and_nothing_is_written(layout: Layout) -> None:
    session = HealthyPiSession(layout, Wishes())
    assert session.begin() == [Started(layout.format)]
    assert session.end() == []


def test_the_5_is_refused_because_its_firmware_leaves_samples_out() -> None:
    (refused,) = HealthyPiSession(HEALTHYPI_5, Wishes()).begin()
    assert isinstance(refused, Refused)
    assert "every ninth sample" in refused.reason


def test_firmware_of_the_5_that_leaves_nothing_out_would_start() -> None:
    mended = replace(HEALTHYPI_5, refusal=None)
    assert HealthyPiSession(mended, Wishes()).begin() == [Started(HEALTHYPI_5.format)]


@each_layout
def test_packets_become_frames_and_anything_else_is_counted(layout: Layout) -> None:
    session = HealthyPiSession(layout, Wishes())
    codes = list(range(layout.samples[0]))
    (frame,) = session.receive(packets.ECG, packets.encode(layout, codes))
    assert isinstance(frame, Frame)
    assert frame.codes.tolist() == codes
    (bad,) = session.receive(packets.ECG, bytes(3))
    assert isinstance(bad, BadFrame)
    assert layout.title in bad.reason
    assert session.receive(BATTERY_LEVEL, b"\x57") == [Battery(87)]
    assert session.receive("another", bytes(32)) == []


@each_layout
@given(
    arriving=st.lists(
        st.tuples(st.sampled_from([packets.ECG, BATTERY_LEVEL, "another"]), st.binary(max_size=300))
    )
)
def test_no_bytes_from_the_air_raise(layout: Layout, arriving: list[tuple[str, bytes]]) -> None:
    session = HealthyPiSession(layout, Wishes())
    for characteristic, data in arriving:
        session.receive(characteristic, data)


@each_layout
def test_it_takes_no_other_rate(layout: Layout) -> None:
    rate_hz = int(layout.format.rate_hz)
    HealthyPiSession(layout, Wishes(rate_hz=rate_hz))
    with pytest.raises(ConfigError, match=f"{rate_hz} Hz and no other rate, found 250"):
        HealthyPiSession(layout, Wishes(rate_hz=250))
