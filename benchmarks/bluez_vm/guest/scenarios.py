"""All scenarios, in the order in which they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from . import finding, leaving, losing, pairing, stalling, streaming
from .lab import Json, Lab

Body: TypeAlias = Callable[[Lab], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """name: for people. replaces_daemon: bluetoothd has another process id afterwards, on purpose."""

    name: str
    body: Body
    replaces_daemon: bool = False

    @property
    def what(self) -> str:
        """One sentence on what is shown."""
        return " ".join((self.body.__doc__ or "").split())


SCENARIOS: Final = (
    Scenario("scan", finding.scan),
    Scenario("stream: Polar H10", streaming.h10),
    Scenario("stream: Movesense", streaming.movesense),
    Scenario("stream: HealthyPi Move", streaming.healthypi),
    Scenario("stream: EdgeMI Patch", streaming.edge_mi_patch),
    Scenario("stream: three patches at once", streaming.several),
    Scenario("MTU", streaming.mtu),
    Scenario("cut frames", streaming.cut_frames),
    Scenario("link lost", losing.link),
    Scenario("link lost: EdgeMI Patch", losing.encrypted_link),
    Scenario("adapter switched off", losing.switched_off),
    Scenario("adapter pulled out", losing.unplugged),
    Scenario("stop and error", leaving.stop),
    Scenario("Ctrl-C", leaving.interrupt),
    Scenario("SIGTERM", leaving.terminate),
    Scenario("SIGKILL", leaving.kill),
    Scenario("pairing", pairing.agreed),
    Scenario("pairing without an agent", pairing.not_agreed),
    Scenario("blocked consumer", stalling.blocked),
    Scenario("queue overrun", stalling.overrun),
    Scenario("bluetoothd killed", losing.daemon, replaces_daemon=True),
)
