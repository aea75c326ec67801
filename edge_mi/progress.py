"""Progress of long work on stderr: a bar with the time left on a terminal, sparse lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, TextIO

BAR_WIDTH: Final = 24
REDRAW_S: Final = 0.1
LINES: Final = 10  # reports in a whole run where the stream is not a terminal


class Progress:
    """Counts `total` steps of work named `label` and shows them on `stream` (standard error by default).

    done: steps of an earlier run; the time left follows from the pace of this one.

    Use it as a context manager and call `advance`. The line ends with the block, also when that fails.
    """

    def __init__(
        self,
        total: int,
        label: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        done: int = 0,
    ) -> None:
        self._total = max(total, 0)
        self._label = label
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._done = self._before = self._shown = done
        self._detail = ""
        self._start_s = self._drawn_s = clock()

    @property
    def done(self) -> int:
        """Steps that are done."""
        return self._done

    def __enter__(self) -> Progress:
        if self._is_terminal:
            self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_terminal:
            self._draw()
            self._write("\n")
        elif self._shown < self._done:
            self._report()

    def advance(self, steps: int = 1, detail: str | None = None) -> None:
        """Count `steps` more steps as done, or none; detail: a few words that stand behind the count from now on."""
        self._done += steps
        if detail is not None:
            self._detail = f", {detail}"
        if self._is_terminal:
            if self._clock() - self._drawn_s >= REDRAW_S:
                self._draw()
        elif (self._done - self._shown) * LINES >= max(self._total, 1):
            self._report()

    def _remaining_s(self) -> float | None:
        left, here = self._total - self._done, self._done - self._before
        if here == 0 or left < 0:
            return None
        return (self._clock() - self._start_s) / here * left

    def _draw(self) -> None:
        self._drawn_s = self._clock()
        filled = BAR_WIDTH if self._total == 0 else min(BAR_WIDTH * self._done // self._total, BAR_WIDTH)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        # \x1b[K clears what a longer line left behind
        self._write(f"\r{self._label} [{bar}] {self._counts()}\x1b[K")

    def _report(self) -> None:
        self._shown = self._done
        self._write(f"{self._label}: {self._counts()}\n")

    def _counts(self) -> str:
        remaining_s = self._remaining_s()
        if self._done >= self._total or remaining_s is None:
            return f"{self._done}/{self._total}{self._detail}, {_span(self._clock() - self._start_s)}"
        return f"{self._done}/{self._total}{self._detail}, {_span(remaining_s)} left"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(n_bytes: int) -> str:
    """A number of bytes for a person, in powers of 1000."""
    value, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" else f"{n_bytes} B"
