"""Packets of the EdgeMI Patch, version 1: our own open profile, with a counter, a clock and a checksum in every packet.

docs/patch-protocol.md describes it, firmware/edge_mi_packet.c is the same in C. Decoders raise FrameError and nothing
else, encoders raise ConfigError for what no packet can hold.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from edge_mi.errors import ConfigError, FrameError

from .frames import COUNTER_MODULUS, Codes, Frame

SERVICE: Final = "e4d60001-9b1c-4f5a-8f2e-2c6b1f0a7e11"
CONTROL: Final = "e4d60002-9b1c-4f5a-8f2e-2c6b1f0a7e11"
DATA: Final = "e4d60003-9b1c-4f5a-8f2e-2c6b1f0a7e11"

VERSION: Final = 1
AROUND_SAMPLES: Final = 12  # bytes of a data packet that are no samples
PACKET_MOST: Final = 512  # what an attribute of GATT can hold, whatever the MTU
CONTROL_MOST: Final = 20  # fits into the smallest ATT MTU, 23
CLOCK_MODULUS_US: Final = 1 << 32
LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

_UNKNOWN = 255
_DATA_KIND, _KIND_MASK = 0x40, 0xF0
_WIDE, _CONTACT_KNOWN, _CONTACT_ON, _RESERVED = 1, 2, 4, 8
_ANSWER, _STATUS, _STOPPED = 0x80, 0x40, 0x41
_HEADER = struct.Struct("<BBII")
_START = struct.Struct("<BHB")
_INFO = struct.Struct("<BBBBIIB")
_CRC_BYTES = 2

Bits: TypeAlias = Literal[16, 24]


class Op(IntEnum):
    """Commands that are written to the control characteristic."""

    START = 1
    STOP = 2
    DESCRIBE = 3


class Status(IntEnum):
    """Of an answer. Later revisions may add to them; every one but OK is a refusal."""

    OK = 0
    UNKNOWN_COMMAND = 1
    BAD_LENGTH = 2
    BAD_CRC = 3
    RATE_NOT_SUPPORTED = 4
    NOT_MEASURING = 5
    ENCRYPTION_NEEDED = 6
    CANNOT_MEASURE = 7


class StopReason(IntEnum):
    """Why a measurement ended. Later revisions may add to them."""

    COMMANDED = 0
    BATTERY = 1
    ELECTRODES = 2
    FAULT = 3


@dataclass(frozen=True, slots=True)
class Start:
    """rate_hz: 0 lets the patch choose. resume: the measurement to go on with, 0 to begin a new one."""

    rate_hz: int = 0
    resume: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """End the measurement."""


@dataclass(frozen=True, slots=True)
class Describe:
    """Say what is measured, or would be, and change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataPacket:
    """Samples of one notification.

    contact: whether the electrodes touched skin during all of them, None where the patch cannot tell.
    """

    frame: Frame
    bits: Bits
    contact: bool | None


@dataclass(frozen=True, slots=True)
class Info:
    """What a patch measures.

    measurement: 1 to 255, 0 where none runs. lead: of `LEADS`, None where the patch does not know. rate_millihz: the
    nominal rate. codes_per_v: codes to a volt, which is thousandths of codes to a millivolt. battery_percent: 0 to 100.
    """

    measurement: int
    lead: str | None
    bits: Bits
    rate_millihz: int
    codes_per_v: int
    battery_percent: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """To a command. status: as sent, which may be none of `Status`. info: with OK to START and DESCRIBE only."""

    command: int
    status: int
    info: Info | None = None


@dataclass(frozen=True, slots=True)
class OtherVersion:
    """An OK of a patch whose info block is of another version, and is not read for that."""

    command: int
    version: int


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """Battery, 0 to 100, and contact as they are now; None for what the patch does not know."""

    battery_percent: int | None
    contact: bool | None


@dataclass(frozen=True, slots=True)
class StoppedEvent:
    """The measurement ended. reason: as sent, which may be none of `StopReason`."""

    reason: int


Command: TypeAlias = Start | Stop | Describe
Control: TypeAlias = Answer | OtherVersion | StatusEvent | StoppedEvent


def samples_that_fit(att_mtu: int, bits: Bits) -> int:
    """Samples of a data packet that fills a notification at this ATT MTU, 23 or more."""
    return (min(att_mtu - 3, PACKET_MOST) - AROUND_SAMPLES) // (bits // 8)


def next_measurement(last: int, resume: int) -> int:
    """Number of a new measurement after `last`: never 0, and never the one that the client wished to go on with.

    A patch that lost its memory would otherwise give a new measurement the number of the old one.
    """
    following = last % 255 + 1
    return following if following != resume else following % 255 + 1


def encode_data(
    codes: ArrayLike,
    *,
    measurement: int,
    counter: int,
    clock_us: int,
    bits: Bits = 16,
    contact: bool | None = None,
) -> bytes:
    """The packet of codes (n,), integers, that saturate at the ends of the range of `bits`.

    counter and clock_us belong to the first sample, and wrap. Raises ConfigError.
    """
    samples = np.asarray(codes)
    if samples.ndim != 1 or samples.size == 0 or not np.issubdtype(samples.dtype, np.integer):
        raise ConfigError(f"a packet needs a row of integers, found {samples.dtype} {samples.shape}")
    if bits not in (16, 24):
        raise ConfigError(f"samples have 16 or 24 bits, found {bits}")
    _check("measurement", measurement, 1, 255)
    kind = _DATA_KIND | (_WIDE if bits == 24 else 0)
    if contact is not None:
        kind |= _CONTACT_KNOWN | (_CONTACT_ON if contact else 0)
    limit = 1 << (bits - 1)
    whole = np.clip(samples.astype(np.int64), -limit, limit - 1).astype("<i4").view(np.uint8).reshape(-1, 4)
    body = whole[:, : bits // 8].tobytes()
    if len(body) + AROUND_SAMPLES > PACKET_MOST:
        raise ConfigError(f"{samples.size} samples need more than the {PACKET_MOST} bytes of a packet")
    header = _HEADER.pack(kind, measurement, counter % COUNTER_MODULUS, clock_us % CLOCK_MODULUS_US)
    return _sealed(header + body)


def decode_data(data: bytes) -> DataPacket:
    """A notification of the data characteristic.

    Raises FrameError where the length, the checksum, the kind, a reserved bit or the measurement is wrong.
    """
    body = _opened(data, AROUND_SAMPLES + 2, PACKET_MOST)
    kind, measurement, counter, clock_us = _HEADER.unpack_from(body)
    if kind & _KIND_MASK != _DATA_KIND:
        raise FrameError(f"a data packet of kind 0x{kind:02x}; expected 0x40 to 0x47")
    if kind & _RESERVED or kind & (_CONTACT_KNOWN | _CONTACT_ON) == _CONTACT_ON:
        raise FrameError(
            f"a data packet of kind 0x{kind:02x} sets bits that version {VERSION} does not allow"
        )
    if measurement == 0:
        raise FrameError("a data packet of measurement 0; expected 1 to 255")
    raw = body[_HEADER.size :]
    bits: Bits = 24 if kind & _WIDE else 16
    if len(raw) % (bits // 8):
        raise FrameError(f"a data packet of {len(data)} bytes does not hold whole samples of {bits} bits")
    contact = bool(kind & _CONTACT_ON) if kind & _CONTACT_KNOWN else None
    codes = _codes(raw, bits // 8)
    frame = Frame(codes=codes, counter=counter, stamp_ns=clock_us * 1000, measurement=measurement)
    return DataPacket(frame=frame, bits=bits, contact=contact)


def encode_start(rate_hz: int = 0, resume: int = 0) -> bytes:
    """The command that starts a measurement, or goes on with one. Raises ConfigError."""
    _check("rate_hz", rate_hz, 0, 0xFFFF)
    _check("resume", resume, 0, 255)
    return _sealed(_START.pack(Op.START, rate_hz, resume))


def encode_stop() -> bytes:
    """The command that ends the measurement."""
    return _sealed(bytes([Op.STOP]))


def encode_describe() -> bytes:
    """The command that asks what is measured."""
    return _sealed(bytes([Op.DESCRIBE]))


def decode_command(data: bytes) -> Command:
    """What a client wrote to the control characteristic, for a patch. Raises FrameError."""
    status = _status_of(data)
    if status is not Status.OK:
        raise FrameError(f"a command of {data.hex() or 'no bytes'}: {status.name.lower().replace('_', ' ')}")
    if data[0] == Op.START:
        _, rate_hz, resume = _START.unpack_from(data)
        return Start(rate_hz, resume)
    return Stop() if data[0] == Op.STOP else Describe()


def refusal(data: bytes) -> bytes | None:
    """What a patch answers to bytes that are no command; None where they are one."""
    status = _status_of(data)
    return None if status is Status.OK else encode_answer(data[0] & ~_ANSWER if data else 0, status)


def encode_answer(command: int, status: int = Status.OK, info: Info | None = None) -> bytes:
    """A patch's answer; `info` with OK to START and DESCRIBE, and with nothing else. Raises ConfigError."""
    _check("command", command, 0, 127)
    _check("status", status, 0, 255)
    needed = status == Status.OK and command in (Op.START, Op.DESCRIBE)
    if needed != (info is not None) or (status == Status.OK and command not in tuple(Op)):
        raise ConfigError(
            f"an answer to command {command} with status {status} and {info}: not in version {VERSION}"
        )
    head = bytes([_ANSWER | command, status])
    return _sealed(head if info is None else head + _info_bytes(info, running=command == Op.START))


def encode_status(battery_percent: int | None, contact: bool | None) -> bytes:
    """A patch's word on its battery, 0 to 100, and its electrodes. Raises ConfigError."""
    touch = _UNKNOWN if contact is None else int(contact)
    return _sealed(bytes([_STATUS, _battery_byte(battery_percent), touch]))


def encode_stopped(reason: int) -> bytes:
    """A patch's word that the measurement ended. Raises ConfigError."""
    _check("reason", reason, 0, 255)
    return _sealed(bytes([_STOPPED, reason]))


def decode_control(data: bytes) -> Control:
    """An indication of the control characteristic. Raises FrameError for what is none of version 1."""
    body = _opened(data, 4, CONTROL_MOST)
    if body[0] & _ANSWER:
        return _decode_answer(body)
    if body[0] == _STATUS:
        _expect(body, 3, "a status")
        if body[2] not in (0, 1, _UNKNOWN):
            raise FrameError(f"a contact of {body[2]}; expected 0, 1 or 255")
        return StatusEvent(_battery(body[1]), None if body[2] == _UNKNOWN else body[2] == 1)
    if body[0] == _STOPPED:
        _expect(body, 2, "a stop")
        return StoppedEvent(body[1])
    raise FrameError(f"an indication of kind 0x{body[0]:02x}; expected 0x40, 0x41 or 0x80 and above")


def _decode_answer(body: bytes) -> Answer | OtherVersion:
    command, status = body[0] & ~_ANSWER, body[1]
    if status != Status.OK or command == Op.STOP:
        _expect(body, 2, "an answer without info")
        return Answer(command, status)
    if command not in (Op.START, Op.DESCRIBE):
        raise FrameError(f"an OK to command {command}, which version {VERSION} does not have")
    if len(body) > 2 and body[2] != VERSION:
        return OtherVersion(command, body[2])
    _expect(body, 2 + _INFO.size, "an answer with info")
    return Answer(command, status, _decode_info(body, running=command == Op.START))


def _decode_info(body: bytes, *, running: bool) -> Info:
    _, measurement, lead, bits, rate_millihz, codes_per_v, battery = _INFO.unpack_from(body, 2)
    if running and measurement == 0:
        raise FrameError("an OK to a start that names no measurement; expected 1 to 255")
    if lead != _UNKNOWN and lead >= len(LEADS):
        raise FrameError(f"a lead of {lead}; expected 0 to {len(LEADS) - 1}, or 255")
    if bits not in (16, 24):
        raise FrameError(f"samples of {bits} bits; expected 16 or 24")
    if rate_millihz == 0 or codes_per_v == 0:
        raise FrameError(f"a rate of {rate_millihz} mHz at {codes_per_v} codes a volt; expected more than 0")
    name = None if lead == _UNKNOWN else LEADS[lead]
    return Info(measurement, name, bits, rate_millihz, codes_per_v, _battery(battery))


def _info_bytes(info: Info, *, running: bool) -> bytes:
    _check("measurement", info.measurement, int(running), 255)
    _check("rate_millihz", info.rate_millihz, 1, 0xFFFFFFFF)
    _check("codes_per_v", info.codes_per_v, 1, 0xFFFFFFFF)
    if info.bits not in (16, 24):
        raise ConfigError(f"samples have 16 or 24 bits, found {info.bits}")
    if info.lead is not None and info.lead not in LEADS:
        raise ConfigError(f"lead {info.lead!r} is none of {', '.join(LEADS)}")
    lead = _UNKNOWN if info.lead is None else LEADS.index(info.lead)
    battery = _battery_byte(info.battery_percent)
    return _INFO.pack(
        VERSION, info.measurement, lead, info.bits, info.rate_millihz, info.codes_per_v, battery
    )


def _status_of(data: bytes) -> Status:
    """What the patch has to say of bytes that were written to it."""
    lengths = {Op.START: _START.size, Op.STOP: 1, Op.DESCRIBE: 1}
    if len(data) < 1 + _CRC_BYTES:
        return Status.BAD_LENGTH
    if _sealed(data[:-_CRC_BYTES]) != data:
        return Status.BAD_CRC
    if data[0] not in tuple(Op):
        return Status.UNKNOWN_COMMAND
    return Status.OK if len(data) == lengths[Op(data[0])] + _CRC_BYTES else Status.BAD_LENGTH


def _codes(raw: bytes, sample_bytes: int) -> Codes:
    """Little-endian two's complement of 2 or 3 bytes to int32 (n,)."""
    samples = np.frombuffer(raw, dtype=np.uint8).reshape(-1, sample_bytes)
    whole = np.zeros((len(samples), 4), dtype=np.uint8)
    whole[:, 4 - sample_bytes :] = samples
    # shifted down from the top of 32 bits, so that the sign comes along
    return (whole.view("<i4")[:, 0] >> 8 * (4 - sample_bytes)).astype(np.int32)


def _battery(byte: int) -> int | None:
    if byte > 100 and byte != _UNKNOWN:
        raise FrameError(f"a battery of {byte} percent; expected 0 to 100, or 255")
    return None if byte == _UNKNOWN else byte


def _battery_byte(percent: int | None) -> int:
    _check("battery_percent", percent or 0, 0, 100)
    return _UNKNOWN if percent is None else percent


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} lies in {low} to {high}, found {value}")


def _sealed(body: bytes) -> bytes:
    return body + binascii.crc_hqx(body, 0xFFFF).to_bytes(_CRC_BYTES, "little")


def _opened(data: bytes, least: int, most: int) -> bytes:
    """The packet without its checksum. Raises FrameError where its length or its checksum is wrong."""
    if not least <= len(data) <= most:
        raise FrameError(f"a packet of {len(data)} bytes; expected {least} to {most}")
    if _sealed(data[:-_CRC_BYTES]) != data:
        raise FrameError(f"a packet of {len(data)} bytes whose checksum is wrong: it was damaged on its way")
    return data[:-_CRC_BYTES]


def _expect(body: bytes, length: int, what: str) -> None:
    if len(body) != length:
        raise FrameError(f"{what} of {len(body) + _CRC_BYTES} bytes; expected {length + _CRC_BYTES}")
