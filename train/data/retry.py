"""When to ask a server again: a pure rule, into which time and chance come from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Bounded attempts with a delay that doubles.

    attempts: tries in a row that bring nothing new, the first included. hash_attempts: whole downloads of one file.
    longest_wait_s: a server that wants a longer one (Retry-After) is left alone until the user asks again.
    """

    attempts: int = 6
    hash_attempts: int = 3
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0
    longest_wait_s: float = 900.0

    def delay_s(self, failures: int, *, chance: float, retry_after_s: float | None = None) -> float | None:
        """Seconds to wait after `failures` failed tries in a row (1, 2, ...), None to give up.

        chance: uniform in [0, 1); it spreads the delay over its upper half, so that many clients do not come
        back together. A wait that the server asks for is never cut short.
        """
        if failures >= self.attempts:
            return None
        if retry_after_s is not None and retry_after_s > self.longest_wait_s:
            return None
        # 2**30 is beyond any sensible delay, and the power must stay a number
        full = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(failures - 1, 30))
        return max(full * (0.5 + 0.5 * chance), retry_after_s or 0.0)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, from seconds or a date; None where it asks for nothing readable.

    now: the time, with its zone.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a zone that no clock has
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max((then - now).total_seconds(), 0.0)
