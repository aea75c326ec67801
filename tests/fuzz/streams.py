"""Whole streams made of a fuzzer's bytes: each begins as its patch's streams do, and then sends what the input says.

No fuzzer finds an answer to a start, a checksum or a stamp that fits by itself, and without them no frame gets as far as
the counts, the gaps and the clock. So the input decides which frames come, of what length, with which counter, stamp and
time of arrival, and what comes between them; a share of it arrives as it is. Needs no fuzzer: tests send bytes of their own.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from edge_mi.firmware_bridge import edge_mi_packet as emp
from edge_mi.firmware_bridge import healthypi_packets as healthypi
from edge_mi.firmware_bridge import movesense_gsp as gsp
from edge_mi.firmware_bridge import polar_pmd as pmd
from edge_mi.firmware_bridge.battery import BATTERY_LEVEL
from edge_mi.firmware_bridge.profile import Profile, Wishes
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.receiver import Heard, Output, Receiver
from edge_mi.firmware_bridge.session import Ended, Refused, Write
from edge_mi.firmware_bridge.statistics import StreamStatistics

from edge_mi.samples import Chunk

Notification: TypeAlias = tuple[str, bytes]

_MOST_FRAMES: Final = 16  # in a row that goes on without a fault
_LEADS: Final = (None, *emp.LEADS)


class Given:
    """The input, taken from its front; what is asked for beyond its end is zero."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, n: int) -> bytes:
        """Up to n bytes."""
        taken = self._data[self._at : self._at + n]
        self._at += len(taken)
        return taken

    def number(self, n: int = 1) -> int:
        """Of n bytes."""
        return int.from_bytes(self.take(n), "little")

    def signed(self, n: int) -> int:
        """Of n bytes, the last of which has the sign."""
        return int.from_bytes(self.take(n), "little", signed=True)


def sealed(body: bytes) -> bytes:
    """With the checksum of an EdgeMI packet."""
    return body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2, "little")


class Patch(Protocol):
    """One kind of patch: right answers, right frames, and what else it may say in its own form.

    rate_hz: of its samples. usual, most: samples of a packet.
    """

    rate_hz: float
    usual: int
    most: int

    def answer(self, data: bytes, given: Given) -> Sequence[Notification]:
        """To a command that was written."""

    def frame(self, codes: np.ndarray, counter: int, stamp_ns: int) -> Sequence[Notification]:
        """A whole frame; stamp_ns: of its first sample."""

    def other(self, given: Given) -> Notification:
        """Any word or frame of the input's own, in a form that is read."""


class _H10:
    rate_hz, usual, most = float(pmd.RATE_HZ), pmd.SAMPLES_PER_FRAME, 160

    def answer(self, data: bytes, given: Given) -> Sequence[Notification]:
        del given
        return [(pmd.CONTROL_POINT, pmd.encode_answer(data[0], pmd.Status.SUCCESS))]

    def frame(self, codes: np.ndarray, counter: int, stamp_ns: int) -> Sequence[Notification]:
        del counter
        last_ns = stamp_ns + round((len(codes) - 1) / self.rate_hz * 1e9)
        return [(pmd.DATA, pmd.encode_ecg_frame(last_ns % (1 << 64), codes))]

    def other(self, given: Given) -> Notification:
        kind = given.number()
        if kind < 24:
            return pmd.CONTROL_POINT, pmd.encode_answer(kind % 4, given.number() % 16)
        if kind < 26:
            return pmd.CONTROL_POINT, pmd.encode_device_stopped()
        head = bytes([0]) + given.take(8) + bytes([kind % 5])
        return pmd.DATA, head + given.take(7 * (kind % 32))


class _Movesense:
    usual, most = gsp.SAMPLES_PER_FRAME, gsp.SAMPLES_MOST

    def __init__(self) -> None:
        self._reference = 1
        self.rate_hz = 128.0

    def answer(self, data: bytes, given: Given) -> Sequence[Notification]:
        del given
        request = gsp.decode_command(data)
        self._reference = request.reference
        self.rate_hz = next((float(hz) for hz in gsp.RATES_HZ if gsp.ecg_path(hz) == request.path), 128.0)
        return [(gsp.DATA, gsp.encode_answer(self._reference, gsp.Status.OK))]

    def frame(self, codes: np.ndarray, counter: int, stamp_ns: int) -> Sequence[Notification]:
        del counter
        parts = gsp.encode_ecg(self._reference, round(stamp_ns / 1e6), codes)
        return [(gsp.DATA, part) for part in parts]

    def other(self, given: Given) -> Notification:
        kind = given.number()
        if kind < 16:
            return gsp.DATA, gsp.encode_answer(self._reference, given.number(2), big_endian=bool(kind & 1))
        head = bytes([gsp.Response.SECOND_PART if kind & 1 else gsp.Response.DATA, self._reference])
        if kind & 2:  # a first part is known by its length
            return gsp.DATA, (head + given.take(4)).ljust(len(head) + gsp.FIRST_PART_BYTES, b"\0")
        return gsp.DATA, head + given.take(4 * (kind >> 2))


class _HealthyPi:
    def __init__(self, layout: healthypi.Layout) -> None:
        self._layout = layout
        self.rate_hz = float(layout.format.rate_hz)
        self.usual, self.most = layout.samples

    def answer(self, data: bytes, given: Given) -> Sequence[Notification]:
        del data, given
        return []

    def frame(self, codes: np.ndarray, counter: int, stamp_ns: int) -> Sequence[Notification]:
        del counter, stamp_ns
        return [
            (healthypi.ECG, healthypi.encode(self._layout, np.resize(codes, max(len(codes), self.usual))))
        ]

    def other(self, given: Given) -> Notification:
        n = self._layout.sample_bytes * (given.number() % (self.most + 2))
        return healthypi.ECG, given.take(n).ljust(n, b"\0")


class _EdgeMi:
    usual, most = 62, 160

    def __init__(self) -> None:
        self.rate_hz = 250.0
        self._measurement = 0
        self._bits: emp.Bits = 16

    def answer(self, data: bytes, given: Given) -> Sequence[Notification]:
        command = emp.decode_command(data)
        if not isinstance(command, emp.Start):
            return [(emp.CONTROL, emp.encode_answer(emp.Op.STOP))]
        form = given.number()
        resumed = command.resume and command.resume == self._measurement and form & 1
        if not resumed:
            self._measurement = emp.next_measurement(self._measurement, command.resume)
            self._bits = 24 if form & 2 else 16
        rate_millihz = max(1, given.number(4)) if form >> 4 == 15 else 250_000
        self.rate_hz = rate_millihz / 1000
        info = emp.Info(
            self._measurement,
            _LEADS[(form >> 2) % len(_LEADS)],
            self._bits,
            rate_millihz,
            1 if form >> 4 == 14 else 200_000,
            given.number() % 101,
        )
        return [(emp.CONTROL, emp.encode_answer(emp.Op.START, emp.Status.OK, info))]

    def frame(self, codes: np.ndarray, counter: int, stamp_ns: int) -> Sequence[Notification]:
        whole = emp.encode_data(
            codes,
            measurement=max(1, self._measurement),
            counter=counter,
            clock_us=stamp_ns // 1000,
            bits=self._bits,
            contact=(None, True, False)[counter % 3] if len(codes) < 4 else True,
        )
        return [(emp.DATA, whole)]

    def other(self, given: Given) -> Notification:
        kind = given.number()
        if kind < 32:
            return emp.CONTROL, emp.encode_status(given.number() % 101, (None, True, False)[kind % 3])
        if kind < 34:
            return emp.CONTROL, emp.encode_stopped(given.number())
        if kind < 96:
            return emp.CONTROL, sealed(given.take(kind % 32))
        head = bytes([0x40 | kind & 7, (max(1, self._measurement) + (kind >> 6 == 3)) % 256])
        return emp.DATA, sealed(head + given.take(8 + (kind & 63) * 3))


_KINDS: Final[dict[str, Callable[[], Patch]]] = {
    "h10": _H10,
    "movesense": _Movesense,
    "healthypi5-fw1": lambda: _HealthyPi(healthypi.HEALTHYPI_5),
    "healthypi-move": lambda: _HealthyPi(healthypi.HEALTHYPI_MOVE),
    "healthypi4": lambda: _HealthyPi(healthypi.HEALTHYPI_V4),
    "edgemi": _EdgeMi,
}


def _is_refused(profile: Profile) -> bool:
    """Whether no stream of this profile ever begins: the HealthyPi 5, unless the user knows its firmware."""
    return any(isinstance(each, Refused) for each in profile.session(Wishes()).begin())


class StreamTarget:
    """Streams of one profile. chunks, samples, streams: how many got through, over all inputs."""

    def __init__(self, key: str) -> None:
        self.profile = PROFILES[key]
        self._make = _KINDS[key]
        self._places = (*self.profile.subscribe, *self.profile.optional)
        self.chunks = self.samples = self.streams = 0

    def __call__(self, data: bytes) -> None:
        """Raises whatever the receiver raises, and AssertionError where its numbers contradict each other."""
        run = _Run(self, self.profile, self._make(), self._places, Given(data))
        while run.given.left:
            run.step()


class _Run:
    """One input."""

    def __init__(
        self, target: StreamTarget, profile: Profile, patch: Patch, places: Sequence[str], given: Given
    ) -> None:
        self.given, self._target, self._profile, self._patch = given, target, profile, patch
        self._places = places
        self._number, self._shift_ns = 0, 0  # samples made, and by what the clock was set
        self._host_s = 1000.0
        self._latest: Sequence[Notification] = ()
        self._open()

    def step(self) -> None:
        """What one byte of the input says, with as many more as that needs."""
        byte = self.given.number()
        match byte & 7:
            case 0 | 1 | 2:
                self._go_on(1 + (byte >> 3) % _MOST_FRAMES)
            case 3:
                self._displace(byte >> 3)
            case 4:
                self._arrive(
                    self._places[(byte >> 3) % len(self._places)], self.given.take(self.given.number())
                )
            case 5:
                self._arrive(*self._patch.other(self.given))
            case 6:
                self._pause(byte >> 3)
            case _:
                self._reconnect(byte >> 3)

    def _go_on(self, frames: int) -> None:
        """Frames as they should come, some milliseconds early or late."""
        late_ms = self.given.signed(1)
        for _ in range(frames):
            self._send(self._patch.usual, late_ms=late_ms)

    def _displace(self, how: int) -> None:
        """One frame that is out of place: its length, its counter, its stamp, as the bits say."""
        n = 1 + self.given.number() % self._patch.most if how & 1 else self._patch.usual
        counter = self.given.signed(4 if how & 8 else 2) if how & 2 else 0
        stamp_ns = self.given.signed(8) if how & 8 else self.given.signed(3) * 1_000_000
        if how & 16:  # what comes after it is out of place as well
            self._number += max(0, counter)
            self._shift_ns += stamp_ns if how & 4 else 0
            counter = stamp_ns = 0
        self._send(n, counter, stamp_ns if how & 4 else 0, late_ms=0)

    def _pause(self, how: int) -> None:
        """Time passes, or something comes again, or only in part."""
        match how & 3:
            case 0:
                missed_s = self.given.number(2) / 1000
                self._host_s += missed_s
                if how & 4:  # the sensor went on
                    self._number += round(missed_s * self._patch.rate_hz)
            case 1:
                for each in self._latest:
                    self._arrive(*each)
            case 2:
                for characteristic, data in self._latest:
                    self._arrive(characteristic, data[: self.given.number()])
            case _:
                self._arrive(BATTERY_LEVEL, self.given.take(1))

    def _reconnect(self, how: int) -> None:
        """The link was lost, or this machine was too slow; then a connection that may cut its packets."""
        self._receiver.interrupt("overrun" if how & 1 else "link_lost")
        if how & 2:
            self._begin(self.given.number(2) if how & 4 else None)

    def _send(self, n: int, counter: int = 0, stamp_ns: int = 0, *, late_ms: int) -> None:
        rate_hz = self._patch.rate_hz
        codes = (np.arange(self._number, self._number + n) % 1000).astype(np.int32)
        at_ns = round(self._number / rate_hz * 1e9) + self._shift_ns + stamp_ns
        self._latest = self._patch.frame(codes, self._number + counter, at_ns)
        self._number += n
        self._host_s += n / rate_hz
        for characteristic, data in self._latest:
            self._arrive(characteristic, data, late_ms / 1000)

    def _arrive(self, characteristic: str, data: bytes, late_s: float = 0.0) -> None:
        self._take(self._receiver.receive(characteristic, data, self._host_s + late_s))

    def _open(self) -> None:
        """A stream of its own, as that of a program that is started anew."""
        self._statistics = StreamStatistics()
        self._receiver = Receiver(
            lambda before: self._profile.next_session(Wishes(), before), self._statistics
        )
        self._index = self._delivered = 0
        self._target.streams += 1
        self._begin(None)

    def _begin(self, cut_bytes: int | None) -> None:
        self._take(self._receiver.begin(cut_bytes))

    def _take(self, outputs: Sequence[Output]) -> None:
        """Answer what is written, check what is heard, and begin anew after an end."""
        for output in outputs:
            match output:
                case Write():
                    for characteristic, data in self._patch.answer(output.data, self.given):
                        self._arrive(characteristic, data)
                case Heard():
                    self._hear(output)
                case Refused() | Ended():
                    self._open()
                    return

    def _hear(self, heard: Heard) -> None:
        item: Any = heard.item
        assert math.isfinite(item.t_s)
        assert heard.host_s is None or math.isfinite(heard.host_s)
        if not isinstance(item, Chunk):
            assert item.n_samples is None or item.n_samples > 0
            self._index += item.n_samples or 0
            return
        n = len(item.samples_mv)
        assert item.index == self._index, f"a chunk at {item.index}, expected {self._index}"
        assert np.all(np.isfinite(item.samples_mv))
        self._index += n
        self._delivered += n
        assert self._statistics.samples >= self._delivered
        self._target.chunks += 1
        self._target.samples += n


STREAMS: Final = {
    f"{key}-stream": StreamTarget(key) for key, profile in PROFILES.items() if not _is_refused(profile)
}
