"""What a patch sends, whatever its profile: frames of samples in the sensor's own integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

COUNTER_MODULUS: Final = 1 << 32
NS: Final = 1e9
LONGEST_GAP_S: Final = (
    3600.0  # a counter or clock that jumps further was set: no link is believed to be lost so long
)
RATE_AFTER_S: Final = 60.0  # what a stream must last before a rate is fitted to it

Codes: TypeAlias = NDArray[np.int32]
Grade: TypeAlias = Literal["counter", "stamp", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """How to read the frames of one measurement.

    rate_hz: the nominal rate. codes_per_mv: codes to a millivolt.
    bits: what a code needs, its sign included. counted: frames carry the number of their first sample.
    stamped: the sample of a frame that its stamp belongs to, None for frames without. stamp_modulus_ns: where the
    sensor's clock starts again at zero, None for never. lead: what the patch says it measures, None where it does not
    say (then only the user knows, by its placement).
    """

    rate_hz: float
    codes_per_mv: float
    bits: Literal[16, 24, 32]
    counted: bool = False
    stamped: Literal["first", "last"] | None = None
    stamp_modulus_ns: int | None = None
    lead: str | None = None

    @property
    def grade(self) -> Grade:
        """By what lost samples are seen (contract C2): exactly, by time, or not at all."""
        if self.counted:
            return "counter"
        return "none" if self.stamped is None else "stamp"


def unwrapped(value: int, expected: int, modulus: int) -> int:
    """The number nearest to `expected` of those that are `value` modulo `modulus`."""
    return expected + (value - expected + modulus // 2) % modulus - modulus // 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """Consecutive samples of one notification.

    codes: int32 (n,), n at least 1, the sensor's own integers. counter: number of the first sample, modulo
    `COUNTER_MODULUS`. stamp_ns: sensor time of the sample that the format names. measurement: changes when the sensor
    starts a new measurement, so that its counter began anew.
    """

    codes: Codes
    counter: int | None = None
    stamp_ns: int | None = None
    measurement: int = 0
