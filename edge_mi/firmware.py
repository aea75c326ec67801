"""What the C export of a bundle was written for: the sensor's rate and codes, and the rounding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from edge_mi.runners.base import Family

Rounding: TypeAlias = Literal[0, 2]
FAMILY_OF: Final[dict[Rounding, Family]] = {0: "reference", 2: "fast"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A sensor's int16 codes, and which golden family the C code computes.

    gain: codes in a millivolt, as a decimal or a fraction in text, so that it is exact. baseline: the code of 0 mV.
    rounding: 0 is the family `reference` (integers only), 2 is `fast` (float32).
    Raises ValueError for values that no sensor has.
    """

    rate_hz: int
    gain: str
    baseline: int
    rounding: Rounding

    def __post_init__(self) -> None:
        if not 0 < self.codes_per_mv < 1 << 20:
            raise ValueError(f"gain {self.gain} codes/mV; expected more than 0 and less than 2^20")
        if self.codes_per_mv.denominator > 1 << 20:
            raise ValueError(f"gain {self.gain} codes/mV; expected at most six decimals")
        if not -(1 << 15) <= self.baseline < 1 << 15:
            raise ValueError(f"baseline {self.baseline}; expected an int16 code")
        if self.rounding not in FAMILY_OF:
            raise ValueError(f"rounding {self.rounding}; expected 0 (reference) or 2 (fast)")

    @property
    def codes_per_mv(self) -> Fraction:
        """The gain. Raises ValueError where it is no number."""
        try:
            return Fraction(self.gain)
        except (ValueError, ZeroDivisionError) as exc:
            raise ValueError(f"gain {self.gain!r} is no number; expected codes in a millivolt") from exc

    @property
    def family(self) -> Family:
        """The golden family that the code belongs to."""
        return FAMILY_OF[self.rounding]
