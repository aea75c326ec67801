"""The packets in C are those in Python: the same bytes, the same fields, the same refusals, on every machine."""

from __future__ import annotations

import ctypes
import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edge_mi.export
import pytest
from c_packets import (
    ARM,
    BAD_CRC,
    BAD_KIND,
    BAD_LENGTH,
    BAD_VALUE,
    CODE,
    CORTEX,
    DECODERS,
    ERRORS,
    FLAGS,
    NO_ROOM,
    SOURCE,
    Command,
    CPackets,
    Data,
    Info,
    compiled,
    info_fields,
    mutated,
    percent,
    python_command,
    python_data,
    run,
    some_info,
    some_packet,
    touch,
)
from edge_mi.firmware_bridge import edge_mi_packet as emp
from hypothesis import given, note, settings
from hypothesis import strategies as st

from edge_mi.errors import FrameError
from edge_mi.optional import find_compiler

CC = find_compiler()
EMULATOR = "qemu-system-arm"
SUPPORT = Path(__file__).parents[1] / "support"
PLACES = (
    "ENTRY(start) SECTIONS { . = 0x40010000; .all : { *(.text*) *(.rodata*) *(.data*) *(.bss*) *(COMMON) } }"
)

pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler (cc, gcc, clang) on this machine")
needs_arm = pytest.mark.skipif(
    shutil.which(ARM) is None, reason=f"no {ARM} on this machine: apt install gcc-arm-none-eabi"
)
# of what packets are made and how they are changed; drawing every choice by itself would be much slower
seeds = st.integers(0, 2**64 - 1)


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> CPackets:
    library = tmp_path_factory.mktemp("packet") / "packet.so"
    compiled(CC, *FLAGS, "-O2", "-fPIC", "-shared", SOURCE, "-o", library)
    return CPackets(library)


def test_the_checksum_is_ccitt_false(c: CPackets) -> None:
    assert c.code.edge_mi_packet_crc(b"123456789", ctypes.c_size_t(9)) == 0x29B1
    assert c.code.edge_mi_packet_crc(b"", ctypes.c_size_t(0)) == 0xFFFF


@settings(max_examples=300, deadline=None)
@given(seeds)
def test_both_take_and_refuse_the_same_and_read_the_same(c: CPackets, seed: int) -> None:
    """6000 packets."""
    rng = random.Random(seed)
    for _ in range(20):
        data = mutated(rng)
        note(data.hex())
        for name, decode in DECODERS.items():
            found = getattr(c, name)(data)
            try:
                expected = decode(data)
            except FrameError as exc:
                assert isinstance(found, int)
                assert found in range(-6, 0)
                assert (found == BAD_CRC) == ("checksum" in str(exc) or "bad crc" in str(exc))
            else:
                assert found == expected


@settings(deadline=None)
@given(seeds)
def test_what_is_written_unchanged_is_always_taken(c: CPackets, seed: int) -> None:
    data = some_packet(random.Random(seed))
    taken = [name for name in DECODERS if not isinstance(getattr(c, name)(data), int)]
    assert len(taken) == 1


@settings(deadline=None)
@given(
    st.sampled_from([16, 24]),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=166),
    st.integers(1, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, False, True]),
)
def test_data_of_c_are_those_of_python(
    c: CPackets,
    bits: Any,
    codes: list[int],
    measurement: int,
    counter: int,
    clock_us: int,
    contact: bool | None,
) -> None:
    expected = emp.encode_data(
        codes, measurement=measurement, counter=counter, clock_us=clock_us, bits=bits, contact=contact
    )
    fields = Data(counter, clock_us, len(codes), measurement, bits, touch(contact))
    samples = (ctypes.c_int32 * len(codes))(*codes)
    assert c.encoded("data", ctypes.byref(fields), samples, room=len(expected)) == expected
    assert c.encoded("data", ctypes.byref(fields), samples, room=len(expected) - 1) == NO_ROOM
    assert c.data(expected) == python_data(expected)
    assert c.data(expected, room=len(codes) - 1) == NO_ROOM


@settings(deadline=None)
@given(st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 255))
def test_commands_of_c_are_those_of_python(c: CPackets, command: int, rate_hz: int, resume: int) -> None:
    expected = {
        1: emp.encode_start(rate_hz, resume), 2: emp.encode_stop(), 3: emp.encode_describe()
    }.get(command, BAD_KIND)  # fmt: skip
    fields = Command(command, resume, rate_hz)
    assert c.encoded("command", ctypes.byref(fields)) == expected
    if isinstance(expected, bytes):
        assert c.encoded("command", ctypes.byref(fields), room=len(expected) - 1) == NO_ROOM


@settings(deadline=None)
@given(st.sampled_from([1, 3]), seeds)
def test_info_of_c_is_that_of_python(c: CPackets, command: int, seed: int) -> None:
    info = some_info(random.Random(seed))
    expected = emp.encode_answer(command, 0, info)
    fields = Info(*info_fields(info))
    assert c.encoded("answer", command, 0, ctypes.byref(fields)) == expected
    assert c.encoded("answer", command, 0, ctypes.byref(fields), room=len(expected) - 1) == NO_ROOM


@settings(deadline=None)
@given(st.integers(0, 127), st.integers(1, 255))
def test_refusals_and_events_of_c_are_those_of_python(c: CPackets, command: int, status: int) -> None:
    assert c.encoded("answer", command, status, None) == emp.encode_answer(command, status)
    assert c.encoded("stopped", status) == emp.encode_stopped(status)
    for contact in (None, False, True):
        battery = None if command > 100 else command
        expected = emp.encode_status(battery, contact)
        assert c.encoded("status", percent(battery), touch(contact)) == expected
        assert c.encoded("status", percent(battery), touch(contact), room=4) == NO_ROOM
    assert c.encoded("answer", command, status, None, room=3) == NO_ROOM
    assert c.encoded("stopped", status, room=3) == NO_ROOM


@settings(deadline=None)
@given(seeds)
def test_both_answer_the_same_to_what_is_no_command(c: CPackets, seed: int) -> None:
    data = mutated(random.Random(seed))
    found = c.command(data)
    status = c.code.edge_mi_packet_status_of(found if isinstance(found, int) else 0)
    answer = c.encoded("answer", data[0] & 0x7F if data else 0, status, None) if status else None
    assert answer == emp.refusal(data)


def test_measurements_are_numbered_as_in_python(c: CPackets) -> None:
    for last in range(256):
        for resume in {0, 1, 255, last, (last + 1) % 256, (last + 2) % 256}:
            assert c.code.edge_mi_packet_next_measurement(last, resume) == emp.next_measurement(last, resume)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ((0, 0, 1, 0, 16, 0), BAD_VALUE),
        ((0, 0, 1, 1, 8, 0), BAD_VALUE),
        ((0, 0, 1, 1, 16, 2), BAD_VALUE),
        ((0, 0, 0, 1, 16, 0), BAD_LENGTH),
        ((0, 0, 251, 1, 16, 0), BAD_LENGTH),
        ((0, 0, 167, 1, 24, 0), BAD_LENGTH),
        ((0, 0, 65535, 1, 24, 0), BAD_LENGTH),
    ],
)
def test_c_writes_no_data_that_it_would_not_read(c: CPackets, fields: tuple[int, ...], error: int) -> None:
    assert c.encoded("data", ctypes.byref(Data(*fields)), (ctypes.c_int32 * 300)()) == error


@pytest.mark.parametrize(
    ("command", "fields", "error"),
    [
        (1, (1, 1, 0, 0, 16, 0), BAD_VALUE),
        (1, (0, 1, 1, 0, 16, 0), BAD_VALUE),
        (3, (1, 0, 1, 0, 16, 0), BAD_VALUE),
        (3, (1, 1, 1, 12, 16, 0), BAD_VALUE),
        (3, (1, 1, 1, 0, 32, 0), BAD_VALUE),
        (3, (1, 1, 1, 0, 16, 101), BAD_VALUE),
        (7, (1, 1, 1, 0, 16, 0), BAD_KIND),
        (128, (1, 1, 1, 0, 16, 0), BAD_VALUE),
    ],
)
def test_c_writes_no_info_that_it_would_not_read(
    c: CPackets, command: int, fields: tuple[int, ...], error: int
) -> None:
    assert c.encoded("answer", command, 0, ctypes.byref(Info(*fields))) == error
    assert c.encoded("answer", 1, 0, None) == BAD_VALUE
    assert c.encoded("status", 101, 0) == c.encoded("status", 0, 2) == BAD_VALUE


def test_the_errors_are_numbered_as_the_header_says() -> None:
    header = (CODE / "edge_mi_packet.h").read_text(encoding="utf-8")
    for number, name in enumerate(ERRORS, start=1):
        assert re.search(rf"EDGE_MI_PACKET_{name} = -{number}\b", header)


def test_no_sanitizer_has_anything_to_say(c: CPackets, tmp_path: Path) -> None:
    program = tmp_path / "reader"
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    built = run(CC, *FLAGS, *sanitizers, SUPPORT / "packet_reader.c", SOURCE, "-o", program, text=True)
    if "cannot find" in built.stderr:
        pytest.skip("the compiler has no sanitizer libraries")
    assert built.stderr == ""
    rng = random.Random(1)
    packets = [b"", *(mutated(rng) for _ in range(5000))]
    done = run(program, input=b"".join(len(data).to_bytes(2, "little") + data for data in packets))
    assert (done.returncode, done.stderr) == (0, b"")
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    found = [[getattr(c, name)(data) for name in DECODERS] for data in packets]
    assert rows == [(*(error if isinstance(error, int) else 0 for error in errors), 1) for errors in found]
    assert 1000 < sum(0 in row[:3] for row in rows) < 4000


def row(kind: int, data: bytes, first: int, second: int, samples: Sequence[int] = ()) -> str:
    codes = ", ".join(map(str, samples)) or "0"
    return f"{{{kind}, {len(data)}, {{{', '.join(map(str, data))}}}, {first}u, {second}u, {{{codes}}}}}"


@needs_arm
@pytest.mark.skipif(shutil.which(EMULATOR) is None, reason=f"no {EMULATOR}: apt install qemu-system-arm")
@pytest.mark.parametrize(("order", "first_byte"), [("big", 1), ("little", 4)])
def test_the_byte_order_of_the_machine_plays_no_part(order: str, first_byte: int, tmp_path: Path) -> None:
    rng = random.Random(order)
    rows = []
    while len(rows) < 60:
        data = some_packet(rng)
        if data[0] & 0xF8 == 0x40 and len(data) > 5:
            _, counter, clock_us, _, _, *codes = python_data(data)
            rows.append(
                row(0, data, int(str(counter)), int(str(clock_us)), [int(str(code)) for code in codes])
            )
        elif data[0] in (1, 2, 3):
            rows.append(row(1, data, int(str(python_command(data)[1])), 0))
        elif len(data) == 17:
            answer = emp.decode_control(data)
            assert isinstance(answer, emp.Answer)
            assert answer.info is not None
            rows.append(row(2, data, answer.info.rate_millihz, answer.info.codes_per_v))
    (tmp_path / "packets.inc").write_text(",\n".join(rows))
    (tmp_path / "places.ld").write_text(PLACES)
    be8 = ["-Wl,--be8"] if order == "big" else []
    machine = ["-mcpu=cortex-a15", "-marm", f"-m{order}-endian", *be8, "-nostdlib", "-ffreestanding"]
    includes = [f"-I{CODE}", f"-I{tmp_path}", f"-DFIRST_BYTE={first_byte}", f"-T{tmp_path / 'places.ld'}"]
    image = tmp_path / "trial.elf"
    compiled(ARM, "-std=gnu99", "-O2", *machine, *includes, SUPPORT / "packet_trial.c", SOURCE, "-o", image)
    board = ["-M", "virt", "-cpu", "cortex-a15", "-nographic", "-monitor", "none", "-serial", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    done = run(EMULATOR, *board, *semihosting, "-kernel", image, timeout=120)
    assert done.returncode == 0, done.stderr


@needs_arm
def test_a_cortex_m_needs_no_library_and_no_memory_for_it(tmp_path: Path) -> None:
    compiled(ARM, *FLAGS, *CORTEX, "-ffreestanding", "-c", SOURCE, "-o", tmp_path / "packet.o")
    assert run("arm-none-eabi-nm", "-u", tmp_path / "packet.o", text=True).stdout.split() == []
    sizes = run("arm-none-eabi-size", tmp_path / "packet.o", text=True).stdout.splitlines()[1].split()
    assert sizes[1:3] == ["0", "0"]
    assert int(sizes[0]) < 2048


def test_the_names_do_not_clash_with_those_of_the_detector_in_c() -> None:
    declared = [
        set(re.findall(r"\b(?:edge_mi|EDGE_MI)_\w+", path.read_text(encoding="utf-8")))
        for path in (CODE / "edge_mi_packet.h", Path(str(edge_mi.export.__file__)).parent / "c" / "edge_mi.h")
    ]
    assert len(declared[0]) > 50
    assert declared[0] & declared[1] == set()


def test_the_header_serves_cpp_too(tmp_path: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler on this machine")
    (tmp_path / "one.cpp").write_text(
        '#include "edge_mi_packet.h"\nint main() { return edge_mi_packet_crc(nullptr, 0) == 0; }\n'
    )
    compiled(CC, *FLAGS, "-c", SOURCE, "-o", tmp_path / "packet.o")
    compiled(compiler, "-std=c++11", "-Wall", "-Wextra", "-Werror", f"-I{CODE}", tmp_path / "one.cpp",
             tmp_path / "packet.o", "-o", tmp_path / "one")  # fmt: skip
    assert run(tmp_path / "one").returncode == 0
