"""Who is in the table: every method in each regime, and the 12-lead teacher as the ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..resamples import Floats
from .result import OUTPUTS, REGIMES, ProtocolResult

TEACHER: Final = "teacher"
TWELVE_LEADS: Final = "12 leads"
# methods that others are compared with, where they take part
SCRATCH: Final = "scratch"
SCRATCH_LONG: Final = "scratch-long"
SELFMIS: Final = "selfmis"
UNALIGNED: Final = "unaligned"
LEAD_MASKING: Final = "lead-masking"
AGE_SEX: Final = "age-sex"
# what else a method is compared with: the same without alignment, without labels, without response distillation
PAIRS: Final[dict[str, tuple[str, ...]]] = {
    "selfmis-every-lead": ("labels-every-lead",),
    "selfmis-labels-every-lead": ("labels-every-lead", "selfmis-every-lead"),
    "edge-mi": ("response", "labels-every-lead-response", "selfmis-every-lead"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A method in one regime: scores float64 (seeds, records, len(OUTPUTS)), NaN where it says nothing.

    parameters: None where a count would mean nothing.
    """

    name: str
    regime: str
    parameters: int | None
    scores: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where every seed has an answer, (records, len(OUTPUTS))."""
        return np.asarray(np.isfinite(self.scores).all(axis=0))


def entrants(result: ProtocolResult) -> tuple[Entrant, ...]:
    """The methods regime by regime in their order, then the teacher."""
    found = [
        Entrant(
            name=method.name,
            regime=regime,
            parameters=method.parameters,
            scores=np.stack([np.asarray(each, dtype=np.float64) for each in method.logits[regime]]),
        )
        for regime in REGIMES
        for method in result.methods
        if method.logits.get(regime)
    ]
    if result.teacher_logits:
        seeds = np.stack([_all_outputs(each) for each in result.teacher_logits])
        found.append(Entrant(name=TEACHER, regime=TWELVE_LEADS, parameters=None, scores=seeds))
    return tuple(found)


def _all_outputs(logits: NDArray[np.float32]) -> Floats:
    """Logits of any MI alone (records,), or of all outputs, as float64 (records, len(OUTPUTS))."""
    given = np.asarray(logits, dtype=np.float64)
    if given.ndim == 2:
        return given
    scores = np.full((len(given), len(OUTPUTS)), np.nan)
    scores[:, 0] = given
    return scores
