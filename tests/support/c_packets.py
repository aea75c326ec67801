"""The packets of the EdgeMI Patch in C, called with the fields of those in Python, and packets to try both on."""

from __future__ import annotations

import binascii
import ctypes
import random
import subprocess
from pathlib import Path
from typing import Any, Final

import edge_mi.firmware_bridge
from edge_mi.firmware_bridge import edge_mi_packet as emp

CODE: Final = Path(str(edge_mi.firmware_bridge.__file__)).parent / "firmware"
SOURCE: Final = CODE / "edge_mi_packet.c"
FLAGS: Final = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
    f"-I{CODE}",
)
ARM: Final = "arm-none-eabi-gcc"
CORTEX: Final = ("-mcpu=cortex-m4", "-mthumb", "-Os")
UNKNOWN: Final = 255
ERRORS: Final = ("BAD_LENGTH", "BAD_CRC", "BAD_KIND", "BAD_BIT", "BAD_VALUE", "NO_ROOM", "OTHER_VERSION")
BAD_LENGTH, BAD_CRC, BAD_KIND, BAD_BIT, BAD_VALUE, NO_ROOM, OTHER_VERSION = range(-1, -8, -1)
_ROOM = 250


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[Any]:
    """The finished process, its output caught."""
    return subprocess.run([str(word) for word in words], capture_output=True, check=False, **options)


def compiled(*words: object) -> None:
    """Run a compiler that must have nothing to say."""
    done = run(*words, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def with_crc(body: bytes) -> bytes:
    """The bytes and their checksum."""
    return body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2, "little")


class Data(ctypes.Structure):
    _fields_ = (
        ("counter", ctypes.c_uint32), ("clock_us", ctypes.c_uint32), ("n", ctypes.c_uint16),
        ("measurement", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("contact", ctypes.c_uint8),
    )  # fmt: skip


class Command(ctypes.Structure):
    _fields_ = (("command", ctypes.c_uint8), ("resume", ctypes.c_uint8), ("rate_hz", ctypes.c_uint16))


class Info(ctypes.Structure):
    _fields_ = (
        ("rate_millihz", ctypes.c_uint32), ("codes_per_v", ctypes.c_uint32), ("measurement", ctypes.c_uint8),
        ("lead", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("battery", ctypes.c_uint8),
    )  # fmt: skip


class Control(ctypes.Structure):
    _fields_ = (
        ("info", Info), ("kind", ctypes.c_uint8), ("command", ctypes.c_uint8), ("status", ctypes.c_uint8),
        ("has_info", ctypes.c_uint8), ("battery", ctypes.c_uint8), ("contact", ctypes.c_uint8), ("reason", ctypes.c_uint8),
    )  # fmt: skip


class CPackets:
    """The C functions, with the arguments and results of those in Python."""

    def __init__(self, library: Path) -> None:
        self.code = ctypes.CDLL(str(library))
        for name in ("status_of", "next_measurement"):
            getattr(self.code, f"edge_mi_packet_{name}").restype = ctypes.c_uint8
        self.code.edge_mi_packet_crc.restype = ctypes.c_uint16

    def encoded(self, name: str, *arguments: object, room: int = emp.PACKET_MOST) -> bytes | int:
        """The packet, or the error."""
        out = (ctypes.c_uint8 * max(room, 1))()
        function = getattr(self.code, f"edge_mi_packet_encode_{name}")
        length = int(function(*arguments, out, ctypes.c_size_t(room)))
        return bytes(out[:length]) if length > 0 else length

    def data(self, data: bytes, room: int = _ROOM) -> tuple[object, ...] | int:
        fields, samples = Data(), (ctypes.c_int32 * _ROOM)()
        error = int(
            self.code.edge_mi_packet_decode_data(
                data, ctypes.c_size_t(len(data)), ctypes.byref(fields), samples, ctypes.c_size_t(room)
            )
        )
        if error:
            assert bytes(fields) == bytes(ctypes.sizeof(fields))
            return error
        found = fields.measurement, fields.counter, fields.clock_us, fields.bits, fields.contact
        return *found, *samples[: fields.n]

    def command(self, data: bytes) -> tuple[object, ...] | int:
        fields = Command()
        error = int(
            self.code.edge_mi_packet_decode_command(data, ctypes.c_size_t(len(data)), ctypes.byref(fields))
        )
        assert fields.command == (data[0] & 0x7F if data else 0)
        return error or (fields.command, fields.rate_hz, fields.resume)

    def control(self, data: bytes) -> tuple[object, ...] | int:
        fields = Control()
        error = int(
            self.code.edge_mi_packet_decode_control(data, ctypes.c_size_t(len(data)), ctypes.byref(fields))
        )
        if error:
            assert bytes(fields) == bytes(ctypes.sizeof(fields))
            return error
        rest = fields.command, fields.status, fields.battery, fields.contact, fields.reason
        return fields.kind, *rest, *([fields.info.rate_millihz, fields.info.codes_per_v, fields.info.measurement,
                                      fields.info.lead, fields.info.bits, fields.info.battery]
                                     if fields.has_info else [])  # fmt: skip


def python_data(data: bytes) -> tuple[object, ...]:
    packet = emp.decode_data(data)
    frame = packet.frame
    clock_us = (frame.stamp_ns or 0) // 1000
    return (
        frame.measurement,
        frame.counter,
        clock_us,
        packet.bits,
        touch(packet.contact),
        *frame.codes.tolist(),
    )


def python_command(data: bytes) -> tuple[object, ...]:
    command = emp.decode_command(data)
    if isinstance(command, emp.Start):
        return emp.Op.START, command.rate_hz, command.resume
    return emp.Op.STOP if command == emp.Stop() else emp.Op.DESCRIBE, 0, 0


def python_control(data: bytes) -> tuple[object, ...] | int:
    match emp.decode_control(data):
        case emp.OtherVersion():
            return OTHER_VERSION
        case emp.StatusEvent(battery, contact):
            return 0x40, 0, 0, percent(battery), touch(contact), 0
        case emp.StoppedEvent(reason):
            return 0x41, 0, 0, 0, 0, reason
        case emp.Answer(command, status, info):
            return 0x80, command, status, 0, 0, 0, *(info_fields(info) if info else ())


def info_fields(info: emp.Info) -> tuple[int, ...]:
    lead = UNKNOWN if info.lead is None else emp.LEADS.index(info.lead)
    battery = percent(info.battery_percent)
    return info.rate_millihz, info.codes_per_v, info.measurement, lead, info.bits, battery


def touch(contact: bool | None) -> int:
    return UNKNOWN if contact is None else int(contact)


def percent(battery: int | None) -> int:
    return UNKNOWN if battery is None else battery


DECODERS: Final = {"data": python_data, "command": python_command, "control": python_control}


def some_info(rng: random.Random) -> emp.Info:
    return emp.Info(
        rng.randint(1, 255), rng.choice([None, *emp.LEADS]), rng.choice([16, 24]),  # type: ignore[arg-type]
        rng.randint(1, 2**32 - 1), rng.randint(1, 2**32 - 1), rng.choice([None, 0, 100, rng.randint(0, 100)]),
    )  # fmt: skip


def some_packet(rng: random.Random) -> bytes:
    """A packet of any kind."""
    kind = rng.randrange(5)
    if kind < 2:
        bits: Any = rng.choice([16, 24])
        ends = [-(1 << bits), 1 << bits, -(1 << (bits - 1)), (1 << (bits - 1)) - 1]
        n = rng.choice([1, 2, 4, 40, emp.samples_that_fit(517, bits)])
        codes = [rng.choice([*ends, rng.randint(ends[0], ends[1])]) for _ in range(n)]
        return emp.encode_data(
            codes, measurement=rng.randint(1, 255), counter=rng.getrandbits(32), clock_us=rng.getrandbits(32),
            bits=bits, contact=rng.choice([None, False, True]),
        )  # fmt: skip
    if kind == 2:
        start = emp.encode_start(rng.randrange(1 << 16), rng.randrange(256))
        return rng.choice([start, start, emp.encode_stop(), emp.encode_describe()])
    if kind == 3:
        told = emp.encode_answer(rng.choice([1, 3]), 0, some_info(rng))
        return rng.choice([told, told, emp.encode_answer(rng.randrange(128), rng.randint(1, 255))])
    battery, contact = rng.choice([None, rng.randint(0, 100)]), rng.choice([None, False, True])
    return rng.choice([emp.encode_status(battery, contact), emp.encode_stopped(rng.randrange(256))])


def mutated(rng: random.Random) -> bytes:
    """A packet with changes, under its own checksum or one that is right again; sometimes without a change."""
    packet = bytearray(some_packet(rng))
    for _ in range(rng.randrange(4)):
        if rng.randrange(3) and packet:
            # most of the meaning is at the start
            at = rng.randrange(min(len(packet), rng.choice([3, 17, 512])))
            packet[at] = rng.choice(
                [packet[at] ^ 1 << rng.randrange(8), rng.choice([0, 1, 2, 255]), rng.randrange(256)]
            )
        elif rng.randrange(2):
            del packet[rng.randrange(len(packet) + 1) :]
        else:
            packet += rng.randbytes(rng.choice([1, 2, 3, 500]))
    if rng.randrange(4) and len(packet) >= 2:
        packet[-2:] = with_crc(bytes(packet[:-2]))[-2:]
    return bytes(packet)
