"""What an emulated patch shows over the air, and the contract that each profile's emulation keeps: no clock, no radio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from ..battery import BATTERY_LEVEL
from ..frames import Codes

Property: TypeAlias = Literal["read", "write", "notify", "indicate"]

BATTERY_SERVICE: Final = "0000180f-0000-1000-8000-00805f9b34fb"
DEVICE_INFORMATION: Final = "0000180a-0000-1000-8000-00805f9b34fb"
MODEL_NUMBER: Final = "00002a24-0000-1000-8000-00805f9b34fb"


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A characteristic with what can be done to it. value: what a read gives. encrypted: only over such a link."""

    uuid: str
    properties: tuple[Property, ...]
    value: bytes = b""
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service with its characteristics."""

    uuid: str
    characteristics: tuple[Characteristic, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Notify a subscriber of `characteristic`, or indicate it where that is its property."""

    characteristic: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorState:
    """What the emulated sensor is like at a packet: battery in percent, and whether its electrodes touch skin."""

    battery_percent: int = 87
    contact: bool = True


class EmulatedPatch(Protocol):
    """One kind of patch, as seen from the other side: what it answers, and how it packs samples.

    name, advertised: what it says of itself in the air. rate_hz, codes_per_mv, limit: of its samples, whose codes lie
    in [-limit, limit). clock_start_ns: what its clock says after a reset. status_every_s: the longest that it measures
    without telling its status, inf where it tells changes only.
    """

    name: str
    advertised: tuple[str, ...]
    rate_hz: float
    codes_per_mv: float
    limit: int
    clock_start_ns: int
    status_every_s: float

    @property
    def measuring(self) -> bool:
        """Whether packets are wanted."""

    @property
    def measurement(self) -> int:
        """Number of the measurement that runs, 0 for none; where another one follows it, the number is another."""

    def services(self, state: SensorState) -> Sequence[Service]:
        """What a client discovers."""

    def written(self, characteristic: str, data: bytes, mtu: int, state: SensorState) -> Sequence[Send]:
        """Answers to a command."""

    def subscribed(self, characteristic: str, *, on: bool) -> None:
        """Some patches measure for as long as somebody listens."""

    def parted(self) -> None:
        """The link is gone."""

    def alone(self, seconds: float) -> None:
        """Time that passes while nobody is connected."""

    def samples_in_packet(self, mtu: int) -> int:
        """How many samples it sends at once over a link of this MTU."""

    def packet(
        self, codes: Codes, number: int, stamps_ns: tuple[int, int], state: SensorState
    ) -> Sequence[Send]:
        """Notifications of samples int32 (n,): number of the first, sensor time of the first and last."""

    def status(self, state: SensorState) -> Sequence[Send]:
        """What it sends when its battery or contact changed."""

    def ended(self) -> Sequence[Send]:
        """What it sends when it ends the measurement by itself."""

    def reset(self) -> None:
        """Its battery was pulled: it knows nothing any more."""


def battery_service(state: SensorState) -> Service:
    """The battery service of the Bluetooth SIG."""
    level = Characteristic(BATTERY_LEVEL, ("read", "notify"), bytes([state.battery_percent]))
    return Service(BATTERY_SERVICE, (level,))


def battery_status(state: SensorState) -> Send:
    """A notification of the battery level."""
    return Send(BATTERY_LEVEL, bytes([state.battery_percent]))


def model_service(model: str) -> Service:
    """Device information with a model number."""
    return Service(DEVICE_INFORMATION, (Characteristic(MODEL_NUMBER, ("read",), model.encode()),))
