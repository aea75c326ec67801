"""A recording as EDF+, read back by pyEDFlib and by the `wfdb` package."""

from __future__ import annotations

import itertools
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.firmware_bridge.recording.edf import export_edf
from edge_mi.firmware_bridge.recording.edf_design import LONGEST_TEXT, records_for, scale_for
from edge_mi.firmware_bridge.recording.layout import RecordingMeta
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recorder import Recorder
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import HOST_S, META, WALL_S, endless, of_format, record

from edge_mi.decision import Decision
from edge_mi.errors import OutputError
from edge_mi.samples import Chunk, Gap
from edge_mi.signal_design import SUPPORTED_RATES_HZ

try:
    import pyedflib
except ModuleNotFoundError:
    pyedflib = None

needs_pyedflib = pytest.mark.skipif(pyedflib is None, reason="pyEDFlib is not installed: extra edf")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    reader = pyedflib.EdfReader(str(path))
    try:
        yield reader
    finally:
        reader.close()


def on_the_axis(recording: Recording) -> np.ndarray:
    axis = np.full(recording.n_samples, np.nan)
    for place, item in recording.placed_items():
        if isinstance(item, Chunk):
            axis[place : place + len(item.samples_mv)] = item.samples_mv
    return axis


def one_chunk(folder: Path, codes: np.ndarray, meta: RecordingMeta) -> Recording:
    layout = meta.format
    samples = codes / layout.codes_per_mv
    record(folder, [(Chunk(t_s=0.0, samples_mv=samples, rate_hz=layout.rate_hz, index=0), HOST_S)], meta)
    return Recording.open(folder)


@needs_pyedflib
def test_codes_that_fit_are_exact_and_missing_ones_have_a_value_of_their_own(tmp_path: Path) -> None:
    record(tmp_path / "a", itertools.islice(endless(5), 120))
    recording = Recording.open(tmp_path / "a")
    report = export_edf(recording, tmp_path / "a.edf")
    axis = on_the_axis(recording)
    assert (report.exact, report.rate_error_ppm, report.n_dropped) == (True, 0.0, 0)
    assert report.max_error_uv < 1e-9
    assert report.n_missing == np.isnan(axis).sum() > 0
    with opened(tmp_path / "a.edf") as reader:
        digital = reader.readSignal(0, digital=True)
        physical_uv = reader.readSignal(0)
        assert reader.getSampleFrequency(0) == 130
        assert (reader.getLabel(0), reader.getPhysicalDimension(0)) == ("ECG I", "uV")
        lowest = reader.getDigitalMinimum(0)
    n = recording.n_samples
    assert len(digital) == n + report.n_padded
    expected = np.where(np.isnan(axis), lowest, np.rint(np.nan_to_num(axis) * 1000))
    assert np.array_equal(digital[:n], expected)
    assert (digital[n:] == lowest).all()
    assert (digital == lowest).sum() == report.n_missing + report.n_padded
    np.testing.assert_allclose(physical_uv[:n][~np.isnan(axis)], axis[~np.isnan(axis)] * 1000, atol=1e-6)


@needs_pyedflib
def test_the_bytes_are_those_that_the_format_describes(tmp_path: Path) -> None:
    """Read by the text of the format alone; the `wfdb` package reads no EDF with annotations."""
    record(tmp_path / "a", itertools.islice(endless(5), 60))
    recording = Recording.open(tmp_path / "a")
    export_edf(recording, tmp_path / "a.edf")
    raw = (tmp_path / "a.edf").read_bytes()
    n_signals, n_records = int(raw[252:256]), int(raw[236:244])
    column = {"min": 104, "max": 112, "digital_min": 120, "digital_max": 128, "samples": 216}
    first = {name: float(raw[256 + n_signals * at :][:8]) for name, at in column.items()}
    samples = [int(raw[256 + n_signals * 216 + 8 * i :][:8]) for i in range(n_signals)]
    records = np.frombuffer(raw[256 * (n_signals + 1) :], dtype="<i2").reshape(n_records, sum(samples))
    digital = records[:, : samples[0]].ravel()[: recording.n_samples]
    step_uv = (first["max"] - first["min"]) / (first["digital_max"] - first["digital_min"])
    found_uv = (digital - first["digital_min"]) * step_uv + first["min"]
    axis = on_the_axis(recording)
    assert np.array_equal(digital == first["digital_min"], np.isnan(axis))
    np.testing.assert_allclose(found_uv[~np.isnan(axis)], axis[~np.isnan(axis)] * 1000, atol=1e-6)
    assert samples[0] / float(raw[244:252]) == 130


@needs_pyedflib
def test_codes_that_do_not_fit_are_rounded_and_the_report_says_by_how_much(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(-(1 << 23) + 1, 1 << 23, 2600)
    meta = of_format(codes_per_mv=262144 / 2.42, bits=24)
    recording = one_chunk(tmp_path / "a", codes, meta)
    report = export_edf(recording, tmp_path / "a.edf")
    with opened(tmp_path / "a.edf") as reader:
        scale = {"uV": 1.0, "mV": 1000.0}[reader.getPhysicalDimension(0)]
        found_uv = reader.readSignal(0)[: len(codes)] * scale
        lowest = reader.getDigitalMinimum(0)
        digital = reader.readSignal(0, digital=True)[: len(codes)]
    error_uv = np.abs(found_uv - codes / meta.format.codes_per_mv * 1000).max()
    assert not report.exact
    assert (digital == lowest).sum() == 0
    assert error_uv == pytest.approx(report.max_error_uv, rel=1e-3)
    step_uv = 2 * np.abs(codes).max() / meta.format.codes_per_mv * 1000 / 65532
    assert error_uv <= 0.51 * step_uv
    assert f"rounded to 16 bits, off by {report.max_error_uv:.3g} µV at most" in str(report)


@given(st.integers(0, 1 << 31), st.floats(1e-3, 1e7))
@settings(max_examples=150, deadline=None)
def test_every_scale_fits_its_header_and_clips_nothing(largest: int, codes_per_mv: float) -> None:
    try:
        scale = scale_for(largest, codes_per_mv)
    except OutputError:
        assert largest / codes_per_mv > 90_000 or 1 / codes_per_mv > 90_000  # mV
        return
    assert len(repr(-scale.physical_max)) <= 8
    assert scale.exact == (largest < 32_767)
    assert np.rint(largest / scale.codes_per_digital) < scale.digital_max <= 32_767
    value_mv = np.rint(largest / scale.codes_per_digital) * scale.mv_per_digital
    bound = 0.51 * scale.mv_per_digital + 1e-4 * largest / codes_per_mv
    assert abs(value_mv - largest / codes_per_mv) <= bound


@pytest.mark.parametrize("rate_hz", [*SUPPORTED_RATES_HZ, 127.5, 130.49, 1000 / 7, 257.3, 99.999, 0.1])
def test_data_records_make_the_rate(rate_hz: float) -> None:
    records = records_for(rate_hz)
    assert records.n_samples / records.duration_s == pytest.approx(rate_hz, rel=1e-6)
    assert abs(records.error_ppm) < 1
    if rate_hz in SUPPORTED_RATES_HZ:
        assert (records.n_samples, records.duration_s, records.error_ppm) == (rate_hz, 1.0, 0.0)


@needs_pyedflib
@pytest.mark.parametrize("rate_hz", [127.5, 130.49, 1000 / 7, 257.3, 512])
def test_rates_that_are_no_whole_numbers(tmp_path: Path, rate_hz: float) -> None:
    codes = np.arange(3000) % 4000
    recording = one_chunk(tmp_path / "a", codes, of_format(rate_hz=rate_hz))
    report = export_edf(recording, tmp_path / "a.edf")
    with opened(tmp_path / "a.edf") as reader:
        assert reader.getSampleFrequency(0) == pytest.approx(rate_hz, rel=1e-6)
        digital = reader.readSignal(0, digital=True)
    assert abs(report.rate_error_ppm) < 1
    assert np.array_equal(digital[:3000], codes)


def a_night(folder: Path, *, wall_s: float = WALL_S) -> Recording:
    """Chunks with gaps, contact and decisions."""
    second = np.arange(130) / 1000.0
    recorder = Recorder.open(folder, META, wall_s=wall_s, host_s=HOST_S)
    for i in range(20):
        host_s = HOST_S + i
        item: Chunk | Gap = Chunk(t_s=i, samples_mv=second, rate_hz=130, index=130 * i, contact=i < 15)
        if i == 4:
            item = Gap(t_s=i, n_samples=130, cause="lost")
        recorder.push(item, host_s)
        state = "alarm" if 8 <= i < 12 else "negative"
        recorder.decision(Decision(t_s=i, probability=0.5, state=state, reason=None, quality=1.0,
                                   heart_rate_bpm=60.0, model_id="m"))  # fmt: skip
    recorder.event("note", "a long note " * 9, HOST_S + 20)
    recorder.push(Gap(t_s=20, n_samples=None, cause="restart"), None)
    recorder.push(Chunk(t_s=20, samples_mv=second, rate_hz=130, index=2600), HOST_S + 22.5)
    recorder.close()
    return Recording.open(folder)


@needs_pyedflib
def test_gaps_contact_and_alarms_are_annotations(tmp_path: Path) -> None:
    recording = a_night(tmp_path / "a")
    report = export_edf(recording, tmp_path / "a.edf")
    with opened(tmp_path / "a.edf") as reader:
        onsets, durations, texts = reader.readAnnotations()
    found = {
        (round(float(t), 3), round(float(d), 3), str(text))
        for t, d, text in zip(onsets, durations, texts, strict=True)
    }
    expected = {
        (
            round(each.sample / 130, 3),
            round(each.n_samples / 130, 3) or -1.0,
            each.text[:LONGEST_TEXT].strip(),
        )
        for each in recording.events()
    }
    assert {(round(t, 3), d, text.strip()) for t, d, text in found} == expected
    assert (4.0, 1.0, "gap 130 samples, lost") in found
    assert (20.0, 2.5, "gap unknown, about 325 samples, restart") in found
    assert (8.0, -1.0, "alarm on") in found
    assert (12.0, -1.0, "alarm off") in found
    assert (15.0, -1.0, "contact off") in found
    assert (report.n_shortened, report.n_dropped) == (1, 0)


@needs_pyedflib
def test_more_annotations_than_data_records_find_room_or_are_counted(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S)
    for i in range(2):
        recorder.push(Chunk(t_s=i, samples_mv=np.zeros(130), rate_hz=130, index=130 * i), HOST_S + i)
        for k in range(70):
            recorder.event("note", f"{i} {k}", HOST_S + i)
    recorder.close()
    report = export_edf(Recording.open(tmp_path / "a"), tmp_path / "a.edf")
    with opened(tmp_path / "a.edf") as reader:
        assert len(reader.readAnnotations()[0]) == 128
    assert report.n_dropped == 12
    assert "12 annotations left out" in str(report)


@needs_pyedflib
def test_nobody_is_named_and_the_start_is_a_whole_second_in_utc(tmp_path: Path) -> None:
    report = export_edf(a_night(tmp_path / "a"), tmp_path / "a.edf")
    head = (tmp_path / "a.edf").read_bytes()[:256].decode("ascii")
    assert head[8:88].split() == ["X", "X", "X", "X"]
    assert head[88:168].split() == ["Startdate", "26-NOV-2026", "X", "X", "h10", "UTC"]
    assert head[192:197] == "EDF+C"
    with opened(tmp_path / "a.edf") as reader:
        assert reader.getStartdatetime() == datetime(2026, 11, 26, 20, 0, 0)
    assert report.start_cut_s == 0.125
    assert stat.S_IMODE((tmp_path / "a.edf").stat().st_mode) == 0o600


@needs_pyedflib
def test_what_cannot_be_exported_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    recording = a_night(tmp_path / "a")
    (tmp_path / "there.edf").write_text("mine")
    with pytest.raises(OutputError, match="exists; choose another name"):
        export_edf(recording, tmp_path / "there.edf")
    assert (tmp_path / "there.edf").read_text() == "mine"
    with pytest.raises(OutputError, match="No such file or directory"):
        export_edf(recording, tmp_path / "none" / "a.edf")
    record(tmp_path / "empty", [])
    with pytest.raises(OutputError, match="holds no samples"):
        export_edf(Recording.open(tmp_path / "empty"), tmp_path / "b.edf")
    old = a_night(tmp_path / "old", wall_s=0.0)
    with pytest.raises(OutputError, match="starts in 1970; EDF has years 1985 to 2084"):
        export_edf(old, tmp_path / "b.edf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty", "old", "there.edf"]


@needs_pyedflib
def test_a_full_disk_is_noticed_though_the_library_is_silent(tmp_path: Path) -> None:
    recording = a_night(tmp_path / "a")
    export_edf(recording, tmp_path / "whole.edf")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "whole.edf").stat().st_size - 300, hard))
    try:
        with pytest.raises(OutputError, match="is the disk full"):
            export_edf(recording, tmp_path / "b.edf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "b.edf").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@needs_pyedflib
def test_a_recording_that_was_cut_off_is_exported_as_far_as_it_is_whole(tmp_path: Path) -> None:
    record(tmp_path / "a", itertools.islice(endless(5), 60), close=False)
    os.truncate(tmp_path / "a" / "ecg.dat", (tmp_path / "a" / "ecg.dat").stat().st_size - 1)
    recording = Recording.open(tmp_path / "a")
    assert recording.problem is not None
    assert export_edf(recording, tmp_path / "a.edf").n_samples == recording.n_samples > 1000


def test_a_chest_strap_is_labelled_so() -> None:
    for says in (None, "I"):
        worn = replace(META, placement="chest", format=replace(META.format, lead=says))
        assert worn.signal_name == "chest"
        assert replace(worn, placement="lead-i").signal_name == "I"
    assert replace(META, format=replace(META.format, lead="II")).signal_name == "II"
