"""Progress is a bar on a terminal and a few lines elsewhere; its clock is the caller's."""

from __future__ import annotations

import io

import pytest

from edge_mi.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_file_gets_about_ten_lines() -> None:
    stream = io.StringIO()
    with Progress(1000, "scoring", stream, Clock()) as progress:
        for _ in range(1000):
            progress.advance()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "scoring: 1000/1000, 0 s"


def test_the_time_left_follows_from_the_pace() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(10, "training", stream, clock) as progress:
        clock.now_s = 30.0
        progress.advance()
    assert stream.getvalue() == "training: 1/10, 4 min 30 s left\n"


def test_a_terminal_gets_one_line_that_ends() -> None:
    clock, stream = Clock(), Terminal()
    with Progress(4, "scoring", stream, clock) as progress:
        clock.now_s = 1.0
        progress.advance(2)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "[############............] 2/4, 1 s left" in text


def test_a_terminal_is_not_redrawn_for_every_step() -> None:
    stream = Terminal()
    with Progress(1000, "scoring", stream, Clock()) as progress:
        for _ in range(1000):
            progress.advance()
    assert stream.getvalue().count("\r") == 2


def test_the_last_state_is_shown_when_the_work_fails() -> None:
    stream = io.StringIO()

    def fail() -> None:
        with Progress(100, "scoring", stream, Clock()) as progress:
            progress.advance(3)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert stream.getvalue().startswith("scoring: 3/100")


@pytest.mark.parametrize("total", [0, -1])
def test_nothing_to_do_is_no_error(total: int) -> None:
    stream = Terminal()
    with Progress(total, "scoring", stream, Clock()) as progress:
        assert progress.done == 0
    assert "0/0" in stream.getvalue()
