"""Where things lie in the signal file, and what its annotations say; the same while recording, reading and recovering.

The samples of the signal file are equally spaced at the nominal rate. What is missing takes as many as are missing, or,
where nobody knows, as many as this machine's clock says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from edge_mi.decision import Decision

from .journal import ChunkEntry, EndEntry, Entry, FillEntry, GapEntry, NoteEntry, SyncEntry
from .layout import Beginning

NoteKind: TypeAlias = Literal["contact", "battery", "link", "note"]
EventKind: TypeAlias = Literal["gap", "range", NoteKind, "model", "state", "undetermined", "alarm"]
NOTE_KINDS: Final[tuple[NoteKind, ...]] = get_args(NoteKind)
OF_DECISIONS: Final = frozenset({"model", "state", "undetermined", "alarm"})

_ANCHORS = 4096  # decisions are a few seconds old at most, also where every chunk has one sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a sample of the signal file; text: for people, one line.

    n_samples: how many it lasts, 0 for a moment. estimated: a gap's length is by this machine's clock.
    """

    kind: EventKind
    text: str
    sample: int
    n_samples: int = 0
    estimated: bool = False


class Timeline:
    """Entries of a journal in, events out. `n_samples`: those of the signal file so far."""

    def __init__(self, beginning: Beginning) -> None:
        self._rate_hz = beginning.meta.format.rate_hz
        self._max_fill = beginning.meta.max_fill
        self._beginning = beginning
        self._start_host_s: float | None = None
        self._end_host_s = beginning.host_s  # this machine's time at the end of the signal file
        self._pending: GapEntry | None = None
        self._anchors: deque[tuple[float, int]] = deque(maxlen=_ANCHORS)
        self._latest_decision = 0
        self._contact: bool | None = None
        self._model_id: str | None = None
        self._said: tuple[str, str | None] | None = None
        self._alarm = False
        self.n_samples = 0

    @property
    def start_host_s(self) -> float:
        """This machine's time at the first sample of the signal file, as well as it is known."""
        return self._beginning.host_s if self._start_host_s is None else self._start_host_s

    @property
    def pending(self) -> bool:
        """Whether a gap of unknown length still has no samples of the signal file."""
        return self._pending is not None

    def samples_until(self, host_s: float | None) -> int:
        """Samples that stand for a gap of unknown length that was over at `host_s`."""
        if host_s is None:
            return 1
        passed = (host_s - self._end_host_s) * self._rate_hz
        return round(min(max(passed, 1), self._max_fill))

    def fill_of(self, n_missing: int) -> int:
        """Samples that stand for a gap of known length."""
        return min(n_missing, self._max_fill)

    def take(self, entry: Entry) -> Sequence[Event]:
        """What an entry means; it must be the next one."""
        match entry:
            case ChunkEntry():
                return self._chunk(entry)
            case GapEntry():
                return self._gap(entry)
            case FillEntry():
                return self._fill(entry.n)
            case Decision():
                return self._decision(entry)
            case NoteEntry():
                kind: NoteKind = entry.kind if entry.kind in NOTE_KINDS else "note"
                return [Event(kind=kind, text=entry.text, sample=self.n_samples)]
            case SyncEntry() | EndEntry():
                return []

    def finish(self) -> Sequence[Event]:
        """What is left to say where the journal ends."""
        return self._fill(0) if self.pending else []

    def _chunk(self, entry: ChunkEntry) -> Sequence[Event]:
        self._pass(entry.t_s, entry.host_s, entry.n)
        start = self.n_samples - entry.n
        events = []
        if entry.contact != self._contact:
            self._contact = entry.contact
            words = {True: "contact on", False: "contact off", None: "contact unknown"}[entry.contact]
            events.append(Event(kind="contact", text=words, sample=start))
        if entry.exceptions:
            words = f"{len(entry.exceptions)} codes beyond the format, exact in the journal"
            events.append(Event(kind="range", text=words, sample=start + entry.exceptions[0][0]))
        return events

    def _gap(self, entry: GapEntry) -> Sequence[Event]:
        if entry.n_samples is None:
            self._pending = entry
            return []
        n = self.fill_of(entry.n_samples)
        start = self.n_samples
        self._pass(entry.t_s, entry.host_s, n)
        text = f"gap {entry.n_samples} samples, {entry.cause}"
        return [Event(kind="gap", text=text, sample=start, n_samples=n)]

    def _fill(self, n: int) -> Sequence[Event]:
        if self._pending is None:
            return []
        gap, self._pending = self._pending, None
        start = self.n_samples
        self._pass(gap.t_s, None, n)
        text = f"gap unknown, about {n} samples, {gap.cause}"
        return [Event(kind="gap", text=text, sample=start, n_samples=n, estimated=True)]

    def _pass(self, t_s: float, host_s: float | None, n: int) -> None:
        """`n` samples of the signal file that began at `t_s` of the sensor and `host_s` of this machine."""
        if host_s is not None and self._start_host_s is None:
            self._start_host_s = host_s - self.n_samples / self._rate_hz
        self._anchors.append((t_s, self.n_samples))
        self.n_samples += n
        began_s = self._end_host_s if host_s is None else host_s
        self._end_host_s = began_s + n / self._rate_hz

    def _decision(self, decision: Decision) -> Sequence[Event]:
        sample = self._latest_decision = max(self._latest_decision, self._sample_of(decision.t_s))
        events = []
        if decision.model_id != self._model_id:
            self._model_id = decision.model_id
            events.append(Event(kind="model", text=f"model {decision.model_id}", sample=sample))
        said, self._said = self._said, (decision.state, decision.reason)
        alarm = {"alarm": True, "undetermined": self._alarm}.get(decision.state, False)
        if alarm != self._alarm:
            self._alarm = alarm
            events.append(Event(kind="alarm", text=f"alarm {'on' if alarm else 'off'}", sample=sample))
        if self._said != said:
            if decision.state == "undetermined":
                events.append(
                    Event(kind="undetermined", text=f"undetermined {decision.reason}", sample=sample)
                )
            else:
                events.append(Event(kind="state", text=decision.state, sample=sample))
        return events

    def _sample_of(self, t_s: float) -> int:
        """The sample of the signal file at `t_s` on the sensor's clock, which does not run back here."""
        anchors = self._anchors
        if not anchors:
            return 0
        while len(anchors) > 1 and anchors[1][0] <= t_s:
            anchors.popleft()
        start_s, start = anchors[0]
        limit = anchors[1][1] if len(anchors) > 1 else self.n_samples
        passed = (t_s - start_s) * self._rate_hz
        return start + round(min(max(passed, -start), limit - start))  # it may be as large as floats are
