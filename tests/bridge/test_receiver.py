"""From messages to chunks, gaps and words, without a link: rates that cannot be, clocks that tell nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from edge_mi.firmware_bridge.frames import Frame, StreamFormat
from edge_mi.firmware_bridge.healthypi_packets import ECG, HEALTHYPI_MOVE, encode
from edge_mi.firmware_bridge.polar_h10 import FORMAT as H10
from edge_mi.firmware_bridge.profile import Wishes
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.receiver import ARRIVAL_SHARE, RATE_SHARE, Heard, Output, Receiver, Said
from edge_mi.firmware_bridge.session import (
    BadFrame,
    Battery,
    Contact,
    Ended,
    Message,
    Refused,
    Session,
    Started,
    Write,
)
from edge_mi.firmware_bridge.statistics import StreamStatistics
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_mi.samples import Chunk, Gap

N = 73
COUNTED = StreamFormat(rate_hz=250, codes_per_mv=200, bits=16, counted=True, stamped="first")
FIRST_STAMPED = StreamFormat(rate_hz=130, codes_per_mv=1000, bits=24, stamped="first")
BLIND = StreamFormat(rate_hz=128, codes_per_mv=1000, bits=24)


class Speaking:
    """A session that starts at once and then says what it is given."""

    def __init__(self, layout: StreamFormat) -> None:
        self.layout = layout
        self.next: Sequence[Message] = ()

    def begin(self) -> Sequence[Message]:
        return [Started(self.layout)]

    def receive(self, characteristic: str, data: bytes) -> Sequence[Message]:
        del characteristic, data
        return self.next

    def end(self) -> Sequence[Message]:
        return [Write("control", b"stop"), Ended()]


class Talk:
    """A receiver of one such session after another; `layouts` in turn."""

    def __init__(self, *layouts: StreamFormat, session: type[Speaking] = Speaking) -> None:
        self.layouts, self.kind = [layouts[0], *layouts], session
        self.statistics = StreamStatistics()
        self.receiver = Receiver(self._session, self.statistics)
        self.begin()

    def _session(self, before: Session | None) -> Session:
        del before
        self.session = self.kind(self.layouts.pop(0) if len(self.layouts) > 1 else self.layouts[0])
        return self.session

    def begin(self) -> Sequence[Output]:
        return self.receiver.begin()

    def hear(self, *messages: Message, host_s: float = 0.0, size: int = 1) -> Sequence[Output]:
        self.session.next = messages
        return self.receiver.receive("data", bytes(size), host_s)

    def heard(self, *messages: Message, host_s: float = 0.0) -> list[Heard]:
        return [each for each in self.hear(*messages, host_s=host_s) if isinstance(each, Heard)]

    def words(self, *messages: Message, host_s: float = 0.0) -> list[str]:
        return [each.words for each in self.hear(*messages, host_s=host_s) if isinstance(each, Said)]


def stamped(i: int, *, rate_hz: float = 130.0) -> Frame:
    """The i-th frame of an H10 whose crystal gives it this rate."""
    last = (i + 1) * N - 1
    return Frame(codes=np.arange(i * N, (i + 1) * N, dtype=np.int32), stamp_ns=round(last / rate_hz * 1e9))


def counted(i: int, *, rate_hz: float = 250.0) -> Frame:
    codes = np.arange(i * N, (i + 1) * N, dtype=np.int32)
    return Frame(codes=codes, counter=i * N, stamp_ns=round(i * N / rate_hz * 1e9))


def movesense(i: int, *, rate_hz: float = 130.0) -> Frame:
    codes = np.arange(i * N, (i + 1) * N, dtype=np.int32)
    return Frame(codes=codes, stamp_ns=round(i * N / rate_hz * 1e3) * 10**6)


def set_by(frame: Frame, step_s: float) -> Frame:
    """The frame of a sensor whose clock was set forward by so much."""
    assert frame.stamp_ns is not None
    return replace(frame, stamp_ns=frame.stamp_ns + round(step_s * 1e9))


def refusals(outputs: Sequence[Output]) -> list[str]:
    return [each.reason for each in outputs if isinstance(each, Refused)]


def healthypi(share: float, *, seconds: float = 90.0) -> tuple[float | None, str]:
    """When and why a HealthyPi Move is refused of whose samples this share arrives, evenly."""
    profile = PROFILES["healthypi-move"]
    receiver = Receiver(lambda before: profile.next_session(Wishes(), before), StreamStatistics())
    receiver.begin()
    packet = encode(HEALTHYPI_MOVE, np.zeros(16, dtype=np.int32))
    for i in range(int(seconds * 8 * share)):
        host_s = i / 8 / share
        if found := refusals(receiver.receive(ECG, packet, host_s)):
            return host_s, found[0]
    return None, ""


@pytest.mark.parametrize("share", [0.5, 0.8, 0.93, 0.94, 1.07, 1.5])
def test_a_blind_stream_of_which_too_little_or_too_much_arrives_is_refused_after_a_minute(
    share: float,
) -> None:
    when_s, why = healthypi(share)
    assert when_s == pytest.approx(60, abs=0.5)
    assert f"{128 * share:.1f} samples a second arrive, expected 128" in why


@pytest.mark.parametrize("share", [0.945, 0.98, 1.0, 1.02, 1.055])
def test_a_blind_stream_that_is_off_by_less_is_believed(share: float) -> None:
    assert healthypi(share) == (None, "")


def test_how_far_a_rate_may_be_off_is_what_the_documents_say() -> None:
    assert (ARRIVAL_SHARE, RATE_SHARE) == (0.06, 0.02)


@pytest.mark.parametrize(("layout", "frame"), [(H10, stamped), (COUNTED, counted)])
@settings(deadline=None, max_examples=40)
@given(off=st.floats(-0.05, 0.05).filter(lambda off: abs(abs(off) - 0.02) > 0.0005))
def test_a_clock_that_says_another_rate_by_more_than_two_percent_is_refused(
    layout: StreamFormat, frame: Callable[..., Frame], off: float
) -> None:
    talk = Talk(layout)
    rate_hz = layout.rate_hz * (1 + off)
    why = ""
    for i in range(int(65 * layout.rate_hz / N)):
        why = why or "".join(refusals(talk.hear(frame(i, rate_hz=rate_hz), host_s=i * N / rate_hz)))
    assert bool(why) == (abs(off) > 0.02)
    if why:
        said = re.match(rf"its clock says ([0-9.]+) Hz, expected {layout.rate_hz:g} Hz within 2 %", why)
        assert said is not None
        assert float(said[1]) == pytest.approx(rate_hz, abs=0.051)


def test_a_refused_frame_is_not_handed_on() -> None:
    talk = Talk(H10)
    outputs = [talk.hear(stamped(i, rate_hz=125), host_s=i * N / 125) for i in range(130)]
    assert refusals(outputs[-1])
    assert len(outputs[-1]) == 1


def test_a_stream_that_is_not_paced_has_no_clock_and_is_timed_by_its_arrival() -> None:
    talk = Talk(H10)
    speed = 50.0
    heard = [talk.heard(stamped(i), host_s=i * N / 130 / speed)[0] for i in range(800)]
    assert talk.statistics.clock_steps == 0
    assert talk.statistics.drift_ppm is None
    late = [(i, each) for i, each in enumerate(heard) if i > 700]
    for i, each in late:
        assert each.host_s == pytest.approx(i * N / 130 / speed - (N - 1) / 130)
    assert not any(isinstance(each.item, Gap) for each in heard)


def test_a_stream_that_is_not_paced_is_told_once() -> None:
    talk = Talk(H10)
    jumped, lost = [words for i in range(800) for words in talk.words(stamped(i), host_s=i * N / 130 / 50)]
    assert re.fullmatch(r"the sensor's clock jumped forward by \d+\.\d s against this machine's", jumped)
    assert lost == "the sensor's clock does not keep this machine's pace: samples are timed by their arrival"


@pytest.mark.parametrize(("step_s", "way"), [(7.3, "back"), (-7.3, "forward")])
def test_where_the_two_clocks_jumped_apart_is_said_and_counted(step_s: float, way: str) -> None:
    talk = Talk(H10)
    words = []
    for i in range(800):
        words += talk.words(stamped(i), host_s=i * N / 130 + (step_s if i >= 300 else 0.0))
    assert words == [f"the sensor's clock jumped {way} by 7.3 s against this machine's"]
    assert talk.statistics.clock_steps == 1


@pytest.mark.parametrize("step_s", [7.3, -7.3, -90.0, 0.6])
def test_a_clock_that_was_set_is_overruled_by_the_counter(step_s: float) -> None:
    talk = Talk(COUNTED)
    said, chunks = [], []
    for i in [*range(600), *range(603, 1200)]:
        outputs = talk.hear(set_by(counted(i), step_s if i >= 300 else 0.0), host_s=i * N / 250)
        said += [each.words for each in outputs if isinstance(each, Said)]
        chunks += [each.item for each in outputs if isinstance(each, Heard) and isinstance(each.item, Chunk)]
    assert said == ["the sensor's clock was set: time goes on by its counter"]
    assert talk.statistics.clock_steps == 1
    assert (talk.statistics.samples_lost, talk.statistics.restarts) == (3 * N, 0)
    assert all(each.t_s == pytest.approx(each.index / 250) for each in chunks)
    assert talk.statistics.rate_hz == pytest.approx(250)


def test_a_gap_in_a_stream_that_is_not_paced_has_no_time_of_this_machine() -> None:
    talk = Talk(H10)
    speed = 50.0
    for i in range(800):
        talk.hear(stamped(i), host_s=i * N / 130 / speed)
    gap, chunk = talk.heard(stamped(810), host_s=810 * N / 130 / speed)
    assert isinstance(gap.item, Gap)
    assert gap.host_s is None
    assert chunk.host_s is not None


def test_a_stream_at_its_own_pace_is_timed_by_its_clock() -> None:
    talk = Talk(H10)
    late_s = [0.0, 0.03, 0.11, 0.02, 0.07]
    for i in range(200):
        (heard,) = talk.heard(stamped(i), host_s=100 + ((i + 1) * N - 1) / 130 + late_s[i % 5])
        # to within the delay of the fastest frames and what two crystals may differ
        assert heard.host_s == pytest.approx(100 + i * N / 130, abs=0.03)
    assert talk.statistics.clock_steps == 0


@pytest.mark.parametrize(
    ("layout", "frame"),
    [(H10, stamped), (FIRST_STAMPED, movesense), (COUNTED, counted)],
    ids=["last sample stamped", "first sample stamped", "counted"],
)
def test_the_time_of_a_chunk_is_when_its_first_sample_was_made(
    layout: StreamFormat, frame: Callable[..., Frame]
) -> None:
    talk = Talk(layout)
    for i in range(200):
        last_s = ((i + 1) * N - 1) / layout.rate_hz
        (heard,) = talk.heard(frame(i, rate_hz=layout.rate_hz), host_s=1000 + last_s)
        assert heard.host_s == pytest.approx(1000 + i * N / layout.rate_hz, abs=0.002)


def test_another_format_after_a_reconnection_is_refused() -> None:
    talk = Talk(H10, COUNTED)
    talk.hear(stamped(0))
    assert "another format (250 Hz)" in refusals(talk.begin())[0]
    assert talk.receiver.format == H10


def test_the_same_format_after_a_reconnection_goes_on() -> None:
    talk = Talk(H10, H10)
    talk.hear(stamped(0))
    assert talk.begin() == [Started(H10)]
    assert [each.item.index for each in talk.heard(stamped(1)) if isinstance(each.item, Chunk)] == [N]


def test_bad_frames_are_said_once_and_counted() -> None:
    talk = Talk(H10)
    assert talk.words(BadFrame("it was cut")) == ["it was cut; such frames are counted and left out"]
    assert talk.words(BadFrame("it was cut"), BadFrame("another")) == []
    assert talk.statistics.bad_frames == 3
    assert talk.heard(stamped(0))


@given(st.lists(st.integers(0, 100), max_size=12))
def test_a_battery_is_told_whenever_it_falls_to_fifteen_percent(levels: list[int]) -> None:
    talk = Talk(H10)
    said = [bool(talk.words(Battery(percent))) for percent in levels]
    before = [100, *levels]
    assert said == [now <= 15 < then for then, now in zip(before, levels, strict=False)]
    assert talk.statistics.battery_percent == (levels[-1] if levels else None)


@given(st.lists(st.booleans(), max_size=12))
def test_contact_is_told_when_it_changes_and_stands_in_every_chunk(touches: list[bool]) -> None:
    talk = Talk(H10)
    losses = 0
    before = True
    for i, on in enumerate(touches):
        words = talk.words(Contact(on))
        losses += before and not on
        assert len(words) == (on != before)
        before = on
        (heard,) = talk.heard(stamped(i))
        assert isinstance(heard.item, Chunk)
        assert heard.item.contact is on
    assert talk.statistics.contact_losses == losses


def test_contact_that_is_no_longer_known_is_no_loss() -> None:
    talk = Talk(COUNTED)
    talk.hear(Contact(False), counted(0))
    assert talk.words(Contact(None)) == ["the patch does not know if its electrodes touch skin"]
    (heard,) = talk.heard(counted(1))
    assert isinstance(heard.item, Chunk)
    assert heard.item.contact is None


def test_a_patch_that_does_not_speak_of_contact_has_none() -> None:
    (heard,) = Talk(H10).heard(stamped(0))
    assert isinstance(heard.item, Chunk)
    assert heard.item.contact is None


@pytest.mark.parametrize("cause", ["link_lost", "overrun"])
@pytest.mark.parametrize(("layout", "frame"), [(H10, stamped), (COUNTED, counted)])
def test_the_cause_of_an_interruption_is_that_of_the_next_gap_and_of_no_other(
    layout: StreamFormat, frame: Callable[..., Frame], cause: str
) -> None:
    talk = Talk(layout)
    talk.hear(frame(0))
    talk.receiver.interrupt(cause)
    causes = [
        [each.item.cause for each in talk.heard(frame(i)) if isinstance(each.item, Gap)] for i in (3, 4, 6)
    ]
    assert causes == [[cause], [], ["lost"]]
    talk.receiver.interrupt(cause)
    causes = [
        [each.item.cause for each in talk.heard(frame(i)) if isinstance(each.item, Gap)] for i in (7, 9)
    ]
    assert causes == [[], ["lost"]]  # nothing was missing after the interruption


def test_the_cause_of_an_interruption_is_that_of_a_blind_streams_gap() -> None:
    talk = Talk(BLIND)
    frame = Frame(codes=np.zeros(16, dtype=np.int32))
    talk.hear(frame, host_s=0.0)
    talk.receiver.interrupt("overrun")
    gap, _ = (each.item for each in talk.heard(frame, host_s=0.125))
    assert isinstance(gap, Gap)
    assert (gap.cause, gap.n_samples) == ("overrun", None)
    assert len(talk.heard(frame, host_s=0.25)) == 1


def test_an_interruption_before_anything_was_heard_makes_no_gap() -> None:
    talk = Talk(H10)
    talk.receiver.interrupt("link_lost")
    assert [type(each.item) for each in talk.heard(stamped(3))] == [Chunk]


class Asking(Speaking):
    """A session that has to ask before the patch starts."""

    def begin(self) -> Sequence[Message]:
        return [Write("control", b"start")]


def test_frames_before_the_start_of_a_connection_are_neither_delivered_nor_counted() -> None:
    talk = Talk(H10, session=Asking)
    assert talk.hear(stamped(0)) == []  # of a measurement that somebody else left behind
    talk.hear(Started(H10), stamped(1))
    assert talk.begin() == [Write("control", b"start")]
    assert talk.hear(stamped(3)) == []
    assert talk.statistics.samples == N
    gap, chunk = (each.item for each in talk.heard(Started(H10), stamped(4)))
    assert isinstance(gap, Gap)
    assert isinstance(chunk, Chunk)
    assert (gap.n_samples, chunk.index) == (2 * N, 3 * N)


def test_a_frame_as_long_as_the_link_allows_may_have_been_cut() -> None:
    talk = Talk(H10)
    talk.receiver.begin(97)
    (said,) = talk.hear(stamped(0), size=97)
    assert isinstance(said, Said)
    assert "97 bytes" in said.words
    assert talk.hear(Contact(False), size=97)  # what is no frame is not cut
    assert [type(each) for each in talk.hear(stamped(1), size=96)] == [Heard]
    talk.begin()
    assert [type(each) for each in talk.hear(stamped(2), size=97)] == [Heard]


@pytest.mark.parametrize("before", [2, 20], ids=["rate not fitted yet", "rate fitted"])
@pytest.mark.parametrize("lost", [0, 1, 3])
def test_a_frame_that_was_cut_after_others_were_lost_leaves_both_gaps(before: int, lost: int) -> None:
    talk = Talk(H10)
    for i in range(before):
        talk.hear(stamped(i))
    whole = stamped(before + lost)
    cut = Frame(codes=whole.codes[:29], stamp_ns=whole.stamp_ns)
    items = [each.item for each in talk.heard(cut)]
    assert [each.n_samples for each in items if isinstance(each, Gap)] == [lost * N, N - 29][lost == 0 :]
    (chunk,) = (each for each in items if isinstance(each, Chunk))
    assert chunk.index == (before + lost) * N
    assert chunk.t_s == pytest.approx(chunk.index / 130)
    (heard,) = talk.heard(stamped(before + lost + 1))
    assert isinstance(heard.item, Chunk)
    assert heard.item.index == (before + lost + 1) * N


def test_leaving_writes_and_does_nothing_else() -> None:
    assert Talk(H10).receiver.end() == [Write("control", b"stop")]


def test_what_the_receiver_does_not_know_of_is_handed_on() -> None:
    talk = Talk(H10)
    assert talk.hear(Ended("its battery is empty"), Refused("no"), Write("c", b"x")) == [
        Ended("its battery is empty"),
        Refused("no"),
        Write("c", b"x"),
    ]
