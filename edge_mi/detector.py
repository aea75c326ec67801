"""The detector: chunks of lead I in, one decision a hop out.

It knows no clock, file, socket or thread. Everything that changes a decision comes from the bundle.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from edge_mi.alarm import AlarmLatch
from edge_mi.bundle import Bundle
from edge_mi.chain.chain import nominal_rate_hz
from edge_mi.decision import Decision, Reason, State, microseconds_s
from edge_mi.errors import ConfigError, SignalError
from edge_mi.golden import check_runner
from edge_mi.hop_clock import HopClock
from edge_mi.polarity import POLARITY_MODES, PolarityMode, PolarityWatch
from edge_mi.quality import Quality, assess
from edge_mi.runners.base import Runner
from edge_mi.runners.choose import open_runner
from edge_mi.samples import Chunk, FloatArray, Gap, Item
from edge_mi.segment import Due, Segment

Placement: TypeAlias = Literal["lead-i", "chest"]
PLACEMENTS: Final[tuple[Placement, ...]] = ("lead-i", "chest")
_GAP_REASON: Final[dict[str, Reason]] = {"not_finite": "not_finite", "lead_off": "lead_off"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision with the logit it came from; None where no network ran."""

    decision: Decision
    logit: float | None


@dataclass(slots=True)
class _State:
    """All that changes while a stream runs; copied whole by `snapshot`."""

    latch: AlarmLatch
    polarity: PolarityWatch | None
    rate_hz: int | None = None
    segment: Segment | None = None
    next_index: int | None = None
    clock: HopClock | None = None
    before: Reason = "warming_up"
    told: int = 0  # undetermined answers since the last sample
    anchors: list[tuple[int, float, float]] = field(default_factory=list)


class Detector:
    """Decisions of one bundle on one stream of lead I.

    runner: a name (`auto`, `litert`, `litert-ref`, `ort`) or an open runner. placement: `chest` for a strap
    worn as a strap, which is not lead I: every window is then undetermined. polarity: `check` withholds what looks
    upside down, if the bundle has a check; `trust` is for a person who knows that the electrodes are right.
    operating_point: its name; the bundle's default otherwise. whole_window: compute each window anew instead of its
    new frames only; the decisions are the same. Raises what `open_runner` raises, GoldenMismatch where the runner
    does not compute what the bundle says, and ConfigError for unknown names.
    """

    def __init__(
        self,
        bundle: Bundle,
        runner: str | Runner = "auto",
        *,
        placement: Placement = "lead-i",
        polarity: PolarityMode = "check",
        operating_point: str | None = None,
        whole_window: bool = False,
    ) -> None:
        if placement not in PLACEMENTS:
            raise ConfigError(f"placement {placement!r}; expected one of {', '.join(PLACEMENTS)}")
        if polarity not in POLARITY_MODES:
            raise ConfigError(f"polarity {polarity!r}; expected one of {', '.join(POLARITY_MODES)}")
        self.bundle = bundle
        self.placement = placement
        self.polarity = polarity
        self.operating_point = bundle.operating_point(operating_point)
        self.runner: Runner = open_runner(bundle, runner) if isinstance(runner, str) else runner
        self.whole_window = whole_window
        check_runner(bundle, self.runner)
        self._state = self._beginning()

    def push(self, item: Item) -> list[Decision]:
        """Decisions that a chunk or gap makes due.

        Raises SignalError where the rate is unsupported or changes, or samples are skipped without a Gap.
        """
        return [answer.decision for answer in self.answers(item)]

    def close(self) -> list[Decision]:
        """Decisions that are due when the stream ends; the detector then stands at the start of a new one."""
        return [answer.decision for answer in self.close_answers()]

    def answers(self, item: Item) -> list[Answer]:
        """As `push`, with logits."""
        return self._take_gap(item) if isinstance(item, Gap) else self._take_chunk(item)

    def close_answers(self) -> list[Answer]:
        """As `close`, with logits."""
        answers = self._end_segment()
        state = self._state
        if state.clock is not None and state.next_index is not None and state.anchors:
            # the last stretch may have been too short for the chain to reach
            index, t_s, stamp_hz = state.anchors[-1]
            end_s = t_s + (state.next_index - index) / stamp_hz
            for after_s in state.clock.passed(state.next_index, 0, self._most_in_a_gap - state.told):
                answers.append(Answer(self._undetermined(end_s + after_s, state.before), None))
        self._restart()
        return answers

    def stream(self, source: Iterable[Item]) -> Iterator[Decision]:
        """Decisions of a whole source, the last ones after its end."""
        try:
            for item in source:
                yield from self.push(item)
            yield from self.close()
        finally:
            self._restart()  # whoever stops listening early can begin another stream

    async def astream(self, source: AsyncIterable[Item]) -> AsyncIterator[Decision]:
        """As `stream`, for an asynchronous source."""
        try:
            async for item in source:
                for decision in self.push(item):
                    yield decision
            for decision in self.close():
                yield decision
        finally:
            self._restart()

    def snapshot(self) -> Any:
        """An opaque copy of the state of the stream, for `restore` on a detector of the same bundle."""
        return self.bundle.model_id, copy.deepcopy(self._state)

    def restore(self, snapshot: Any) -> None:
        """Continue where `snapshot` was taken. Raises ConfigError for a snapshot of another bundle."""
        model_id, state = snapshot
        if model_id != self.bundle.model_id:
            raise ConfigError(f"a snapshot of {model_id}; this detector runs {self.bundle.model_id}")
        self._state = copy.deepcopy(state)

    def _restart(self) -> None:
        self._state = self._beginning()

    def _beginning(self) -> _State:
        info = self.bundle.info
        watch = None if info.polarity is None else PolarityWatch(info.polarity, info.net.hop_s)
        return _State(latch=AlarmLatch(info.alarm), polarity=watch)

    def _take_chunk(self, chunk: Chunk) -> list[Answer]:
        state = self._state
        rate_hz = nominal_rate_hz(self.bundle.info.signal, chunk.rate_hz)
        if state.rate_hz is not None and rate_hz != state.rate_hz:
            raise SignalError(f"the rate changes from {state.rate_hz} to {rate_hz} Hz within a stream")
        if state.next_index is not None and chunk.index != state.next_index:
            raise SignalError(
                f"a chunk starts at sample {chunk.index}, expected {state.next_index}; what is missing must come as a Gap"
            )
        state.rate_hz = rate_hz
        state.clock = state.clock or HopClock(self.bundle.info.net, rate_hz, chunk.index)
        state.next_index = chunk.index + len(chunk.samples_mv)
        kept = state.anchors if state.segment is not None else []
        state.anchors = [*kept, (chunk.index, chunk.t_s, chunk.rate_hz)]
        if chunk.contact is False:  # what the sensor made without skin is noise, whatever it looks like
            return self._miss(chunk.index, chunk.t_s, len(chunk.samples_mv), "lead_off")
        answers: list[Answer] = []
        finite = np.isfinite(chunk.samples_mv)
        edges = np.flatnonzero(np.diff(finite)) + 1
        for part in np.split(np.arange(len(finite)), edges):
            first, n = int(part[0]), len(part)
            if finite[first]:
                answers += self._take_samples(chunk.index + first, chunk.samples_mv[first : first + n])
            else:
                answers += self._miss(chunk.index + first, chunk.t_s + first / chunk.rate_hz, n, "not_finite")
        return answers

    def _take_samples(self, index: int, samples_mv: FloatArray) -> list[Answer]:
        state = self._state
        assert state.rate_hz is not None
        state.told = 0
        if state.segment is None:
            info = self.bundle.info
            assert state.clock is not None
            state.segment = Segment(
                info.signal,
                info.net,
                state.rate_hz,
                start_index=index,
                first_due=state.clock.begin(index),
                before=state.before,
            )
        return self._judge_all(state.segment, state.segment.push(samples_mv))

    def _take_gap(self, gap: Gap) -> list[Answer]:
        state = self._state
        if gap.n_samples is None:
            answers = self._end_segment()
            state.latch.forget()
            if state.polarity is not None:
                state.polarity.forget()
            state.before, state.next_index, state.clock, state.anchors = "gap", None, None, []
            return [*answers, Answer(self._undetermined(gap.t_s, "gap"), None)]
        if state.next_index is None or state.rate_hz is None:  # nothing was heard yet
            state.before = "gap"
            return []
        index = state.next_index
        state.next_index += gap.n_samples
        return self._miss(index, gap.t_s, gap.n_samples, gap.cause)

    def _miss(self, index: int, t_s: float, n: int, cause: str) -> list[Answer]:
        """Undetermined answers, one a hop, for time in which nothing can be judged.

        What a stretch of signal before the gap was too short to answer falls due here too, so that a link that
        loses every second frame is not silent. A gap says so for as long as the alarm looks back, and so do several
        with no sample between them.
        """
        state = self._state
        answers = self._end_segment()
        reason = state.before = _GAP_REASON.get(cause, "gap")
        assert state.clock is not None
        for after_s in state.clock.passed(index, n, self._most_in_a_gap - state.told):
            answers.append(Answer(self._undetermined(t_s + after_s, reason), None))
            state.told += 1
        return answers

    @property
    def polarity_check(self) -> str:
        """What is done about polarity: `check`, `trust`, or `none` where the bundle has no check."""
        return "none" if self.bundle.info.polarity is None else self.polarity

    @property
    def _most_in_a_gap(self) -> int:
        return int(self.bundle.info.alarm.span_s / self.bundle.info.net.hop_s)

    def _end_segment(self) -> list[Answer]:
        segment = self._state.segment
        if segment is None:
            return []
        answers = self._judge_all(segment, segment.close())
        self._state.segment = None
        return answers

    def _judge_all(self, segment: Segment, due: list[Due]) -> list[Answer]:
        if due:
            assert self._state.clock is not None
            self._state.clock.answered(len(due))
        return [self._judge(segment, item) for item in due]

    def _judge(self, segment: Segment, due: Due) -> Answer:
        info = self.bundle.info
        t_s = self._time_of(segment.start_index, due.end)
        if self.placement != "lead-i":
            return Answer(self._undetermined(t_s, "not_lead_i"), None)
        if due.window is None:
            return Answer(self._undetermined(t_s, segment.before), None)
        assert self._state.rate_hz is not None
        quality = assess(due.raw, self._state.rate_hz, due.window, info.net.rate_hz, info.quality)
        if quality.reason is not None:
            return Answer(self._undetermined(t_s, quality.reason, quality), None)
        if self._upside_down(quality):
            return Answer(self._undetermined(t_s, "inverted", quality), None)
        window = self.bundle.info.input.quantise(due.window)
        position = due.position
        output = (
            self.runner.run(window)
            if self.whole_window
            else segment.ring.logits(self.runner, window, position)
        )
        logit = self.bundle.logit(int(output[0]))
        probability = self.bundle.probability(logit)
        positive = probability >= self.operating_point.threshold
        latched = self._state.latch.step(t_s, positive)
        state: State = "alarm" if latched else "positive" if positive else "negative"
        return Answer(
            Decision(
                t_s=t_s,
                probability=probability,
                state=state,
                reason=None,
                quality=quality.quality,
                heart_rate_bpm=quality.heart_rate_bpm,
                model_id=self.bundle.model_id,
            ),
            logit,
        )

    def _upside_down(self, quality: Quality) -> bool:
        watch = self._state.polarity
        return self.polarity == "check" and watch is not None and watch.step(quality.beat)

    def _undetermined(self, t_s: float, reason: Reason, quality: Quality | None = None) -> Decision:
        return Decision(
            t_s=microseconds_s(t_s),
            probability=None,
            state="undetermined",
            reason=reason,
            quality=quality.quality if quality else None,
            heart_rate_bpm=quality.heart_rate_bpm if quality else None,
            model_id=self.bundle.model_id,
        )

    def _time_of(self, start_index: int, end: tuple[int, int]) -> float:
        """Sensor time of a window's end, by the stamp of the chunk that holds the window's last sample."""
        anchors = self._state.anchors
        last_sample = start_index + (end[0] - 1) // end[1]
        while len(anchors) > 1 and anchors[1][0] <= last_sample:
            anchors.pop(0)
        index, t_s, stamp_hz = anchors[0]
        return microseconds_s(t_s + (start_index - index + end[0] / end[1]) / stamp_hz)
