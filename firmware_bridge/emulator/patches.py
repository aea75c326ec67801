"""The patches that can be emulated: one row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..healthypi_packets import HEALTHYPI_5, HEALTHYPI_MOVE, HEALTHYPI_V4
from .edge_mi_patch import EdgeMiPatch
from .fault_plan import FaultPlan
from .gatt import EmulatedPatch
from .h10 import H10
from .healthypi import HealthyPi
from .movesense import Movesense

# what the user has to say of an emulated patch whose name does not settle it: this HealthyPi 5 sends every sample
STREAMED_AS: Final = {"healthypi5": "healthypi5-fw1"}
PATCHES: Final[dict[str, Callable[[FaultPlan], EmulatedPatch]]] = {
    "h10": lambda plan: H10(refuse=plan.refuse or None, careless=plan.careless),
    "movesense": lambda _: Movesense(),
    "healthypi5": lambda _: HealthyPi(HEALTHYPI_5, "healthypi 5", 8),
    "healthypi-move": lambda _: HealthyPi(HEALTHYPI_MOVE, "healthypi move", 16),
    "healthypi4": lambda _: HealthyPi(HEALTHYPI_V4, "Healthypi v4", 9),
    "edgemi": lambda plan: EdgeMiPatch(plan.lead),
}
