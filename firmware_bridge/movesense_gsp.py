"""Bytes of Movesense's GATT SensorData Protocol (GSP, version 1), as far as the ECG needs them.

Sources: Movesense's specification of the protocol (GD-77, movesense.com/docs/esw/gatt_sensordata_protocol), its sample
firmware (`gatt_sensordata_app`, GATTSensorDataClient.cpp) and API (`meas/ecg.yaml`). One code is 1 / 20 / 2^17 V, by the
maker's own answer to the question.

What is longer than 150 bytes comes as two notifications, and the first of them is full. An ECG frame of 150 bytes
cannot be, for it would hold 36.5 samples, so this length tells a first part from a whole frame; the 16 samples that
known firmware sends need 68 bytes and are never split. A second part carries neither stamp nor number: where it is
lost together with the first part after it, two halves that do not belong together are joined, and nobody can see it.

`/Meas/ECG/<rate>/mV` is neither asked for nor read: the specification says float32, sensors send int16, and public
clients disagree on its scale.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from edge_mi.errors import ConfigError, FrameError

from .frames import Frame

SERVICE: Final = "34802252-7185-4d5d-b431-630e7050e8f0"
COMMAND: Final = "34800001-7185-4d5d-b431-630e7050e8f0"
DATA: Final = "34800002-7185-4d5d-b431-630e7050e8f0"

RATES_HZ: Final = (125, 128, 200, 250, 256, 500, 512)
CODES_PER_MV: Final = 20 * 2**17 / 1000
CODE_BITS: Final = 24  # the converter has 18; what needs more is of another resource
STAMP_MODULUS_MS: Final = 1 << 32
SAMPLES_PER_FRAME: Final = 16  # of known firmware; the protocol allows others
FIRST_PART_BYTES: Final = 150
SAMPLES_MOST: Final = (2 * FIRST_PART_BYTES - 4) // 4
NEEDED_MTU: Final = 3 + 2 + 4 + 4 * SAMPLES_PER_FRAME

_HEADER_BYTES = 2
_STAMP_BYTES = 4
_SAMPLE_BYTES = 4
_LIMIT = 1 << (CODE_BITS - 1)


class Command(IntEnum):
    """What is written to the command characteristic."""

    HELLO = 0
    SUBSCRIBE = 1
    UNSUBSCRIBE = 2


class Response(IntEnum):
    """What a notification is."""

    ANSWER = 1
    DATA = 2
    SECOND_PART = 3


class Status(IntEnum):
    """Of an answer, numbered as in HTTP. Others may come."""

    CONTINUE = 100
    OK = 200
    CREATED = 201
    ACCEPTED = 202
    BAD_REQUEST = 400
    FORBIDDEN = 403
    NOT_FOUND = 404
    CONFLICT = 409
    INTERNAL_ERROR = 500
    NOT_IMPLEMENTED = 501
    UNAVAILABLE = 503
    NO_ROOM = 507


@dataclass(frozen=True, slots=True)
class Request:
    """A command. reference: what ties the answer to it, never 0. path: the resource, with SUBSCRIBE only."""

    command: Command
    reference: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """To a command. status: as sent, which may be none of `Status`."""

    reference: int
    status: int


@dataclass(frozen=True, slots=True)
class Part:
    """What a subscription sends: a whole frame, or the first or second part of one."""

    reference: int
    body: bytes
    second: bool = False

    @property
    def awaits_second(self) -> bool:
        """Whether this is the first part of a frame that is too long for one notification."""
        return not self.second and len(self.body) == FIRST_PART_BYTES


Notification: TypeAlias = Answer | Part


def ecg_path(rate_hz: int) -> str:
    """The resource of the ECG at a rate."""
    return f"/Meas/ECG/{rate_hz}"


def encode_subscribe(reference: int, path: str) -> bytes:
    """The command that starts a stream. Raises ConfigError."""
    if not path or not path.isascii() or "\0" in path:
        raise ConfigError(f"a resource is named in ASCII, found {path!r}")
    return bytes([Command.SUBSCRIBE, _checked(reference)]) + path.encode("ascii")


def encode_unsubscribe(reference: int) -> bytes:
    """The command that ends the stream with this reference. Raises ConfigError."""
    return bytes([Command.UNSUBSCRIBE, _checked(reference)])


def decode_command(data: bytes) -> Request:
    """What a client wrote, for the emulator. Raises FrameError."""
    if len(data) < _HEADER_BYTES or data[0] not in tuple(Command) or data[1] == 0:
        raise FrameError(f"a command of {data.hex() or 'no bytes'}; expected 0, 1 or 2, and a reference")
    command, rest = Command(data[0]), data[_HEADER_BYTES:]
    if (command is Command.SUBSCRIBE) != bool(rest) or not rest.isascii() or b"\0" in rest:
        raise FrameError(f"a command of {data.hex()}; a resource in ASCII belongs to a subscription only")
    return Request(command, data[1], rest.decode("ascii"))


def encode_answer(reference: int, status: int, *, big_endian: bool = False) -> bytes:
    """A sensor's answer, for the emulator; some firmware sends a status with its high byte first. Raises ConfigError."""
    if not 0 <= status <= 0xFFFF:
        raise ConfigError(f"a status has 16 bits, found {status}")
    order = ">H" if big_endian else "<H"
    return bytes([Response.ANSWER, _checked(reference)]) + struct.pack(order, status)


def encode_ecg(reference: int, stamp_ms: int, codes: ArrayLike) -> tuple[bytes, ...]:
    """The one or two notifications of codes (n,), integers, whose first one has the stamp, which wraps.

    Raises ConfigError.
    """
    samples = np.asarray(codes)
    if samples.ndim != 1 or samples.size == 0 or not np.issubdtype(samples.dtype, np.integer):
        raise ConfigError(f"a frame needs a row of integers, found {samples.dtype} {samples.shape}")
    if samples.size > SAMPLES_MOST:
        raise ConfigError(f"two notifications hold {SAMPLES_MOST} samples, found {samples.size}")
    if samples.min() < -_LIMIT or samples.max() >= _LIMIT:
        raise ConfigError(f"codes outside {CODE_BITS} bits: {samples.min()} to {samples.max()}")
    body = struct.pack("<I", stamp_ms % STAMP_MODULUS_MS) + samples.astype("<i4").tobytes()
    first, second = body[:FIRST_PART_BYTES], body[FIRST_PART_BYTES:]
    whole = bytes([Response.DATA, _checked(reference)]) + first
    return (whole, bytes([Response.SECOND_PART, reference]) + second) if second else (whole,)


def decode_notification(data: bytes) -> Notification:
    """What a sensor says. Raises FrameError."""
    if len(data) <= _HEADER_BYTES:
        raise FrameError(f"a notification of {len(data)} bytes; expected 3 or more")
    kind, reference, body = data[0], data[1], bytes(data[_HEADER_BYTES:])
    if kind == Response.ANSWER:
        if len(body) < 2:
            raise FrameError(f"an answer of {data.hex()}, without a status of two bytes")
        return Answer(reference, _status(body))
    if kind in (Response.DATA, Response.SECOND_PART):
        return Part(reference, body, kind == Response.SECOND_PART)
    raise FrameError(f"a notification of kind {kind}; expected 1, 2 or 3")


def decode_ecg(body: bytes) -> Frame:
    """The frame in the body of a whole notification, or in the two bodies of a split one, one after the other.

    Raises FrameError for anything but a stamp and samples of 32 bits that fit into `CODE_BITS`.
    """
    sample_bytes = len(body) - _STAMP_BYTES
    if sample_bytes <= 0 or sample_bytes % _SAMPLE_BYTES:
        raise FrameError(
            f"a frame of {len(body)} bytes does not hold a stamp and whole samples: it was cut on its way, or is none "
            "of the ECG in codes"
        )
    codes = np.frombuffer(body, dtype="<i4", offset=_STAMP_BYTES).astype(np.int32)
    if codes.min() < -_LIMIT or codes.max() >= _LIMIT:
        raise FrameError(f"codes of {codes.min()} to {codes.max()}; expected {CODE_BITS} bits")
    return Frame(codes=codes, stamp_ns=struct.unpack_from("<I", body)[0] * 10**6)


def _status(body: bytes) -> int:
    """Little-endian, as clients read it, unless only the other order makes it one that is known."""
    little, big = struct.unpack_from("<H", body)[0], struct.unpack_from(">H", body)[0]
    known = tuple(Status)
    return int(big if big in known and little not in known else little)


def _checked(reference: int) -> int:
    if not 1 <= reference <= 255:
        raise ConfigError(f"a reference lies in 1 to 255, found {reference}")
    return reference
