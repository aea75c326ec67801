"""Bytes of the Polar Measurement Data service, as far as the ECG of an H10 needs them.

Source: the PMD client of Polar's public SDK (polar-ble-sdk, `EcgData.kt`) and its `online_measurement.pdf`. The H10 is
known to send frame type 0; types 1 to 3 are read as the SDK reads them, without extending the sign of types 1 and 2, and
every other type is refused, not guessed: compressed ECG frames exist in no public source.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from edge_mi.errors import ConfigError, FrameError

from .frames import Frame

SERVICE: Final = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL_POINT: Final = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA: Final = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"

RATE_HZ: Final = 130
RESOLUTION_BITS: Final = 14
SAMPLES_PER_FRAME: Final = 73
HEADER_BYTES: Final = 10
SAMPLE_BYTES: Final = 3
NEEDED_MTU: Final = HEADER_BYTES + SAMPLE_BYTES * SAMPLES_PER_FRAME + 3
CLOCK_AFTER_RESET_NS: Final = 599_616_000 * 10**9  # 2019-01-01 on a clock that counts from 2000-01-01

TYPE_MASK: Final = 0x3F  # the bits above say where the data come from (online or a recording)
_ECG = 0
_ANSWER = 0xF0
_DEVICE_STOPPED = 0x01
_LIMIT_UV = 1 << 23


@dataclass(frozen=True, slots=True)
class _Layout:
    """Of one frame type: bytes of a sample, whether the ECG in its first three has a sign, and which bits are the ECG."""

    sample_bytes: int = SAMPLE_BYTES
    signed: bool = False
    mask: int = -1


# what type 3 has after the ECG is the bioimpedance and a status
_LAYOUTS = {
    0: _Layout(signed=True),
    1: _Layout(mask=0x3FFF),
    2: _Layout(mask=0x3FFFF),
    3: _Layout(7, signed=True),
}


class Op(IntEnum):
    """Commands of the control point."""

    GET_SETTINGS = 1
    START = 2
    STOP = 3


class Status(IntEnum):
    """Answers of the control point."""

    SUCCESS = 0
    INVALID_OP_CODE = 1
    INVALID_MEASUREMENT_TYPE = 2
    NOT_SUPPORTED = 3
    INVALID_LENGTH = 4
    INVALID_PARAMETER = 5
    ALREADY_IN_STATE = 6
    INVALID_RESOLUTION = 7
    INVALID_SAMPLE_RATE = 8
    INVALID_RANGE = 9
    INVALID_MTU = 10
    INVALID_NUMBER_OF_CHANNELS = 11
    INVALID_STATE = 12
    DEVICE_IN_CHARGER = 13
    DISK_FULL = 14


class Setting(IntEnum):
    """Parameters of a measurement; each is written as id, count, little-endian values."""

    RATE = 0
    RESOLUTION = 1


_SETTINGS = bytes([Setting.RATE, 1]) + struct.pack("<H", RATE_HZ) + bytes(
    [Setting.RESOLUTION, 1]) + struct.pack("<H", RESOLUTION_BITS)  # fmt: skip
START_ECG: Final = bytes([Op.START, _ECG]) + _SETTINGS
STOP_ECG: Final = bytes([Op.STOP, _ECG])
ECG_SETTINGS: Final = _SETTINGS


@dataclass(frozen=True, slots=True)
class Answer:
    """What the control point answers to a command; status as sent, which may be none of `Status`."""

    op: int
    status: int


@dataclass(frozen=True, slots=True)
class DeviceStopped:
    """The device ended the measurement by itself."""


def decode_control_point(data: bytes) -> Answer | DeviceStopped | None:
    """What an indication of the control point means for the ECG; None for what does not concern it.

    A read of the characteristic comes as an indication too, with its features; it is none of the two.
    """
    if len(data) >= 4 and data[0] == _ANSWER and data[2] & TYPE_MASK == _ECG:
        return Answer(data[1], data[3])
    if len(data) >= 2 and data[0] == _DEVICE_STOPPED and _ECG in [kind & TYPE_MASK for kind in data[1:]]:
        return DeviceStopped()
    return None


def encode_answer(op: int, status: int, parameters: bytes = b"") -> bytes:
    """An answer of the control point about the ECG, for the emulator."""
    more = bytes([0]) + parameters if status == Status.SUCCESS else b""
    return bytes([_ANSWER, op, _ECG, status]) + more


def encode_device_stopped() -> bytes:
    """The control point's word that the device ended the ECG, for the emulator."""
    return bytes([_DEVICE_STOPPED, _ECG])


def decode_ecg_frame(data: bytes) -> Frame:
    """A notification of the data characteristic, codes in microvolts; the stamp is that of its last sample.

    Raises FrameError for anything but whole samples of frame types 0 to 3.
    """
    if len(data) <= HEADER_BYTES:
        raise FrameError(f"a frame of {len(data)} bytes; expected {HEADER_BYTES + SAMPLE_BYTES} or more")
    if data[0] & TYPE_MASK != _ECG:
        raise FrameError(f"a frame of measurement {data[0] & TYPE_MASK}; expected {_ECG}, ECG")
    layout = _LAYOUTS.get(data[9])
    if layout is None:
        raise FrameError(f"an ECG frame of type 0x{data[9]:02x}; expected 0 to 3, not compressed")
    body = np.frombuffer(data, dtype=np.uint8, offset=HEADER_BYTES)
    if len(body) % layout.sample_bytes:
        raise FrameError(f"a frame of {len(data)} bytes does not hold whole samples: it was cut on its way")
    triples = body.reshape(-1, layout.sample_bytes)[:, :SAMPLE_BYTES].astype(np.int32)
    codes = triples[:, 0] | triples[:, 1] << 8 | triples[:, 2] << 16
    if layout.signed:
        codes = np.where(codes >= _LIMIT_UV, codes - 2 * _LIMIT_UV, codes).astype(np.int32)
    return Frame(codes=codes & layout.mask, stamp_ns=struct.unpack_from("<Q", data, 1)[0])


def encode_ecg_frame(stamp_ns: int, samples_uv: ArrayLike) -> bytes:
    """The frame of samples (n,), integers in microvolts, whose last one has the stamp. Raises ConfigError."""
    samples = np.asarray(samples_uv)
    if samples.ndim != 1 or samples.size == 0 or not np.issubdtype(samples.dtype, np.integer):
        raise ConfigError(f"a frame needs a row of integers, found {samples.dtype} {samples.shape}")
    if samples.min() < -_LIMIT_UV or samples.max() >= _LIMIT_UV:
        raise ConfigError(f"microvolts outside 24 bits: {samples.min()} to {samples.max()}")
    body = samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :SAMPLE_BYTES]
    return bytes([_ECG]) + struct.pack("<Q", stamp_ns) + bytes([0]) + body.tobytes()
