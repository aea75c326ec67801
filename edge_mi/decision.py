"""One answer of the detector (contract C5), and its form as a line of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

State: TypeAlias = Literal["negative", "positive", "undetermined", "alarm"]
Reason: TypeAlias = Literal[
    "warming_up",
    "gap",
    "not_finite",
    "flat",
    "saturated",
    "noise",
    "lead_off",
    "not_lead_i",
    "wrong_gain",
    "inverted",
]

STATES: Final[tuple[State, ...]] = ("negative", "positive", "undetermined", "alarm")
REASONS: Final[dict[Reason, str]] = {
    "warming_up": "not enough signal yet",
    "gap": "samples are missing",
    "not_finite": "samples are not numbers",
    "flat": "the signal does not move",
    "saturated": "the signal is clipped",
    "noise": "heartbeats cannot be told from noise",
    "lead_off": "no heartbeat can be found; are the electrodes on?",
    "not_lead_i": "the electrodes are not in the place of lead I",
    "wrong_gain": "the amplitude cannot be that of an ECG in millivolts",
    "inverted": "lead I looks upside down: are the right and left electrodes swapped?",
}


def microseconds_s(t_s: float) -> float:
    """Seconds on the nearest microsecond, halves up.

    At 512 Hz sample times fall on halves, and sums of stamps end a rounding error on either side of one: a nudge above
    such errors makes them all go one way, however a stream was cut into chunks.
    """
    return round(t_s + 1e-9, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the detector says of the window that ends at `t_s`.

    t_s: seconds on the sensor's clock, rounded to 1 µs.
    probability: calibrated, 0..1, for the prevalence that the bundle names; None when undetermined.
    reason: why it is undetermined; None otherwise.
    quality: likeness of the beats to their mean, 0..1; None where there are too few.
    latency_ms: from the arrival of the last sample to the answer; set by the shell, None in replay,
        no part of equality.
    """

    t_s: float
    probability: float | None
    state: State
    reason: Reason | None
    quality: float | None
    heart_rate_bpm: float | None
    latency_ms: float | None = field(default=None, compare=False)
    model_id: str

    def to_json(self) -> str:
        """The decision as one line of JSON, keys in the order of the contract."""
        document: dict[str, Any] = {
            "t_s": self.t_s,
            "probability": self.probability,
            "state": self.state,
            "reason": self.reason,
            "quality": self.quality,
            "heart_rate_bpm": self.heart_rate_bpm,
            "latency_ms": self.latency_ms,
            "model_id": self.model_id,
        }
        return json.dumps(document, allow_nan=False)
