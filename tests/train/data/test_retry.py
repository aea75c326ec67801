"""When a server is asked again; time and chance are arguments."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from edge_mi.train.data.retry import RetryPolicy, retry_after_s
from hypothesis import given
from hypothesis import strategies as st

POLICY = RetryPolicy(attempts=6, first_delay_s=1.0, longest_delay_s=10.0, longest_wait_s=900.0)
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
# torch may have set the processor to flush subnormal numbers to 0
chances = st.floats(0, 1, exclude_max=True, allow_subnormal=False)


def test_the_delay_doubles_up_to_a_bound_and_then_ends() -> None:
    assert [POLICY.delay_s(n, chance=0.0) for n in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 5.0, None]


@given(st.integers(1, 5), chances, st.none() | st.floats(0, 900, allow_subnormal=False))
def test_no_delay_is_shorter_than_the_server_asks_for_nor_longer_than_both(
    failures: int, chance: float, asked: float | None
) -> None:
    delay = POLICY.delay_s(failures, chance=chance, retry_after_s=asked)
    assert delay is not None
    assert (asked or 0.0) <= delay <= max(10.0, asked or 0.0)


@given(st.integers(1, 10_000), chances)
def test_attempts_are_bounded(failures: int, chance: float) -> None:
    assert (POLICY.delay_s(failures, chance=chance) is None) == (failures >= 6)


def test_a_server_that_wants_an_hour_is_left_alone() -> None:
    assert POLICY.delay_s(1, chance=0.5, retry_after_s=3600.0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("120", 120.0), (" 7 ", 7.0), ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0), ("soon", None), ("-5", None), ("", None), ("9" * 5000, 999999999999.0),
        ("Wed, 01 Jan 2020 00:00:00 +99999999999999", None), ("Wed, 01 Jan 2020 00:00:00 -9999", None),
    ],
)  # fmt: skip
def test_what_retry_after_says(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds
