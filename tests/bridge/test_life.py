"""The table of a connection's life: no state without a way out, no way back to an unfreed link."""

from __future__ import annotations

import pytest
from edge_mi.firmware_bridge.life import FINAL, TABLE, Event, Life, Patience, State
from hypothesis import given
from hypothesis import strategies as st

WORKING = [state for state in State if state not in FINAL]


def reachable(start: State) -> set[State]:
    found, new = {start}, [start]
    while new:
        state = new.pop()
        for (before, _), after in TABLE.items():
            if before is state and after not in found:
                found.add(after)
                new.append(after)
    return found


def test_every_state_can_be_reached_and_every_event_happens() -> None:
    assert reachable(State.SCANNING) == set(State)
    assert {event for _, event in TABLE} == set(Event)


@pytest.mark.parametrize("state", WORKING)
def test_every_state_leads_to_an_end(state: State) -> None:
    assert reachable(state) & FINAL


@pytest.mark.parametrize("state", sorted(FINAL, key=str))
def test_an_end_is_the_end(state: State) -> None:
    assert reachable(state) == {state}


@pytest.mark.parametrize("state", [each for each in WORKING if each not in (State.LEAVING, State.ABORTING)])
def test_the_user_can_always_stop(state: State) -> None:
    assert TABLE[state, Event.STOP] is State.LEAVING


@pytest.mark.parametrize("event", [Event.FAILED, Event.LOST, Event.SILENT])
def test_a_broken_link_is_freed_before_the_next_is_made(event: Event) -> None:
    for state in (State.CONNECTING, State.PAIRING, State.SUBSCRIBING, State.STARTING, State.STREAMING):
        assert TABLE[state, event] is State.PARTING
    assert {TABLE[State.PARTING, each] for each in (Event.PARTED, Event.STOP)} == {
        State.WAITING,
        State.LEAVING,
    }


def walk(life: Life, events: list[Event], now_s: float = 0.0) -> None:
    for event in events:
        life.on(event, now_s)


TO_STREAMING = [Event.FOUND, Event.CONNECTED, Event.SUBSCRIBED, Event.STARTED]


def test_waits_double_up_to_the_longest_and_begin_anew_with_a_frame() -> None:
    life = Life(Patience(first=1e9, lost=1e9, backoff=1, longest_backoff=8, jitter=0))
    walk(life, [Event.NOT_FOUND])
    assert [life.next_wait_s(0.0, 0.5) for _ in range(5)] == [1, 2, 4, 8, 8]
    walk(life, [Event.WAITED, *TO_STREAMING, Event.LOST, Event.PARTED])
    assert life.next_wait_s(0.0, 0.5) == 8
    walk(life, [Event.WAITED, *TO_STREAMING])
    life.deliver()
    walk(life, [Event.LOST, Event.PARTED])
    assert life.next_wait_s(0.0, 0.5) == 1


@given(st.floats(0, 1, exclude_max=True))
def test_chance_only_shortens_a_wait(chance: float) -> None:
    life = Life(Patience(first=100, backoff=1, jitter=0.3))
    walk(life, [Event.NOT_FOUND])
    wait_s = life.next_wait_s(0.0, chance)
    assert wait_s is not None
    assert 0.7 <= wait_s <= 1


def test_a_lost_patch_is_looked_for_as_long_as_patience_lasts() -> None:
    life = Life(Patience(lost=300, backoff=30, longest_backoff=30, jitter=0))
    walk(life, TO_STREAMING)
    life.deliver()
    walk(life, [Event.SILENT, Event.PARTED], now_s=1000)
    assert life.next_wait_s(1000, 0) == 30
    walk(life, [Event.WAITED, Event.NOT_FOUND], now_s=1250)
    assert life.next_wait_s(1250, 0) == 30
    assert life.next_wait_s(1271, 0) is None
    walk(life, [Event.GIVEN_UP], now_s=1271)
    assert life.state is State.FAILED


def test_a_patch_that_never_streamed_has_its_own_patience() -> None:
    life = Life(Patience(first=10, lost=300, backoff=8, jitter=0))
    walk(life, [Event.FOUND, Event.FAILED, Event.PARTED], now_s=0)
    assert life.next_wait_s(0, 0) == 8
    assert life.next_wait_s(8, 0) is None


def test_an_event_that_cannot_happen_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        Life(Patience()).on(Event.SUBSCRIBED, 0.0)
