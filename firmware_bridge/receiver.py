"""One patch from bytes to chunks and gaps: session, integrity, clock and counts; without a clock and without a radio."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from edge_mi.samples import Chunk, Item

from .clock import SensorClock
from .frames import Frame, StreamFormat
from .integrity import FrameStream, open_stream
from .session import BadFrame, Battery, Contact, Ended, Message, Refused, Session, Started, Write
from .statistics import StreamStatistics

_STEPS: Final = 4
_STEPS_WITHIN_S: Final = 900.0
_LOW_PERCENT: Final = 15
ARRIVAL_SHARE: Final = (
    0.06  # of a patch without a clock: its crystal, the delays of a minute, a frame lost now and then
)
RATE_SHARE: Final = 0.02  # what the estimated rate may differ from the listed one (contract C2)


@dataclass(frozen=True, slots=True)
class Heard:
    """A chunk or gap. host_s: this machine's monotonic clock at its first sample, None where nothing tells it."""

    item: Item
    host_s: float | None


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the user must know."""

    words: str


Output: TypeAlias = Heard | Said | Write | Started | Refused | Ended


class Receiver:
    """What came out of one patch over all its connections.

    make_session: a session for each connection, given that of the one before. statistics: are kept up to date.
    """

    def __init__(
        self, make_session: Callable[[Session | None], Session], statistics: StreamStatistics
    ) -> None:
        self._make_session, self.statistics = make_session, statistics
        self._session = make_session(None)
        self._stream: FrameStream | None = None
        self._clock = SensorClock()
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._clock_is_lost = False  # a stream that is not paced: its time is no time of this machine
        self._contact: bool | None = None
        self._has_started = False  # on this connection
        self._cut_bytes: int | None = None
        self.format: StreamFormat | None = None

    def begin(self, cut_bytes: int | None = None) -> Sequence[Output]:
        """What to do on a new connection, once everything is subscribed.

        cut_bytes: the length of a notification that this connection may have cut, None where it cuts none.
        """
        self._session = self._make_session(self._session)
        self._has_started, self._cut_bytes = False, cut_bytes
        return self._take_all(self._session.begin(), 0.0)

    def receive(self, characteristic: str, data: bytes, host_s: float) -> Sequence[Output]:
        """What a notification means that arrived at `host_s`, seconds of the monotonic clock."""
        messages = self._session.receive(characteristic, data)
        if len(data) == self._cut_bytes:  # a frame that was cut may look whole
            cut = BadFrame(
                f"a frame of {len(data)} bytes is as long as the link allows and may have been cut"
            )
            messages = [cut if isinstance(each, Frame) else each for each in messages]
        return self._take_all(messages, host_s)

    def end(self) -> Sequence[Write]:
        """What leaves the patch stopped."""
        return [message for message in self._session.end() if isinstance(message, Write)]

    def interrupt(self, cause: str) -> None:
        """Say why something may be missing from now on: the link was lost, or this machine was too slow."""
        if self._stream is not None:
            self._stream.interrupt(cause)

    def _take_all(self, messages: Sequence[Message], host_s: float) -> list[Output]:
        return [output for message in messages for output in self._take(message, host_s)]

    def _take(self, message: Message, host_s: float) -> Sequence[Output]:
        match message:
            case Frame():
                return self._frame(message, host_s)
            case Started():
                return self._started(message)
            case BadFrame():
                return self._bad_frame(message.reason)
            case Contact():
                return self._touched(message.on)
            case Battery():
                return self._charged(message.percent)
            case _:
                return [message]

    def _started(self, started: Started) -> Sequence[Output]:
        if self.format is None:
            self.format = started.format
            self._stream = open_stream(started.format, self.statistics)
        elif self.format != started.format:
            return [Refused(f"it came back with another format ({started.format.rate_hz:g} Hz): start anew")]
        self._has_started = True
        return [started]

    def _frame(self, frame: Frame, host_s: float) -> Sequence[Output]:
        if self._stream is None or not self._has_started:  # of a measurement that was left behind
            return []
        steps = self.statistics.clock_steps
        items = self._stream.push(frame, host_s)
        refusal = self._wrong_rate()
        if refusal is not None:
            return [refusal]
        was_set = self.statistics.clock_steps > steps
        said: list[Output] = (
            [Said("the sensor's clock was set: time goes on by its counter")] if was_set else []
        )
        return said + [output for item in items for output in self._heard(item, host_s)]

    def _heard(self, item: Item, host_s: float) -> Sequence[Output]:
        if not isinstance(item, Chunk):
            if item.n_samples is None:
                self._clock.restart()
            return [Heard(item, None if self._clock_is_lost else self._clock.host_s(item.t_s))]
        chunk = replace(item, contact=self._contact)
        latest_s = None if self._stream is None else self._stream.latest_s
        if latest_s is None or self._clock_is_lost:
            return [Heard(chunk, host_s - (len(chunk.samples_mv) - 1) / chunk.rate_hz)]
        said = self._observe(latest_s, host_s)
        return [*said, Heard(chunk, None if self._clock_is_lost else self._clock.host_s(chunk.t_s))]

    def _observe(self, latest_s: float, host_s: float) -> Sequence[Said]:
        """Fit the two clocks to one more frame, and say where the sensor's was set."""
        event = self._clock.observe(latest_s, host_s)
        drift_ppm = self._clock.drift_ppm  # of this machine's clock, seen from the sensor
        self.statistics.drift_ppm = None if drift_ppm is None else -drift_ppm
        if event is None:
            return []
        again = bool(self._steps) and latest_s - self._steps[-1] < _STEPS_WITHIN_S
        self.statistics.clock_steps += 1
        self._steps.append(latest_s)
        if len(self._steps) == self._steps.maxlen and latest_s - self._steps[0] < _STEPS_WITHIN_S:
            self._clock_is_lost, self.statistics.clock_steps = True, 0
            self.statistics.drift_ppm = None
            return [
                Said(
                    "the sensor's clock does not keep this machine's pace: samples are timed by their arrival"
                )
            ]
        if again:  # of a stream that is not paced one line is enough
            return []
        way = "forward" if event.step_s > 0 else "back"
        return [Said(f"the sensor's clock jumped {way} by {abs(event.step_s):.1f} s against this machine's")]

    def _wrong_rate(self) -> Refused | None:
        rate_hz, layout = self.statistics.rate_hz, self.format
        if layout is None or rate_hz is None:
            return None
        off = abs(rate_hz / layout.rate_hz - 1)
        if layout.grade == "none" and off > ARRIVAL_SHARE:
            return Refused(
                f"{rate_hz:.1f} samples a second arrive, expected {layout.rate_hz:g}: it loses samples where nobody can see "
                "it, and an ECG spliced from the rest is not judged"
            )
        if layout.grade == "none" or off <= RATE_SHARE:
            return None
        return Refused(
            f"its clock says {rate_hz:.1f} Hz, expected {layout.rate_hz:g} Hz within 2 %: samples are missing inside "
            "its frames, and an ECG spliced from them is not judged; use a link with larger packets"
        )

    def _bad_frame(self, reason: str) -> Sequence[Output]:
        self.statistics.bad_frames += 1
        first = self.statistics.bad_frames == 1
        return [Said(f"{reason}; such frames are counted and left out")] if first else []

    def _touched(self, on: bool | None) -> Sequence[Output]:
        before, self._contact = self._contact, on
        if on is False and before is not False:
            self.statistics.contact_losses += 1
            return [Said("the electrodes are off: nothing is judged until they are on")]
        if on is not False and before is False:
            return [
                Said(
                    "the electrodes are on again"
                    if on
                    else "the patch does not know if its electrodes touch skin"
                )
            ]
        return []

    def _charged(self, percent: int) -> Sequence[Output]:
        before, self.statistics.battery_percent = self.statistics.battery_percent, percent
        low = percent <= _LOW_PERCENT and (before is None or before > _LOW_PERCENT)
        return [Said(f"the patch's battery has {percent} % left")] if low else []
