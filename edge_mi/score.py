"""One probability for a whole record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from edge_mi.decision import Reason
from edge_mi.detector import Detector
from edge_mi.errors import EdgeMIError
from edge_mi.records import Record, read_record
from edge_mi.sources import chunks_of

COLUMNS = ("record", "probability", "state", "reason", "windows_answered", "windows_total", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one record says, or why it says nothing. logit: mean over the answered windows.

    warnings: what a person should know of the record; no part of the row.
    """

    record: str
    probability: float | None
    logit: float | None
    state: str
    reason: Reason | None
    windows_answered: int
    windows_total: int
    error: str | None
    warnings: tuple[str, ...] = ()

    def row(self) -> tuple[str, ...]:
        """The values of `COLUMNS` as text."""
        values = (
            self.record,
            self.probability,
            self.state,
            self.reason,
            self.windows_answered,
            self.windows_total,
            self.error,
        )
        return tuple("" if value is None else str(value) for value in values)


@dataclass(slots=True)
class Tally:
    """What many scores come to, one after the other; first_error, first_reason: of the first that says one."""

    records: int = 0
    scored: int = 0
    positive: int = 0
    unreadable: int = 0
    inverted: int = 0
    warned: int = 0
    first_error: str | None = None
    first_warning: str | None = None
    first_reason: Reason | None = None

    def add(self, score: Score) -> None:
        """Count one more."""
        self.records += 1
        self.scored += score.probability is not None
        self.positive += score.state == "positive"
        self.unreadable += score.error is not None
        self.inverted += score.reason == "inverted"
        self.warned += bool(score.warnings)
        self.first_warning = self.first_warning or next(iter(score.warnings), None)
        self.first_error = self.first_error or score.error
        self.first_reason = self.first_reason or score.reason


def score_signal(detector: Detector, record: Record, name: str) -> Score:
    """Stream a record through the detector and average the logits of the windows it answered."""
    answers = []
    for chunk in chunks_of(record.samples_mv, record.rate_hz):
        answers += detector.answers(chunk)
    answers += detector.close_answers()
    # before the first full window there is nothing to judge, so those are not counted
    judged = [a for a in answers if a.decision.reason != "warming_up"]
    logits = [a.logit for a in judged if a.logit is not None]
    reasons = Counter(a.decision.reason for a in judged if a.decision.reason is not None)
    # most of it upside down: what was answered before that was seen is of the same electrodes
    upside_down = reasons["inverted"] >= max(1, len(logits))
    if not logits or upside_down:
        reason: Reason = (
            "inverted" if upside_down else reasons.most_common(1)[0][0] if reasons else "warming_up"
        )
        return Score(
            record=name,
            probability=None,
            logit=None,
            state="undetermined",
            reason=reason,
            windows_answered=len(logits),
            windows_total=len(judged),
            error=None,
        )
    logit = sum(logits) / len(logits)
    probability = detector.bundle.probability(logit)
    return Score(
        record=name,
        probability=probability,
        logit=logit,
        state="positive" if probability >= detector.operating_point.threshold else "negative",
        reason=None,
        windows_answered=len(logits),
        windows_total=len(judged),
        error=None,
    )


def score_record(
    detector: Detector, path: Path, name: str, lead: str = "I", rate_hz: float | None = None
) -> Score:
    """Score a record on disk; what is wrong with it becomes the row's error."""
    try:
        record = read_record(path, lead=lead, rate_hz=rate_hz)
        return replace(score_signal(detector, record, name), warnings=tuple(record.warnings))
    except EdgeMIError as exc:
        detector.close()
        return Score(
            record=name,
            probability=None,
            logit=None,
            state="undetermined",
            reason=None,
            windows_answered=0,
            windows_total=0,
            error=" ".join(str(exc).split()),
        )
