"""The sensor of an emulated patch: a record as packets, on a clock of its own, with the faults of a plan.

It knows no radio and no clock: a shell asks for the next packet and does what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from edge_mi.errors import SignalError

from ..frames import Codes
from .fault_plan import NO_FAULTS, Fault, FaultPlan
from .gatt import EmulatedPatch, Send, SensorState

After: TypeAlias = Literal["disconnect", "end"]
_PPM = 1e-6


@dataclass(frozen=True, slots=True)
class Packet:
    """What the patch sends next.

    due_s: world time since the sensor was switched on. after: what happens then. away_s: how long it stays out of
    reach after a disconnect; the sensor has gone on by that time already.
    """

    due_s: float
    sends: Sequence[Send]
    after: After | None = None
    away_s: float = 0.0


class EmulatedSensor:
    """codes: int (n,), the record in the patch's own integers at its rate; what is beyond its range is clipped.

    repeat: begin the record again at its end; without it the measurement ends there, and so does every later one. made:
    samples since it was switched on, sent or not. Raises SignalError for another shape or no samples.
    """

    def __init__(
        self, patch: EmulatedPatch, codes: Codes, plan: FaultPlan = NO_FAULTS, *, repeat: bool = False
    ) -> None:
        if codes.ndim != 1 or codes.size == 0:
            raise SignalError(f"a record has one row of samples, found shape {codes.shape}")
        self.patch, self.plan, self._repeat = patch, plan, repeat
        self._codes = np.clip(codes, -patch.limit, patch.limit - 1).astype(np.int32)
        self.state = SensorState(battery_percent=plan.battery_percent)
        self.made = 0
        self._position = 0  # in the record
        self._numbered_from = 0  # of the sensor's numbers and clock, which a reset begins anew
        self._clock_ns = patch.clock_start_ns
        self._told_s = -1.0  # up to where faults were looked up
        self._left: dict[str, tuple[Fault, int]] = {}  # faults that take more packets
        self._held: Sequence[Send] = ()
        self._stalled_until_s = 0.0
        self._status_s = 0.0  # when it was told last, on the sensor's own time

    @property
    def world_s(self) -> float:
        """The world's time since the sensor was switched on, at the sample that it makes next."""
        return self._own_s / self._own_per_world

    @property
    def due_s(self) -> float:
        """The world's time at which what it made so far is sent."""
        return max(self.world_s, self._stalled_until_s)

    def begin(self) -> None:
        """A measurement begins, or goes on over another link; what was stalled or held back on the old one is gone."""
        self._stalled_until_s = 0.0
        self._held, self._status_s = (), self._own_s

    def live_until(self, world_s: float, *, alone: bool) -> None:
        """The sensor goes on to this time of the world while it sends nothing. alone: whether nobody is connected."""
        missing = round(world_s * self._own_per_world * self._true_hz) - self.made
        if missing > 0:
            self._pass(missing, alone=alone)

    def next_packet(self, mtu: int) -> Packet:
        """The next samples as notifications, with whatever goes wrong with them."""
        number = self.made - self._numbered_from
        codes = self._take(self.patch.samples_in_packet(mtu))
        if codes.size == 0:
            return Packet(self.due_s, self.patch.ended(), "end")
        stamps_ns = self._stamp_ns(number), self._stamp_ns(number + len(codes) - 1)
        self._advance(len(codes))
        status, struck = self._strike(len(codes))
        sends = [*self._harm([*self.patch.packet(codes, number, stamps_ns, self.state)]), *status]
        due_s = self.due_s
        if any(fault.kind == "end" for fault in struck):
            sends += self.patch.ended()
        away = [fault for fault in struck if fault.kind in ("disconnect", "reset")]
        for fault in away:  # only now: what was measured before is packed and timed as it was
            self._leave(fault)
        if away:
            return Packet(due_s, sends, "disconnect", sum(fault.for_s for fault in away))
        return Packet(due_s, sends, "end" if struck else None)

    @property
    def _own_s(self) -> float:
        """The sensor's own time since it was switched on."""
        return self.made / self._true_hz

    @property
    def _own_per_world(self) -> float:
        return 1 + self.plan.drift_ppm * _PPM

    @property
    def _true_hz(self) -> float:
        """Samples in a second of the sensor's own clock."""
        return self.patch.rate_hz * (1 + self.plan.rate_ppm * _PPM)

    def _stamp_ns(self, number: int) -> int:
        return self._clock_ns + round(number / self._true_hz * 1e9)

    def _take(self, n: int) -> Codes:
        if self._repeat:
            return self._codes[np.arange(self._position, self._position + n) % len(self._codes)]
        return self._codes[self._position : self._position + n]

    def _pass(self, n: int, *, alone: bool) -> None:
        self._advance(n)
        if alone:
            self.patch.alone(n / self._true_hz)

    def _advance(self, n: int) -> None:
        self.made += n
        self._position += n

    def _strike(self, n: int) -> tuple[list[Send], list[Fault]]:
        """Begin the faults that are due by now; the status behind a packet of n, and those that end link or measurement."""
        before_s, self._told_s = self._told_s, self._own_s
        status: list[Send] = []
        ending = []
        for fault in self.plan.fault:
            if fault.times(before_s, self._told_s):
                status += self._begin_fault(fault)
                if fault.kind in ("disconnect", "reset", "end"):
                    ending.append(fault)
        # with the next packet it would come too late
        if not status and self._own_s + n / self._true_hz > self._status_s + self.patch.status_every_s:
            status += self.patch.status(self.state)
        if status:
            self._status_s = self._own_s
        return status, ending

    def _leave(self, fault: Fault) -> None:
        if fault.kind == "reset":
            self.patch.reset()
            self._numbered_from, self._clock_ns = self.made, self.patch.clock_start_ns
        self._pass(round(fault.for_s * self._true_hz), alone=True)

    def _begin_fault(self, fault: Fault) -> Sequence[Send]:
        match fault.kind:
            case "drop" | "duplicate" | "truncate" | "corrupt" | "reorder":
                self._left[fault.kind] = (fault, fault.packets)
            case "stall":
                self._stalled_until_s = max(self._stalled_until_s, self.world_s + fault.for_s)
            case "clock_jump":
                self._clock_ns += round(fault.by_s * 1e9)
            case "battery":
                self.state = replace(self.state, battery_percent=fault.percent)
                return self.patch.status(self.state)
            case "contact":
                self.state = replace(self.state, contact=fault.on)
                return self.patch.status(self.state)
            case "disconnect" | "reset" | "end":
                pass
        return ()

    def _harm(self, sends: list[Send]) -> list[Send]:
        """The packet as it arrives, under the faults that take packets now."""
        if self._strikes("drop"):
            sends = []
        if (fault := self._strikes("truncate")) is not None:
            sends = [Send(each.characteristic, _cut(each.data, fault.keep_bytes)) for each in sends]
        if self._strikes("corrupt"):
            sends = [Send(each.characteristic, _corrupted(each.data)) for each in sends]
        if self._strikes("duplicate"):
            sends = sends * 2
        held, self._held = self._held, ()
        if self._strikes("reorder"):
            self._held, sends = sends, []
        return [*sends, *held]

    def _strikes(self, kind: str) -> Fault | None:
        fault, packets = self._left.get(kind, (None, 0))
        if fault is None or packets == 0:
            return None
        self._left[kind] = (fault, packets - 1)
        return fault


def _cut(data: bytes, keep_bytes: int | None) -> bytes:
    """The first half, unless the plan says how much is left."""
    return data[: len(data) // 2 if keep_bytes is None else keep_bytes]


def _corrupted(data: bytes) -> bytes:
    """One bit turned over in the middle, where there is any."""
    if not data:
        return data
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]
