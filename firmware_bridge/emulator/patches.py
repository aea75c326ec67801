"""The patches that can be emulated: one row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .fault_plan import FaultPlan
from .gatt import EmulatedPatch
from .h10 import H10

PATCHES: Final[dict[str, Callable[[FaultPlan], EmulatedPatch]]] = {
    "h10": lambda plan: H10(refuse=plan.refuse or None, careless=plan.careless),
}
