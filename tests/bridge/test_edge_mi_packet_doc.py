"""The C code in the document of the EdgeMI Patch: its example is a patch, and its sizes are those that were measured."""

from __future__ import annotations

import ctypes
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from c_packets import ARM, CODE, CORTEX, FLAGS, SOURCE, UNKNOWN, compiled, python_data, run, with_crc
from edge_mi.firmware_bridge import edge_mi_packet as emp

from edge_mi.optional import find_compiler

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "patch-protocol.md").read_text(encoding="utf-8")
CC = find_compiler()

pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler (cc, gcc, clang) on this machine")
needs_arm = pytest.mark.skipif(
    shutil.which(ARM) is None, reason=f"no {ARM} on this machine: apt install gcc-arm-none-eabi"
)


def example() -> str:
    (code,) = re.findall(r"^```c\n(.+?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(code)


class Example:
    """The firmware of the document on a board that keeps what it sends."""

    def __init__(self, library: Path) -> None:
        self._code = ctypes.CDLL(str(library))
        self._count = ctypes.c_int.in_dll(self._code, "count")
        self.att_mtu = ctypes.c_uint16.in_dll(self._code, "att_mtu")

    def write(self, data: bytes) -> list[object]:
        self._code.control_written(data, ctypes.c_size_t(len(data)))
        return self._sent()

    def samples(self, codes: Sequence[int], clock_us: int = 0) -> list[object]:
        for i, code in enumerate(codes):
            self._code.sample_came(code, ctypes.c_uint32(clock_us + 4000 * i))
        return self._sent()

    def _sent(self) -> list[object]:
        sent = (ctypes.c_uint8 * 600 * 64).in_dll(self._code, "sent")
        lengths = (ctypes.c_size_t * 64).in_dll(self._code, "lengths")
        packets = [bytes(sent[i][: lengths[i]]) for i in range(self._count.value)]
        self._count.value = 0
        return [
            python_data(data[1:]) if data[:1] == b"n" else emp.decode_control(data[1:]) for data in packets
        ]


@pytest.fixture
def firmware(tmp_path: Path) -> Example:
    (tmp_path / "example.c").write_text(example())
    library = tmp_path / "example.so"
    files = ROOT / "tests" / "support" / "packet_board.c", tmp_path / "example.c", SOURCE
    compiled(CC, *FLAGS, "-O1", "-fPIC", "-shared", *files, "-o", library)
    return Example(library)


def started(measurement: int) -> list[object]:
    info = emp.Info(measurement, "I", 16, 250_000, 1_000_000, None)
    return [emp.Answer(emp.Op.START, emp.Status.OK, info)]


def test_the_example_of_the_document_measures_loses_resumes_and_stops(firmware: Example) -> None:
    assert firmware.samples(range(8)) == []
    assert firmware.write(emp.encode_start(250)) == started(1)
    assert firmware.samples([1, -2, 3, 40000, 5, 6], 1000) == [(1, 0, 1000, 16, UNKNOWN, 1, -2, 3, 32767)]
    firmware.att_mtu.value = 247
    assert firmware.write(emp.encode_start(0, 1)) == started(1)
    (packet,) = firmware.samples(range(116), 2**32 - 4)
    assert packet == (1, 6, 2**32 - 4, 16, UNKNOWN, *range(116))
    assert firmware.write(emp.encode_start(250, 2)) == started(3)
    assert firmware.write(emp.encode_stop()) == [emp.Answer(emp.Op.STOP, emp.Status.OK), emp.StoppedEvent(0)]
    assert firmware.samples(range(116)) == []


def test_the_example_of_the_document_refuses_as_the_document_says(firmware: Example) -> None:
    assert firmware.write(emp.encode_stop()) == [emp.Answer(emp.Op.STOP, emp.Status.NOT_MEASURING)]
    at_rest = emp.Info(0, "I", 16, 250_000, 1_000_000, None)
    assert firmware.write(emp.encode_describe()) == [emp.Answer(emp.Op.DESCRIBE, emp.Status.OK, at_rest)]
    assert firmware.write(emp.encode_start(500)) == [emp.Answer(emp.Op.START, emp.Status.RATE_NOT_SUPPORTED)]
    assert firmware.write(b"") == [emp.Answer(0, emp.Status.BAD_LENGTH)]
    assert firmware.write(b"\x01\x00\x00\x00\x00\x00") == [emp.Answer(1, emp.Status.BAD_CRC)]
    assert firmware.write(with_crc(b"\x07")) == [emp.Answer(7, emp.Status.UNKNOWN_COMMAND)]
    assert firmware.samples(range(8)) == []


@needs_arm
def test_the_example_of_the_document_compiles_for_a_cortex_m(tmp_path: Path) -> None:
    (tmp_path / "example.c").write_text(example())
    for source in (SOURCE, tmp_path / "example.c"):
        compiled(ARM, *FLAGS, *CORTEX, "-c", source, "-o", tmp_path / "out.o")


@needs_arm
def test_the_sizes_in_the_document_are_those_of_its_command(tmp_path: Path) -> None:
    version = run(ARM, "-dumpversion", text=True).stdout.strip()
    said = re.search(r"gcc (\d+\.\d+\.\d+), from\n\n```\n(.+)\n", DOCUMENT)
    assert said is not None
    if version != said[1]:
        pytest.skip(f"the document has the sizes of gcc {said[1]}, this one is {version}")
    shutil.copytree(CODE, tmp_path / "code")
    compiled_here = run(*said[2].split(), cwd=tmp_path / "code", text=True)
    assert (compiled_here.returncode, compiled_here.stderr) == (0, "")
    sizes = run("arm-none-eabi-size", tmp_path / "code" / "edge_mi_packet.o", text=True).stdout.splitlines()[
        1
    ]
    symbols = run("arm-none-eabi-nm", "-S", tmp_path / "code" / "edge_mi_packet.o", text=True).stdout
    code = {name: int(size, 16) for size, name in re.findall(r"^\w+ (\w+) T (\w+)$", symbols, re.MULTILINE)}
    usage = (tmp_path / "code" / "edge_mi_packet.su").read_text()
    stack = {name: int(n) for name, n in re.findall(r":(\w+)\t(\d+)\t", usage)}
    rows = re.findall(r"^\| `(edge_mi_packet_\w+)` \| (\d+) \| (\d+) \|$", DOCUMENT, re.MULTILINE)
    assert {name: int(n) for name, n, _ in rows} == code
    assert {name: int(n) for name, _, n in rows} == {name: stack[name] for name in code}
    assert f"| the whole file, with what they share | {sizes.split()[0]} |" in DOCUMENT
    unneeded = sum(
        code[f"edge_mi_packet_{name}"] for name in ("encode_command", "decode_data", "decode_control")
    )
    assert f"leaves those {unneeded} bytes out" in DOCUMENT
