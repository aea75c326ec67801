"""A Movesense sensor: subscribe to its ECG, join what it had to split, and unsubscribe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from edge_mi.errors import ConfigError, FrameError

from .battery import BATTERY_LEVEL, decode_battery
from .frames import StreamFormat
from .movesense_gsp import (
    CODE_BITS,
    CODES_PER_MV,
    COMMAND,
    DATA,
    NEEDED_MTU,
    RATES_HZ,
    SERVICE,
    STAMP_MODULUS_MS,
    Answer,
    Part,
    Status,
    decode_ecg,
    decode_notification,
    ecg_path,
    encode_subscribe,
    encode_unsubscribe,
)
from .profile import Profile, Wishes
from .session import BadFrame, Message, Refused, Started, Write

State: TypeAlias = Literal["starting", "streaming", "over"]

# 128 Hz is in the manual of the medical sensor, is exact on a watch crystal and enough for the sensor's own 40 Hz;
# other generations have 125 Hz in its place, newer firmware 200 Hz too
PREFERRED_RATES_HZ: Final = (128, 125, 200)

_FIRST_REFERENCE = 101
_WORDS = {
    Status.BAD_REQUEST: "it does not understand the request: update its firmware",
    Status.FORBIDDEN: "it does not allow this now: stop its other uses",
    Status.NOT_FOUND: "its firmware has no ECG: load one that has",
    Status.CONFLICT: "it is busy with something else: close other apps that use it",
    Status.INTERNAL_ERROR: "it failed: take it off and wear it again",
    Status.UNAVAILABLE: "it cannot start now: close other apps that use it",
    Status.NO_ROOM: "it has no room for another subscription: close other apps, or take it off and wear it again",
}


def reference_of(rate_hz: int) -> int:
    """The reference of the stream at this rate.

    Each rate has its own, so that a stream which a killed client left running at another rate is not taken for ours.
    """
    return _FIRST_REFERENCE + RATES_HZ.index(rate_hz)


def format_at(rate_hz: int) -> StreamFormat:
    """How to read the frames at this rate."""
    return StreamFormat(
        rate_hz=rate_hz,
        codes_per_mv=CODES_PER_MV,
        bits=CODE_BITS,
        stamped="first",
        stamp_modulus_ns=STAMP_MODULUS_MS * 10**6,
    )


class MovesenseSession:
    """The dialogue of one connection.

    Without a wish the next preferred rate is tried where the sensor does not have one. Answers may be lost, and old
    firmware sends none: a frame is as good, and only shows that the measurement runs. Raises ConfigError for a rate
    that no sensor has.
    """

    def __init__(self, wishes: Wishes) -> None:
        rate_hz = wishes.rate_hz
        if rate_hz is not None and rate_hz not in RATES_HZ:
            raise ConfigError(f"Movesense has {_listed(RATES_HZ)} Hz, found {rate_hz}")
        self._rates_hz = PREFERRED_RATES_HZ if rate_hz is None else (rate_hz,)
        self._refused = 0  # how many of them
        self._first: bytes | None = None  # the part of a frame whose second one is to come
        self._state: State = "starting"

    @property
    def rate_hz(self) -> int:
        """What is asked for, or measured."""
        return self._rates_hz[self._refused]

    def begin(self) -> Sequence[Message]:
        """Subscribe to the ECG."""
        rate_hz = self.rate_hz
        return [Write(COMMAND, encode_subscribe(reference_of(rate_hz), ecg_path(rate_hz)))]

    def receive(self, characteristic: str, data: bytes) -> Sequence[Message]:
        """What a notification means."""
        if characteristic == BATTERY_LEVEL:
            return [decode_battery(data)]
        if characteristic != DATA:
            return []
        try:
            message = decode_notification(data)
            self._check_reference(message)
        except FrameError as exc:
            return [BadFrame(str(exc))]
        return self._on_answer(message.status) if isinstance(message, Answer) else self._on_part(message)

    def end(self) -> Sequence[Message]:
        """Unsubscribe: otherwise the sensor measures until the link is gone."""
        return [Write(COMMAND, encode_unsubscribe(reference_of(self.rate_hz)))]

    def _check_reference(self, message: Answer | Part) -> None:
        expected = reference_of(self.rate_hz)
        if message.reference != expected:
            what = "an answer" if isinstance(message, Answer) else "a frame"
            raise FrameError(f"{what} with reference {message.reference}; {expected} was subscribed")

    def _on_answer(self, status: int) -> Sequence[Message]:
        if self._state != "starting":
            return []
        if Status.CONTINUE <= status < Status.BAD_REQUEST:
            return self._started()
        if status == Status.NOT_IMPLEMENTED and self._refused + 1 < len(self._rates_hz):
            self._refused += 1
            return self.begin()
        self._state = "over"
        return [Refused(describe(status, self._rates_hz))]

    def _on_part(self, part: Part) -> Sequence[Message]:
        first, self._first = self._first, None
        messages: list[Message] = []
        if first is not None and not part.second:
            messages.append(BadFrame("the first part of a frame, and its second part did not come"))
        if part.awaits_second:
            self._first = part.body
            return messages
        try:
            return messages + self._on_frame(part, first)
        except FrameError as exc:
            return [*messages, BadFrame(str(exc))]

    def _on_frame(self, part: Part, first: bytes | None) -> list[Message]:
        if part.second and first is None:
            raise FrameError("the second part of a frame, and its first part did not come")
        frame = decode_ecg(first + part.body if first is not None and part.second else part.body)
        if self._state == "over":
            raise FrameError("a frame after the sensor refused to measure")
        return [*self._started(), frame] if self._state == "starting" else [frame]

    def _started(self) -> list[Message]:
        self._state = "streaming"
        return [Started(format_at(self.rate_hz))]


PROFILE: Final = Profile(
    key="movesense",
    title="Movesense",
    names=("Movesense",),
    service=SERVICE,
    subscribe=(DATA,),
    needed_mtu=NEEDED_MTU,
    session=MovesenseSession,
)


def describe(status: int, asked_hz: Sequence[int]) -> str:
    """A refusal of the ECG at these rates in words, with what helps against it."""
    if status == Status.NOT_IMPLEMENTED:
        others_hz = [rate_hz for rate_hz in RATES_HZ if rate_hz not in asked_hz]
        return f"it does not have {_listed(asked_hz)} Hz: ask for another rate, {_listed(others_hz)} Hz"
    try:
        return _WORDS[Status(status)]
    except (ValueError, KeyError):
        return f"it answers with status {status}, which is not documented"


def _listed(rates_hz: Sequence[int]) -> str:
    *others, last = map(str, rates_hz)
    return f"{', '.join(others)} or {last}" if others else last
