"""Streaming a patch through the production client, and holding every sample against the number that it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from edge_mi.firmware_bridge.client import Choices, PatchStream
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.radio import Radio, Timeouts
from edge_mi.firmware_bridge.statistics import StreamStatistics
from edge_mi.firmware_bridge.target import target_of

from edge_mi.errors import PatchError
from edge_mi.samples import Chunk, Gap, Item

from .lab import Json, Patch, check

PATIENCE: Final = Patience(first=60.0, lost=120.0, backoff=0.5, longest_backoff=2.0)
TIMEOUTS: Final = Timeouts()
_STAMP_SHARE: Final = 0.001  # what a gap by stamps may be off, with one sample (docs/bluetooth.md)

OnItem = Callable[[PatchStream, Item], Awaitable[bool]]


@dataclass(slots=True)
class Heard:
    """What came out of a stream, against the truth that the codes carry.

    wrong: samples that are not the next number. misjudged: of each gap, by how many samples
    its length is off, and its length.
    """

    period: int
    statistics: StreamStatistics = field(default_factory=StreamStatistics)
    events: list[str] = field(default_factory=list)
    error: str = ""
    samples: int = 0
    chunks: int = 0
    wrong: int = 0
    gaps: list[tuple[int | None, str]] = field(default_factory=list)
    misjudged: list[tuple[int, int]] = field(default_factory=list)
    _next: int | None = None
    _after: int | None = 0  # length of the gap just before, 0 for none, None for unknown

    def take(self, item: Item, codes_per_mv: float) -> None:
        """Hold the next item against the truth."""
        if isinstance(item, Gap):
            self.gaps.append((item.n_samples, item.cause))
            known = self._after is not None and item.n_samples is not None
            self._after = self._after + item.n_samples if known else None  # type: ignore[operator]
            return
        if isinstance(item, Chunk):
            self._take_codes(np.rint(item.samples_mv * codes_per_mv).astype(np.int64))

    def _take_codes(self, codes: Any) -> None:
        first = int(codes[0])
        if self._next is not None and self._after != 0:
            if self._after is not None:
                off = (first - self._next - self._after + self.period // 2) % self.period - self.period // 2
                self.misjudged.append((off, self._after))
            self._next = first
        expected = ((first if self._next is None else self._next) + np.arange(len(codes))) % self.period
        self.wrong += int(np.count_nonzero(codes != expected))
        self.samples, self.chunks = self.samples + len(codes), self.chunks + 1
        self._next, self._after = (int(expected[-1]) + 1) % self.period, 0

    def check_gaps(self) -> None:
        """Raises Failed where a gap's length is not what is missing, or a sample is not the next."""
        check(self.wrong == 0, f"{self.wrong} of {self.samples} samples are wrong")
        grade = self.statistics.grade
        for off, length in self.misjudged:
            allowed = 0.0 if grade == "counter" else 1 + _STAMP_SHARE * length
            check(abs(off) <= allowed, f"a gap of {length} samples is {off} samples off")

    def check_whole(self) -> None:
        """Raises Failed unless everything came, once."""
        self.check_gaps()
        check(not self.gaps, f"gaps: {self.gaps}")
        self.check_once()

    def check_once(self) -> None:
        """Raises Failed where BlueZ delivered something twice."""
        statistics = self.statistics
        check(statistics.duplicate_frames == 0, f"{statistics.duplicate_frames} frames came twice")
        odd = statistics.late_frames + statistics.bad_frames
        check(odd == 0, f"{odd} frames are late or not understood")

    def figures(self) -> Json:
        """The counts for the result."""
        s = self.statistics
        return {
            "frames": s.frames, "samples": self.samples, "wrong": self.wrong, "gaps": len(self.gaps),
            "samples_lost": s.samples_lost, "frames_doubled": s.duplicate_frames, "frames_dropped": s.dropped_frames,
            "reconnects": s.reconnects,
        }  # fmt: skip


async def listen(
    patch: Patch,
    *,
    text: str | None = None,
    frames: int | None = None,
    on_item: OnItem | None = None,
    choices: Choices | None = None,
    patience: Patience = PATIENCE,
    radio: Radio | None = None,
    **timeouts: float,
) -> Heard:
    """Stream until the patch ends its measurement, or `frames` frames were heard; an error is kept in `error`.

    text: how the patch is named, its address by default. on_item: awaited with every item; true ends the
    stream. radio: one that is open.
    """
    if radio is None:
        async with Radio() as own:
            return await listen(
                patch, text=text, frames=frames, on_item=on_item, choices=choices, patience=patience,
                radio=own, **timeouts,
            )  # fmt: skip
    heard = Heard(patch.period)
    stop = asyncio.Event()
    stream = PatchStream(
        radio, target_of(text or patch.address), choices, stop=stop, on_event=heard.events.append,
        timeouts=replace(TIMEOUTS, **timeouts), patience=patience,
    )  # fmt: skip
    heard.statistics = stream.statistics
    try:
        async with stream:
            async for item in stream:
                assert stream.format is not None
                heard.take(item, stream.format.codes_per_mv)
                if frames is not None and heard.chunks >= frames:
                    stop.set()
                if on_item is not None and await on_item(stream, item):
                    stop.set()
    except PatchError as exc:
        heard.error = str(exc)
    return heard
