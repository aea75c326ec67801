"""A journal with right checks that says what cannot be: a recording, or the documented error, nothing else."""

from __future__ import annotations

import resource
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import wfdb
from edge_mi.firmware_bridge.recording import journal as codec
from edge_mi.firmware_bridge.recording.journal import (
    ChunkEntry,
    EndEntry,
    Entry,
    FillEntry,
    GapEntry,
    NoteEntry,
)
from edge_mi.firmware_bridge.recording.layout import SCHEMA, Beginning
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recover import recover
from edge_mi.firmware_bridge.recording.timeline import Event
from edge_mi.firmware_bridge.recording.wfdb_files import ANNOTATIONS_END, AnnotationEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import HOST_S, META, WALL_S, of_format, record

from edge_mi.decision import Decision
from edge_mi.errors import RecordError
from edge_mi.samples import Chunk

SIGNAL = bytes(range(240))  # 80 samples
SLOW = of_format(rate_hz=0.01)  # a day has 864 samples

floats = st.one_of(st.floats(), st.sampled_from([0.0, 1e308, -1e308]))
texts = st.text(max_size=9).filter(lambda text: "\0" not in text)
chunk_sizes = st.one_of(st.integers(0, 9), st.integers(0, (1 << 32) - 1))


@st.composite
def chunk_entries(draw: st.DrawFn) -> ChunkEntry:
    """Some of them with the right check, if they stand at the beginning of the signal."""
    n = draw(chunk_sizes)
    return ChunkEntry(
        t_s=draw(floats),
        index=draw(st.integers(0, (1 << 64) - 1)),
        n=n,
        host_s=draw(floats),
        contact=draw(st.sampled_from([None, True, False])),
        crc=draw(st.sampled_from([0, zlib.crc32(SIGNAL[: 3 * n])])),
        exceptions=tuple(
            draw(st.lists(st.tuples(chunk_sizes, st.integers(-(1 << 31), (1 << 31) - 1)), max_size=3))
        ),
    )


entries = st.one_of(
    chunk_entries(),
    st.builds(GapEntry, t_s=floats, n_samples=st.one_of(st.none(), st.integers(-(1 << 63), (1 << 63) - 1)),
              cause=texts, host_s=floats),
    st.builds(FillEntry, st.one_of(st.integers(0, 99), st.integers(0, (1 << 64) - 1))),
    st.builds(Decision, t_s=floats, probability=floats, state=texts, reason=texts, quality=floats,
              heart_rate_bpm=floats, latency_ms=floats, model_id=texts),
    st.builds(NoteEntry, kind=texts, text=texts, host_s=floats),
    st.just(codec.SyncEntry()),
    st.builds(EndEntry, st.integers(0, (1 << 64) - 1)),
)  # fmt: skip


def written(folder: Path, *said: Entry, meta: object = META, signal: bytes = SIGNAL) -> Path:
    folder.mkdir()
    beginning = Beginning(schema=SCHEMA, meta=meta, wall_s=WALL_S, host_s=HOST_S)  # type: ignore[arg-type]
    journal = codec.encode_beginning(beginning) + b"".join(map(codec.encode_entry, said))
    (folder / "ecg.journal").write_bytes(journal)
    (folder / "ecg.dat").write_bytes(signal)
    return folder


def read_all(recording: Recording) -> list[object]:
    """Everything that can be asked of it."""
    stream: list[object] = list(recording.items())
    assert all(0 <= each.sample <= recording.n_samples for each in recording.events())
    return [*stream, *recording.decisions(), recording.start]


@given(st.lists(entries, max_size=6))
@settings(max_examples=300, deadline=None)
def test_whatever_it_says_it_is_read_and_mended_or_refused(said: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = written(Path(work) / "a", *said, meta=SLOW)
        try:
            recording = Recording.open(folder)
        except RecordError:
            return
        n = len(read_all(recording))
        mended = recover(folder)
        assert (len(read_all(mended)), mended.problem) == (n, None)


CHUNK = ChunkEntry(t_s=0.0, index=0, n=4, host_s=HOST_S, contact=None, crc=zlib.crc32(SIGNAL[:12]))
GAP = GapEntry(t_s=0.0, n_samples=3, cause="lost", host_s=None)
SAID = Decision(t_s=0.0, probability=None, state="negative", reason=None, quality=None,
                heart_rate_bpm=None, model_id="m")  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (replace(CHUNK, exceptions=((99, 5),)), "a code behind the 4 samples of its chunk"),
        (replace(CHUNK, t_s=np.nan), "a chunk of 4 samples at nan s"),
        (replace(CHUNK, n=0, crc=0), "a chunk of 0 samples"),
        (replace(GAP, n_samples=-5), "a gap of -5 samples"),
        (replace(GAP, t_s=np.inf), "a gap of 3 samples at inf s"),
        (FillEntry(1 << 63), f"{1 << 63} samples for a gap"),
        (replace(SAID, t_s=np.nan), "a decision at nan s"),
    ],
)
def test_what_cannot_be_is_called_so(entry: Entry, message: str, tmp_path: Path) -> None:
    for said in ([entry], [CHUNK, entry], [replace(GAP, n_samples=None), entry, CHUNK]):
        folder = written(tmp_path / str(len(said) + 10 * (said[0] is CHUNK)), *said)
        with pytest.raises(RecordError, match=f"none of this version: {message}"):
            Recording.open(folder)


@pytest.mark.parametrize("host_s", [np.inf, 1e300])
def test_a_clock_that_no_wall_has_costs_only_the_time_of_the_start(host_s: float, tmp_path: Path) -> None:
    recording = Recording.open(written(tmp_path / "a", replace(CHUNK, host_s=host_s)))
    assert recording.start == recording.beginning.wall_time(HOST_S)
    assert sum(1 for _ in recording.items()) == 1
    chunk = Chunk(t_s=0.0, samples_mv=np.zeros(4), rate_hz=130, index=0)
    record(tmp_path / "b", [(chunk, 1e300)])
    recording = Recording.open(tmp_path / "b")
    assert (recording.problem, recording.start) == (None, recording.beginning.wall_time(HOST_S))


def test_a_chunk_longer_than_the_memory_asks_for_no_more_than_the_file_has(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", replace(CHUNK, n=(1 << 32) - 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, hard))
    try:
        recording = Recording.open(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert recording.problem == "ecg.dat is cut short from sample 0 on"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'"wall_s": 1e300', "no time of a clock on the wall"),
        (b'"bits": 32, "device"', "wrong beginning"),
        (b'"rate_hz": 0', "a stream of 0 Hz"),
        (b'"notice": ' + b"[" * 100_000, "wrong beginning"),
        (b'"device": "F0:F1:F2:F3:F4:F5"', "names no address"),
    ],
)
def test_a_beginning_that_cannot_be_is_called_so(text: bytes, message: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "a")
    journal = (folder / "ecg.journal").read_bytes()
    key = text.partition(b":")[0]
    document = journal[len(codec.MAGIC) + 5 : -4]
    at = document.index(key)
    end = min(i for i in (document.find(b",", at), document.find(b"}", at)) if i >= 0)
    changed = document[:at] + text + document[end:]
    (folder / "ecg.journal").write_bytes(codec.MAGIC + codec._framed(codec._Kind.BEGINNING, changed))
    with pytest.raises(RecordError, match=message):
        Recording.open(folder)


def test_gaps_as_long_as_they_can_be_lie_where_other_tools_find_them(tmp_path: Path) -> None:
    places = [5, 5 + 86_400 * 10**6, 6 + 86_400 * 10**6]
    encoder = AnnotationEncoder()
    body = b"".join(encoder.encode(Event(kind="gap", text="g", sample=place)) for place in places)
    (tmp_path / "a.atr").write_bytes(body + ANNOTATIONS_END)
    assert wfdb.rdann(str(tmp_path / "a"), "atr").sample.tolist() == places
