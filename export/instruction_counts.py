"""Instructions per multiply-accumulate of int8 convolutions, counted once for each kind of processor.

Estimates of time and energy rest on this table and on nothing else; counts of the code that the C export writes
belong here, in place of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionCount:
    """What was counted: `instructions` for a network of `macs` multiply-accumulates, everything around them included."""

    instructions: int
    macs: int
    source: str

    @property
    def per_mac(self) -> float:
        """Instructions for one multiply-accumulate."""
        return self.instructions / self.macs


_HOW = "counted in QEMU (-icount), C99 kernels with two-step integer rounding, gcc 12.2"
_HOP = "a hop of 1 s and the head of a network of 91,888 parameters"
COUNTS: Final = {
    "smlad": InstructionCount(
        instructions=2_170_000, macs=769_024, source=f"{_HOW}, SMLAD, Cortex-M4 (mps2-an386): {_HOP}"
    ),
    "armv6-m": InstructionCount(
        instructions=6_200_000, macs=769_024, source=f"{_HOW}, Cortex-M0+ code on mps2-an385: {_HOP}"
    ),
    "portable": InstructionCount(
        instructions=17_900_000,
        macs=3_660_000,
        source=f"{_HOW}, portable C without SIMD, Cortex-M4 (mps2-an386): a whole window of a network of 91,888 parameters",
    ),
}
