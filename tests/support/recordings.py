"""Streams to record, and what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from edge_mi.firmware_bridge.frames import StreamFormat
from edge_mi.firmware_bridge.recording.layout import RecordingMeta
from edge_mi.firmware_bridge.recording.recorder import Recorder
from hypothesis import strategies as st

from edge_mi.samples import Chunk, Gap, Item

H10 = StreamFormat(rate_hz=130, codes_per_mv=1000.0, bits=24, stamped="last")
META = RecordingMeta(format=H10, placement="lead-i", profile="h10", device="Polar H10")
WALL_S = 1_795_723_200.125  # 2026-11-26 20:00:00.125 UTC
HOST_S = 5000.25

CHILD = """
import sys
from recordings import META, WALL_S, HOST_S, endless
from edge_mi.firmware_bridge.recording.recorder import Recorder
recorder = Recorder.open(sys.argv[1], META, wall_s=WALL_S, host_s=HOST_S)
n = 0
for i, (item, host_s) in enumerate(endless(int(sys.argv[2]))):
    recorder.push(item, host_s)
    n += len(item.samples_mv) if hasattr(item, "samples_mv") else 0
    print(i + 1, n, flush=True)
"""


def of_format(**changes: Any) -> RecordingMeta:
    return replace(META, format=replace(H10, **changes))


def endless(seed: int) -> Iterable[tuple[Item, float]]:
    """Items of a stream that never ends, and this machine's time: the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    index, host_s = 0, HOST_S
    while True:
        n = int(rng.integers(1, 120))
        if rng.random() < 0.1:
            unknown = rng.random() < 0.3
            yield Gap(t_s=index / 130, n_samples=None if unknown else n, cause="lost"), host_s
            index += 0 if unknown else n
        else:
            codes = rng.integers(-9000, 9000, n)
            yield Chunk(t_s=index / 130, samples_mv=codes / 1000.0, rate_hz=130, index=index), host_s
            index += n
        host_s += n / 130


def record(
    folder: Path,
    items: Iterable[tuple[Item, float | None]],
    meta: RecordingMeta = META,
    *,
    close: bool = True,
) -> Recorder:
    """A recording of `items` in `folder`; one that is not closed is as a killed program leaves it."""
    recorder = Recorder.open(folder, meta, wall_s=WALL_S, host_s=HOST_S)
    for item, host_s in items:
        recorder.push(item, host_s)
    if close:
        recorder.close()
    else:
        recorder._let_go()  # what the system does for a program that was killed
    return recorder


def told(item: Item) -> tuple[Any, ...]:
    """All that an item says, with floats as their bits."""
    bits = np.float64(item.t_s).view(np.int64)
    if isinstance(item, Gap):
        return ("gap", int(bits), item.n_samples, item.cause)
    samples = item.samples_mv
    return ("chunk", int(bits), item.index, float(item.rate_hz), item.contact, samples.dtype.str,
            np.where(np.isnan(samples), np.nan, samples).tobytes())  # fmt: skip


def assert_same(found: Iterable[Item], expected: Sequence[Item]) -> None:
    assert [told(item) for item in found] == [told(item) for item in expected]


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
times = st.floats(-1e9, 1e9)
host_times = st.one_of(st.none(), st.floats(HOST_S - 10, HOST_S + 100))
codes = st.one_of(
    st.integers(-20_000, 20_000),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.sampled_from([-(1 << 15), (1 << 15) - 1, 1 << 15, -(1 << 23), (1 << 23) - 1, 1 << 23, -(1 << 31), 0]),
    st.none(),
)


@st.composite
def chunks(draw: st.DrawFn, layout: StreamFormat) -> Chunk:
    drawn = draw(st.lists(codes, min_size=1, max_size=30))
    samples = np.array(
        [np.nan if code is None else np.float64(np.int32(code)) / layout.codes_per_mv for code in drawn]
    )
    return Chunk(
        t_s=draw(times),
        samples_mv=samples,
        rate_hz=layout.rate_hz,
        index=draw(st.integers(0, 1 << 62)),
        contact=draw(st.sampled_from([None, True, False])),
    )


gaps = st.builds(
    Gap,
    t_s=times,
    n_samples=st.one_of(st.none(), st.integers(1, 5000)),
    cause=st.text(min_size=1, max_size=20),
)
metas = st.builds(
    of_format,
    rate_hz=st.one_of(st.sampled_from([130, 128.0, 250.0, 130.49, 1000 / 7]), st.floats(10, 2000)),
    codes_per_mv=st.one_of(
        st.sampled_from([1000.0, 200, 1 / 3, 6553.6, 2.42 / 7]), st.floats(1e-6, 1e12, allow_subnormal=False)
    ),
    bits=st.sampled_from([16, 24, 32]),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[RecordingMeta, list[tuple[Item, float | None]]]:
    """What is recorded, and any sequence of chunks and gaps with their times."""
    meta = draw(metas)
    item = st.one_of(chunks(meta.format), gaps)
    return meta, draw(st.lists(st.tuples(item, host_times), max_size=12))
