"""HealthyPi boards that do not exist: no commands, no counter, no clock; they send while somebody is subscribed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..frames import Codes
from ..healthypi_packets import ECG, SERVICE, Layout, encode
from .gatt import Characteristic, Send, SensorState, Service, battery_service, battery_status


class HealthyPi:
    """One board of this layout, which sends `samples` at once."""

    clock_start_ns = 0
    status_every_s = math.inf
    advertised: tuple[str, ...] = ()

    def __init__(self, layout: Layout, name: str, samples: int) -> None:
        self._layout, self.name, self._samples = layout, name, samples
        self.rate_hz, self.codes_per_mv = layout.format.rate_hz, layout.format.codes_per_mv
        self.limit = 1 << (layout.code_bits - 1)
        self.measuring = False

    @property
    def measurement(self) -> int:
        """See `EmulatedPatch`."""
        return int(self.measuring)

    def services(self, state: SensorState) -> Sequence[Service]:
        """See `EmulatedPatch`."""
        return (battery_service(state), Service(SERVICE, (Characteristic(ECG, ("notify",)),)))

    def written(self, characteristic: str, data: bytes, mtu: int, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`; there is nothing to write to."""
        del characteristic, data, mtu, state
        return ()

    def subscribed(self, characteristic: str, *, on: bool) -> None:
        """See `EmulatedPatch`."""
        if characteristic == ECG:
            self.measuring = on

    def parted(self) -> None:
        """See `EmulatedPatch`."""
        self.measuring = False

    def alone(self, seconds: float) -> None:
        """See `EmulatedPatch`."""

    def samples_in_packet(self, mtu: int) -> int:
        """See `EmulatedPatch`."""
        del mtu
        return self._samples

    def packet(
        self, codes: Codes, number: int, stamps_ns: tuple[int, int], state: SensorState
    ) -> Sequence[Send]:
        """See `EmulatedPatch`; a packet that is not full is not sent."""
        del number, stamps_ns, state
        return (Send(ECG, encode(self._layout, codes)),) if len(codes) == self._samples else ()

    def status(self, state: SensorState) -> Sequence[Send]:
        """See `EmulatedPatch`; it says nothing of contact."""
        return (battery_status(state),)

    def ended(self) -> Sequence[Send]:
        """See `EmulatedPatch`; it falls silent."""
        self.measuring = False
        return ()

    def reset(self) -> None:
        """See `EmulatedPatch`."""
        self.measuring = False
