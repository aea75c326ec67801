"""Lead I of one patch: the shell that carries out what the table of its life says, over bleak.

The callback of a notification only stamps it and puts it into a bounded queue; everything else happens where the
items are asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from edge_mi.errors import DeviceNotFound, PatchError
from edge_mi.samples import Item

from .frames import StreamFormat
from .inbox import Entry, Inbox
from .life import FINAL, Event, Life, Patience, State
from .profile import Profile, Wishes
from .profiles import is_known, no_profile, profiles_for
from .radio import AdapterMissing, Connection, Radio, Timeouts
from .receiver import Heard, Output, Receiver
from .session import Ended, Refused, Started, Write
from .statistics import StreamStatistics
from .target import Target

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Event | None)
_QUEUED_MESSAGES = 4096  # 38 minutes of H10; what a stalled machine may fall behind
_ATT_HEADER_BYTES = 3  # of a notification
_NO_WISHES = Wishes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the user settles. profile: None to tell it by name and services. encrypt: demand an encrypted link anyway."""

    profile: Profile | None = None
    wishes: Wishes = _NO_WISHES
    encrypt: bool = False


class PatchStream:
    """Chunks and gaps of one patch: an async context, iterated once.

    stop: ends the iteration when set. on_event: takes lines for the user. chance: uniform in [0, 1), for the waits.
    Raises DeviceNotFound where there is no such patch or no adapter, PatchError where it refuses or is away for longer
    than `patience` allows.
    """

    def __init__(
        self,
        radio: Radio,
        target: Target,
        choices: Choices | None = None,
        *,
        stop: asyncio.Event | None = None,
        on_event: Callable[[str], None] | None = None,
        timeouts: Timeouts | None = None,
        patience: Patience | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.statistics = StreamStatistics()
        self._radio, self._target, self._choices = radio, target, choices or Choices()
        self._stop = stop or asyncio.Event()
        self._tell = on_event or (lambda _: None)
        self._timeouts, self._chance = timeouts or Timeouts(), chance
        self._life = Life(patience or Patience())
        self._inbox = Inbox(_QUEUED_MESSAGES, self.statistics)
        self._cut_bytes: int | None = None
        self._device: Any = None
        self._connection: Connection | None = None
        self.profile = self._choices.profile
        self._receiver: Receiver | None = None
        self._error: PatchError | None = None
        self._pending: list[Output] = []  # what came with the answer to the start

    @property
    def state(self) -> State:
        """What the bridge is doing."""
        return self._life.state

    @property
    def format(self) -> StreamFormat | None:
        """What its frames are like, once it was heard."""
        return None if self._receiver is None else self._receiver.format

    @property
    def device_name(self) -> str:
        """What it calls itself; empty for nothing, or before it was found."""
        return "" if self._device is None else str(self._device.name or "")

    @property
    def device_address(self) -> str:
        """Its address; empty before it was found."""
        return "" if self._device is None else str(self._device.address)

    async def __aenter__(self) -> PatchStream:
        try:
            while self.state not in FINAL and self.state is not State.STREAMING:
                await self._step()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def __aiter__(self) -> AsyncGenerator[Item]:
        async with aclosing(self.heard()) as heard:
            async for each in heard:
                yield each.item

    async def heard(self) -> AsyncGenerator[Heard]:
        """The items with this machine's time."""
        while self.state not in FINAL:
            if self.state is State.STREAMING:
                async with aclosing(self._stream()) as stream:
                    async for output in stream:
                        if isinstance(output, Event):
                            self._on(output)
                        else:
                            yield output
            else:
                await self._step()

    async def _step(self) -> None:
        """Do what the present state says, and take the state that follows. Raises PatchError when that is FAILED."""
        if self.state in (State.LEAVING, State.ABORTING, State.PARTING):
            event = await self._part(stopping=self.state is not State.PARTING)
        else:
            doing = {
                State.SCANNING: self._scan,
                State.CONNECTING: self._connect,
                State.PAIRING: self._pair,
                State.SUBSCRIBING: self._subscribe,
                State.STARTING: self._start,
                State.WAITING: self._wait,
            }[self.state]
            event = await self._unless_stopped(self._attempt(doing)) or Event.STOP
        self._on(event)

    def _on(self, event: Event) -> None:
        if event in (Event.LOST, Event.SILENT):
            self._tell(event.value)
        if event in (Event.LOST, Event.SILENT, Event.FAILED) and self._receiver is not None:
            self._receiver.interrupt("link_lost")
        streamed = self.statistics.frames > 0
        if self._life.on(event, _now_s()) is State.STREAMING:
            self.statistics.reconnects += streamed
            self._error = None
        if self.state is State.FAILED:
            raise self._error or PatchError("the patch is given up")

    async def _attempt(self, doing: Callable[[], Awaitable[_E]]) -> _E | Event:
        try:
            return await doing()
        except AdapterMissing as exc:
            self._error = exc
            return Event.NO_ADAPTER if self.state is State.SCANNING else Event.FAILED
        except DeviceNotFound as exc:
            self._error = exc
            return Event.NOT_FOUND
        except PatchError as exc:
            self._error = exc
            return Event.FAILED

    async def _scan(self) -> Event:
        if self._radio.gone:
            self._error = PatchError(f"the emulator at {self._radio.link} is gone")
            return Event.GIVEN_UP
        # what was heard is one person's ECG: nobody else's may follow, whatever the name
        target = self._target.at(self.device_address) if self.statistics.frames else self._target
        self._device = await self._radio.find(target, self._timeouts.scan)
        return Event.FOUND

    async def _connect(self) -> Event:
        self._inbox = Inbox(_QUEUED_MESSAGES, self.statistics)
        self._connection = connection = self._radio.connection(self._device, self._timeouts, self._inbox.end)
        await connection.open()
        name = self._device.name or self._device.address
        found = [self.profile] if self.profile else profiles_for(self._device.name or "", connection.services)
        if len(found) != 1 or not all(connection.has(each) for each in found[0].subscribe):
            self._error = no_profile(name, found, connection.services)
            # BlueZ was seen to find half of a patch: that is no refusal of one that is known by its name or ran already
            is_half = len(found) < 2 and (self.statistics.frames or is_known(name, found))
            return Event.FAILED if is_half else Event.REFUSED
        self.profile = profile = found[0]
        if self._receiver is None:
            wishes = self._choices.wishes
            self._receiver = Receiver(partial(profile.next_session, wishes), self.statistics)
        mtu = connection.mtu(profile.subscribe[-1])
        self._cut_bytes = mtu - _ATT_HEADER_BYTES if mtu < profile.needed_mtu else None
        if self._cut_bytes is not None:
            self._tell(
                f"the link's MTU is {mtu}; {profile.title} needs {profile.needed_mtu} and may refuse or cut its frames"
            )
        return Event.NEEDS_PAIRING if profile.encrypted or self._choices.encrypt else Event.CONNECTED

    async def _pair(self) -> Event:
        assert self._connection is not None
        try:
            await self._connection.encrypt()
        except PatchError as exc:
            if self.statistics.frames or not self._connection.is_open:
                raise
            self._error = PatchError(
                f"the link cannot be encrypted ({exc}): pair the patch in the system's settings"
            )
            return Event.REFUSED
        return Event.PAIRED

    async def _subscribe(self) -> Event:
        assert self._connection is not None
        assert self.profile is not None
        # a patch may send as soon as its ECG is subscribed: that comes last
        for characteristic in filter(self._connection.has, self.profile.optional):
            await self._subscribe_if_it_can(characteristic)
        for characteristic in self.profile.subscribe:
            await self._connection.subscribe(characteristic, self._inbox.taker(characteristic))
        return Event.SUBSCRIBED

    async def _subscribe_if_it_can(self, characteristic: str) -> None:
        """What can be done without: its value now, and whenever it changes."""
        assert self._connection is not None
        try:
            await self._connection.subscribe(characteristic, self._inbox.taker(characteristic))
            self._inbox.taker(characteristic)(await self._connection.read(characteristic))
        except PatchError:
            if not self._connection.is_open:
                raise

    async def _start(self) -> Event:
        assert self._receiver is not None
        outputs, until_s = self._receiver.begin(self._cut_bytes), _now_s() + self._timeouts.call
        while True:
            rest = iter(outputs)
            for output in rest:
                event = await self._carry_out(output)
                if event is not None:
                    if event is Event.STARTED:
                        self._tell(f"connected to {self._device.name or self._device.address}")
                        self._pending = list(rest)
                    return event
                if isinstance(output, Write):
                    until_s = _now_s() + self._timeouts.call
            entry = await self._next_entry(until_s)
            if entry is None:
                raise PatchError("the start was not answered in time")
            if entry.characteristic is None:
                return Event.LOST
            outputs = self._receiver.receive(entry.characteristic, entry.data, entry.host_s)

    async def _wait(self) -> Event:
        wait_s = self._life.next_wait_s(_now_s(), self._chance())
        missing = isinstance(self._error, DeviceNotFound) and self.statistics.frames == 0
        if wait_s is None or missing:
            if self.statistics.frames:
                why = self._error or "the link is lost again and again before a frame comes"
                self._error = PatchError(f"the patch did not come back: {why}")
            return Event.GIVEN_UP
        if self._error is not None:
            self._tell(f"not connected ({self._error}); next try in {wait_s:.1f} s")
        await asyncio.sleep(wait_s)
        return Event.WAITED

    async def _stream(self) -> AsyncGenerator[Heard | Event]:
        """Items of this connection, and at last the event that ended it."""
        assert self._receiver is not None
        timeout_s = self._timeouts.first_frame
        until_s = _now_s() + timeout_s
        outputs, self._pending = self._pending, []
        while True:
            for output in outputs:
                if isinstance(output, Heard):
                    self._life.deliver()
                    yield output
                    timeout_s = self._timeouts.silence
                    until_s = _now_s() + timeout_s
                elif event := await self._attempt(partial(self._carry_out, output)):
                    yield event
                    return
            entry = await self._next_entry(until_s)
            if self._stop.is_set():
                yield Event.STOP
                return
            if entry is None:
                yield self._silent(timeout_s)
                return
            if entry.characteristic is None:
                yield Event.LOST
                return
            if entry.after_drop:
                self._receiver.interrupt("overrun")
            outputs = list(self._receiver.receive(entry.characteristic, entry.data, entry.host_s))

    def _silent(self, timeout_s: float) -> Event:
        if self.statistics.frames == 0:
            sent = "no frame that can be read" if self.statistics.bad_frames else "nothing"
            self._error = PatchError(
                f"the patch accepted the start and sent {sent} for {timeout_s:g} s: wear it again"
            )
            return Event.REFUSED
        self._error = PatchError(f"no frame for {timeout_s:g} s")
        return Event.SILENT

    async def _carry_out(self, output: Output) -> Event | None:
        """Do what the receiver says; the event that it makes, if any."""
        match output:
            case Write():
                assert self._connection is not None
                await self._connection.write(output.characteristic, output.data)
            case Started():
                return Event.STARTED
            case Refused():
                title = "patch" if self.profile is None else self.profile.title
                self._error = PatchError(f"the {title} refuses to stream its ECG: {output.reason}")
                return Event.REFUSED
            case Ended():
                self._tell(f"{Event.DEVICE_ENDED.value}{output.reason and f': {output.reason}'}")
                return Event.DEVICE_ENDED
            case Heard():
                pass  # before the answer to the start: of the measurement before
            case _:
                self._tell(output.words)
        return None

    async def _part(self, *, stopping: bool) -> Event:
        """Free the link, and stop the measurement first where that is wanted and the link allows it."""
        connection = self._connection
        if connection is not None:
            stops: Sequence[Write] = self._receiver.end() if stopping and self._receiver is not None else []
            for each in stops:
                if connection.is_open:
                    with suppress(PatchError):
                        await connection.write(each.characteristic, each.data)
            await connection.close()
            self._connection = None  # not before: whoever is cancelled in between has to try again
        return Event.PARTED

    async def _leave(self) -> None:
        """Leave the patch stopped, whatever state this is in."""
        await self._part(stopping=True)
        if self.state not in FINAL:
            self._life.state = State.ENDED

    async def _next_entry(self, until_s: float) -> Entry | None:
        """The next message, or None when stopped, or where there is none at `until_s`."""
        if self._stop.is_set():
            return None
        return (
            await self._inbox.at_once()
            or await self._unless_stopped(asyncio.wait_for(self._inbox.next(), until_s - _now_s()))
            or await self._inbox.at_once()  # a machine that stood still gets the message and the end of its time at once
        )

    async def _unless_stopped(self, call: Awaitable[_T]) -> _T | None:
        """The result of `call`; None, and `call` cancelled, as soon as the user stops; None when it timed out."""
        calling = asyncio.ensure_future(call)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((calling, stopping), return_when=asyncio.FIRST_COMPLETED)
            with suppress(TimeoutError):
                return calling.result() if calling.done() else None
            return None
        finally:
            stopping.cancel()
            if not calling.done():
                calling.cancel()
                with suppress(asyncio.CancelledError, PatchError):
                    await calling


def _now_s() -> float:
    return asyncio.get_running_loop().time()
