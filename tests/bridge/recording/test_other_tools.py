"""The files of a recording as other tools see them, at any moment."""

from __future__ import annotations

import itertools
import os
import tempfile
from dataclasses import replace
from datetime import date, time
from pathlib import Path

import numpy as np
import pytest
import wfdb
from edge_mi.firmware_bridge.recording.layout import SCHEMA, Beginning, RecordingMeta
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recorder import Recorder
from edge_mi.firmware_bridge.recording.timeline import Event
from edge_mi.firmware_bridge.recording.wfdb_files import ANNOTATIONS_END, AnnotationEncoder, header_text
from hypothesis import given
from hypothesis import strategies as st
from recordings import HOST_S, META, WALL_S, endless, metas, of_format, record

from edge_mi.decision import Decision
from edge_mi.errors import RecordError
from edge_mi.notice import NOTICE
from edge_mi.records import read_record, read_signals
from edge_mi.records.wfdb_header import parse_header
from edge_mi.samples import Chunk, Gap, Item


def on_the_axis(recording: Recording) -> np.ndarray:
    """The stream on the time axis of the signal file, NaN where samples are missing."""
    axis = np.full(recording.n_samples, np.nan)
    for place, item in recording.placed_items():
        if isinstance(item, Chunk):
            axis[place : place + len(item.samples_mv)] = item.samples_mv
    return axis


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("codes_per_mv", [1000.0, 1 / 3, 6553.6])
def test_wfdb_and_our_reader_see_the_same_millivolts(tmp_path: Path, bits: int, codes_per_mv: float) -> None:
    rng = np.random.default_rng(bits)
    codes = rng.integers(-(1 << (bits - 1)) + 1, 1 << (bits - 1), 300)
    samples = codes / codes_per_mv
    samples[7:9] = np.nan
    items: list[Item] = [
        Chunk(t_s=0.0, samples_mv=samples[:100], rate_hz=250.5, index=0),
        Gap(t_s=100 / 250.5, n_samples=40, cause="lost"),
        Chunk(t_s=140 / 250.5, samples_mv=samples[100:], rate_hz=250.5, index=140),
    ]
    record(tmp_path / "a", [(item, HOST_S + item.t_s) for item in items],
           of_format(rate_hz=250.5, codes_per_mv=codes_per_mv, bits=bits))  # fmt: skip
    expected = np.concatenate([samples[:100], np.full(40, np.nan), samples[100:]])
    oracle = wfdb.rdrecord(str(tmp_path / "a" / "ecg"))
    assert oracle.fs == 250.5
    assert oracle.adc_gain == [codes_per_mv]
    assert np.array_equal(oracle.p_signal[:, 0], expected, equal_nan=True)
    assert np.array_equal(read_signals(tmp_path / "a" / "ecg.hea").samples_mv[0], expected, equal_nan=True)
    assert np.array_equal(on_the_axis(Recording.open(tmp_path / "a")), expected, equal_nan=True)


def test_the_header_says_when_where_and_how(tmp_path: Path) -> None:
    first = Chunk(t_s=0.0, samples_mv=np.full(130, 0.001), rate_hz=130, index=0)
    record(tmp_path / "a", [(first, HOST_S + 2.5)], replace(META, placement="chest", device="strap\n7 ä"))
    header = wfdb.rdheader(str(tmp_path / "a" / "ecg"))
    assert (header.base_date, header.base_time) == (date(2026, 11, 26), time(20, 0, 2, 625000))
    assert (header.sig_name, header.units, header.sig_len) == (["chest"], ["mV"], 130)
    comments = read_signals(tmp_path / "a" / "ecg.hea").comments
    assert comments[0] == NOTICE
    for line in (
        "placement: chest",
        "profile: h10",
        "device: strap 7 ä",
        "start: 2026-11-26T20:00:02.625000Z",
    ):
        assert line in comments


@given(metas)
def test_rate_and_gain_read_back_to_the_same_number(meta: RecordingMeta) -> None:
    beginning = Beginning(schema=SCHEMA, meta=meta, wall_s=WALL_S, host_s=HOST_S)
    for n_samples in (0, 77):
        header = parse_header(
            header_text(beginning, beginning.wall_time(HOST_S), n_samples=n_samples), "a.hea"
        )
        assert header.rate_hz == meta.format.rate_hz
        assert header.signals[0].gain == meta.format.codes_per_mv
        assert header.n_samples == (n_samples or None)


def test_a_running_recording_is_read_after_every_push(tmp_path: Path) -> None:
    with Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S) as recorder:
        assert list(Recording.open(tmp_path / "a").items()) == []
        with pytest.raises(RecordError, match="holds no samples"):
            read_record(tmp_path / "a" / "ecg.hea")
        for n, (item, host_s) in enumerate(itertools.islice(endless(3), 60), start=1):
            recorder.push(item, host_s)
            recording = Recording.open(tmp_path / "a")
            assert sum(1 for _ in recording.items()) == n
            axis = on_the_axis(recording)
            oracle = wfdb.rdrecord(str(tmp_path / "a" / "ecg"))
            assert np.array_equal(oracle.p_signal[:, 0], axis, equal_nan=True)
            ours = read_record(tmp_path / "a" / "ecg.hea")
            assert np.array_equal(ours.samples_mv, axis.astype(np.float32), equal_nan=True)
            gaps = [each for each in recording.events() if each.n_samples]
            annotations = wfdb.rdann(str(tmp_path / "a" / "ecg"), "atr")
            assert annotations.sample.tolist() == [each.sample for each in gaps]


def test_the_signal_opens_in_wfdb_wherever_its_last_sample_was_cut(tmp_path: Path) -> None:
    record(tmp_path / "a", itertools.islice(endless(3), 5), close=False)
    size = (tmp_path / "a" / "ecg.dat").stat().st_size
    for n_bytes in range(size, size - 12, -1):
        os.truncate(tmp_path / "a" / "ecg.dat", n_bytes)
        assert wfdb.rdrecord(str(tmp_path / "a" / "ecg")).sig_len == n_bytes // 3
        assert len(read_record(tmp_path / "a" / "ecg.hea").samples_mv) == n_bytes // 3


def test_annotations_say_in_wfdb_what_events_say(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S)
    contact = itertools.cycle([True, True, False])
    for i, (item, host_s) in enumerate(itertools.islice(endless(4), 80)):
        made = replace(item, contact=next(contact)) if isinstance(item, Chunk) else item
        recorder.push(made, host_s)
        if i % 10 == 0:
            recorder.event("battery", f"battery {100 - i} %", host_s)
            state, reason = ("undetermined", "gap") if i % 20 else ("negative", None)
            recorder.decision(
                Decision(t_s=item.t_s, probability=None, state=state, reason=reason, quality=None,  # type: ignore[arg-type]
                         heart_rate_bpm=None, model_id="patchnet-1")
            )  # fmt: skip
    recorder.event("note", "x" * 999 + "é", HOST_S)
    recorder.close()
    events = list(Recording.open(tmp_path / "a").events())
    assert {"gap", "contact", "battery", "note", "model", "state", "undetermined"} == {e.kind for e in events}
    of_decisions = {"model", "state", "undetermined", "alarm"}
    for extension, wanted in (("dec", of_decisions), ("atr", {e.kind for e in events} - of_decisions)):
        expected = [event for event in events if event.kind in wanted]
        found = wfdb.rdann(str(tmp_path / "a" / "ecg"), extension)
        assert found.sample.tolist() == [event.sample for event in expected]
        assert found.aux_note == [event.text[:250] for event in expected]
        assert set(found.symbol) == {"~", '"'}


@given(st.lists(st.tuples(st.integers(0, 1 << 33), st.text(max_size=300)), min_size=1, max_size=8))
def test_annotations_far_apart(steps: list[tuple[int, str]]) -> None:
    encoder = AnnotationEncoder()
    places = np.cumsum([step % (1 << 31) for step, _ in steps])
    body = b"".join(
        encoder.encode(Event(kind="note", text=text, sample=int(at)))
        for at, (_, text) in zip(places, steps, strict=True)
    )
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "a.atr").write_bytes(body + ANNOTATIONS_END)
        assert wfdb.rdann(f"{work}/a", "atr").sample.tolist() == places.tolist()
