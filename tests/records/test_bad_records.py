"""Records that lie, end early, or are something else: one sentence, never a crash, never a wrong number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_mi.errors import EdgeMIError, RecordError, SignalError
from edge_mi.records import list_records, read_record, read_signals, write_wfdb

RATE_HZ = 100
CODES = np.round(600 * np.sin(np.arange(1200) / 9)).astype(np.int16)[None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_wfdb(tmp_path, "heart", ["I"], CODES, RATE_HZ, 1000)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_was_written_is_read_back(folder: Path) -> None:
    record = read_record(folder / "heart")
    assert np.array_equal(np.rint(record.samples_mv * 1000), CODES[0])
    assert (record.name, record.lead, record.rate_hz, record.warnings) == ("heart", "I", 100.0, ())


@pytest.mark.parametrize("path", ["nothing", "nothing.hea", "nothing.csv", "nothing.mat", "a\0b"])
def test_no_such_record(folder: Path, path: str) -> None:
    with pytest.raises(RecordError, match="no such record"):
        read_record(folder / path)


def test_a_truncated_file(folder: Path) -> None:
    data = folder / "heart.dat"
    data.write_bytes(data.read_bytes()[:-7])
    with pytest.raises(RecordError, match="cut short: found 2393 bytes, expected 2400"):
        read_record(folder / "heart.hea")


def test_a_changed_sample_fails_the_checksum(folder: Path) -> None:
    data = folder / "heart.dat"
    raw = bytearray(data.read_bytes())
    raw[100] ^= 1
    data.write_bytes(bytes(raw))
    with pytest.raises(RecordError, match="was changed or damaged"):
        read_record(folder / "heart.hea")


def test_a_missing_signal_file(folder: Path) -> None:
    (folder / "heart.dat").unlink()
    with pytest.raises(RecordError, match=r"heart\.dat, which is not there"):
        read_record(folder / "heart.hea")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("heart 1 100 1200", "heart 2 100 1200", "announces 2 signals and describes 1"),
        ("heart 1 100 1200", "heart 1 100 9999", "cut short"),
        ("heart 1 100 1200", "heart 1 nan 1200", "rate in Hz"),
        ("heart 1 100 1200", "heart 1 -100 1200", "rate above 0"),
        ("heart 1 100 1200", "heart 1 100 -5", "none or more"),
        ("heart 1 100 1200", "heart/3 1 100 1200", "several segments"),
        ("heart 1 100 1200", "heart", "signal count"),
        ("heart.dat 16", "../heart.dat 16", "in its own folder"),
        ("heart.dat 16", "/etc/hostname 16", "in its own folder"),
        ("heart.dat 16", "heart.dat 80", "formats 16, 24, 32, 212 can be read"),
        ("heart.dat 16", "heart.dat 16x4", "4 samples a frame"),
        ("heart.dat 16", "heart.dat 16:3", "skewed"),
        ("1000(0)/mV", "1000(0)/mmHg", "no signal in mV"),
        ("1000(0)/mV", "1e-300(0)/mV", "gain of 1e-300"),
        ("1000(0)/mV", "(0)/mV", None),
    ],
)
def test_headers_that_lie(folder: Path, old: str, new: str, words: str | None) -> None:
    edit(folder / "heart.hea", old, new)
    if words is None:
        assert "200 codes per mV assumed" in read_record(folder / "heart.hea").warnings[0]
        return
    with pytest.raises(RecordError, match=words):
        read_record(folder / "heart.hea")


def test_a_rate_that_is_not_listed(folder: Path) -> None:
    edit(folder / "heart.hea", "heart 1 100", "heart 1 333")
    with pytest.raises(SignalError, match="333 Hz; expected a rate within 2 % of 100, 125"):
        read_record(folder / "heart.hea")


def test_a_rate_that_contradicts_the_header(folder: Path) -> None:
    with pytest.raises(RecordError, match="says 100 Hz, the rate given is 500 Hz"):
        read_record(folder / "heart.hea", rate_hz=500)


def test_microvolts_given_as_millivolts(folder: Path) -> None:
    edit(folder / "heart.hea", "1000(0)/mV", "1(0)/mV")
    with pytest.raises(SignalError, match="are microvolts given as millivolts"):
        read_record(folder / "heart.hea")


def test_the_same_in_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ecg_mV\n" + "\n".join(str(value) for value in CODES[0]) + "\n")
    with pytest.raises(SignalError, match="are microvolts given as millivolts"):
        read_record(path, rate_hz=100)


def test_invalid_samples_become_nan(tmp_path: Path) -> None:
    codes = CODES.copy()
    codes[0, 5:9] = -32768
    write_wfdb(tmp_path, "heart", ["I"], codes, RATE_HZ, 1000)
    assert np.flatnonzero(np.isnan(read_record(tmp_path / "heart").samples_mv)).tolist() == [5, 6, 7, 8]


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.csv"
    path.write_text(text)
    return path


def test_csv_units_times_and_gaps(tmp_path: Path) -> None:
    rows = [f"{i / 100},{i}" for i in range(200) if not 50 <= i < 70]
    signals = read_signals(csv(tmp_path, "t_s,ecg_uV\n" + "\n".join(rows)))
    assert signals.rate_hz == 100
    assert signals.samples_mv.shape == (1, 200)
    assert np.flatnonzero(np.isnan(signals.samples_mv[0])).tolist() == list(range(50, 70))
    assert signals.samples_mv[0, 199] == pytest.approx(0.199)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column whose name ends in _mV or _uV"),
        ("a,b\n1,2\n", "no column whose name ends in _mV or _uV"),
        ("ecg_mV\n", "no rows"),
        ("ecg_mV\n1\n2\n", "give its rate with --rate"),
        ("t_s,ecg_mV\n0,1\n0.01,x\n", "line 3: found 'x', expected a number"),
        ("t_s,ecg_mV\n0,1\n0.01\n", "line 3: found 1 columns"),
        ("t_s,ecg_mV\n0,1\n0,2\n", "is not later than the one before"),
        ("t_s,ecg_mV\n0,1\n1,2\n2,3\n", "1 samples a second"),
        ("t_s,ecg_mV\n0,1\n0.01,2\n9999,3\n", "cut it into parts"),
        ("t_s,ecg_mV\n0,1e300\n", "expected a voltage or a time"),
    ],
)
def test_csv_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        read_record(csv(tmp_path, text))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_damage_is_an_error_of_ours_or_a_record(tmp_path: Path, data: st.DataObject) -> None:
    write_wfdb(tmp_path, "heart", ["I", "V2"], np.tile(CODES, (2, 1))[:, :40], RATE_HZ, 1000)
    header = tmp_path / "heart.hea"
    raw = bytearray(header.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            raw[at] = data.draw(st.integers(0, 255))
        else:
            raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=6))
        raw = raw or bytearray(b"x")
    header.write_bytes(bytes(raw))
    try:
        record = read_record(header)
    except EdgeMIError as exc:
        assert "\n" not in str(exc)
    else:
        assert record.samples_mv.ndim == 1


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["a.csv", "a.hea"]))
def test_garbage_is_an_error_of_ours(tmp_path: Path, raw: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(raw)
    try:
        read_record(tmp_path / name, rate_hz=100)
    except EdgeMIError as exc:
        assert "\n" not in str(exc)


def test_a_folder_lists_each_record_once(folder: Path) -> None:
    (folder / "deep").mkdir()
    write_wfdb(folder / "deep", "other", ["I"], CODES, RATE_HZ, 1000)
    csv(folder, "ecg_mV\n0\n")
    (folder / "scores.csv").write_text("record,probability\n")
    (folder / "orphan.dat").write_bytes(b"123")
    assert [name for name, _ in list_records(folder)] == ["a", "deep/other", "heart", "orphan"]


def test_a_list_names_records_relative_to_itself(folder: Path) -> None:
    (folder / "RECORDS").write_text("# a comment\nheart\n\nmissing\n")
    assert [name for name, _ in list_records(folder / "RECORDS")] == ["heart", "missing"]
    with pytest.raises(RecordError, match="no such record"):
        list_records(folder / "missing")
