"""The alarm counts answered windows in a span of time, latches and releases."""

from __future__ import annotations

import pytest

from edge_mi.alarm import AlarmConfig, AlarmLatch

CONFIG = AlarmConfig(span_s=30.0, on_count=20, off_count=6)


def run(latch: AlarmLatch, answers: str, start_s: float = 0.0) -> list[bool]:
    """`+` positive, `-` negative, `?` undetermined (never shown to the latch), one a second."""
    result = []
    for i, answer in enumerate(answers):
        if answer != "?":
            latch.step(start_s + i, answer == "+")
        result.append(latch.on)
    return result


def test_k_positive_windows_set_the_latch() -> None:
    states = run(AlarmLatch(CONFIG), "+" * 25)
    assert states.index(True) == 19


def test_fewer_than_k_in_the_span_never_do() -> None:
    assert not any(run(AlarmLatch(CONFIG), "+++--" * 40))


def test_undetermined_windows_count_neither_way_and_age_out() -> None:
    latch = AlarmLatch(CONFIG)
    assert not any(run(latch, "+" * 15 + "?" * 30 + "+" * 15))
    assert any(run(AlarmLatch(CONFIG), "+?" * 5 + "+" * 15))


def test_the_latch_holds_until_enough_windows_are_negative() -> None:
    latch = AlarmLatch(CONFIG)
    run(latch, "+" * 30)
    states = run(latch, "-" * 40, start_s=30.0)
    # 30 s span: 6 positives are left when 24 negatives have come
    assert states.index(False) == 23


def test_silence_does_not_release_the_latch() -> None:
    latch = AlarmLatch(CONFIG)
    run(latch, "+" * 30)
    assert all(run(latch, "?" * 100 + "-" * 19, start_s=30.0))


def test_a_clock_that_steps_back_starts_the_count_again() -> None:
    latch = AlarmLatch(CONFIG)
    run(latch, "+" * 15, start_s=1000.0)
    assert not any(run(latch, "+" * 15, start_s=0.0))


def test_a_window_one_span_ago_is_out_whatever_the_last_bit_of_its_time() -> None:
    for first in (0.1, 7.83, 9.830001, 1e6 + 0.3):
        latch = AlarmLatch(AlarmConfig(span_s=30.0, on_count=2, off_count=0))
        latch.step(first, True)
        assert not latch.step(round(first + 30.0, 6), True)


def test_forgetting_keeps_the_latch() -> None:
    latch = AlarmLatch(CONFIG)
    run(latch, "+" * 30)
    latch.forget()
    assert latch.on
    assert all(run(latch, "-" * 19, start_s=5.0))


@pytest.mark.parametrize("values", [(0.0, 2, 1), (30.0, 2, 2), (30.0, 2, -1)])
def test_a_config_without_sense_is_refused(values: tuple[float, int, int]) -> None:
    with pytest.raises(ValueError, match="an alarm needs"):
        AlarmConfig(span_s=values[0], on_count=values[1], off_count=values[2])
