"""Instructions of one decision, counted once for each kind of processor in the code that the C export writes.

Estimates of time and energy rest on this table and on nothing else. It says what `make mcu` found
(benchmarks/results/mcu.json, 130 Hz, family reference); a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionCount:
    """Of one decision of a network of `macs` multiply-accumulates, whose layers keep their state.

    network: of its layers. others: of filters, quality rules and alarm, which hang on the signal, not the network.
    core: the processor that the code was compiled for.
    """

    core: str
    network: int
    others: int
    macs: int

    @property
    def per_mac(self) -> float:
        """Instructions of the network for one multiply-accumulate."""
        return self.network / self.macs

    @property
    def source(self) -> str:
        """How the numbers were found."""
        return (
            f"C export of patchnet-67k at 130 Hz, family reference, gcc 12.2 -O2 for {self.core}, counted in QEMU "
            "(-icount): make mcu"
        )


_MACS: Final = 487_824
COUNTS: Final = {
    "smlad": InstructionCount(core="Cortex-M4", network=1_349_840, others=336_793, macs=_MACS),
    "armv6-m": InstructionCount(core="Cortex-M0+", network=4_032_600, others=1_500_265, macs=_MACS),
    "portable": InstructionCount(core="Cortex-M3", network=2_704_920, others=218_450, macs=_MACS),
}
