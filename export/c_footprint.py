"""Flash and RAM of the exported C code: its tables and state exactly, its code and stack as they were measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge_mi.netspec import NetSpec

# at -O2 and a hop of 1 s: the largest over the cores and rates of benchmarks/results/mcu.json, rounded up
CODE_BYTES: Final = 10112
STACK_BYTES: Final = 2432
_SIZES: Final = {"int8_t": 1, "int32_t": 4, "float": 4}
_TABLE: Final = re.compile(r"^static const (int8_t|int32_t|float) \w+\[(\d+)\]", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMemory:
    """tables_bytes, state_bytes: of this code. code_bytes, stack_bytes: at most, on the cores that were
    measured, at -O2.

    keeps_most: the convolution that keeps most of its input between two samples, in keeps_most_bytes.
    """

    tables_bytes: int
    code_bytes: int
    state_bytes: int
    stack_bytes: int
    keeps_most: str
    keeps_most_bytes: int

    @property
    def flash_bytes(self) -> int:
        """Tables and code."""
        return self.tables_bytes + self.code_bytes

    @property
    def ram_bytes(self) -> int:
        """State and stack; the buffer of received samples is the firmware's own."""
        return self.state_bytes + self.stack_bytes


def code_memory(source: bytes, state_bytes: int, net: NetSpec) -> CodeMemory:
    """Memory of `edge_mi.c` for `net`, whose state takes `state_bytes`."""
    largest = max(net.convs, key=lambda conv: conv.kernel * conv.in_channels)
    return CodeMemory(
        tables_bytes=sum(_SIZES[kind] * int(n) for kind, n in _TABLE.findall(source.decode("ascii"))),
        code_bytes=CODE_BYTES,
        state_bytes=state_bytes,
        stack_bytes=STACK_BYTES,
        keeps_most=largest.name,
        keeps_most_bytes=largest.kernel * largest.in_channels,
    )
