"""`edge-mi record` and `edge-mi recording` as a user runs them: what is kept, whatever ends it, and what it gives."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyedflib
import pytest
import wfdb
from air import PATIENCE_S, STOPS, Made, Output, in_the_air, microvolts, program, refused, start
from edge_mi.firmware_bridge.emulator.fault_plan import Fault, FaultPlan
from edge_mi.firmware_bridge.polar_pmd import STOP_ECG
from edge_mi.firmware_bridge.recording.layout import FILES
from edge_mi.firmware_bridge.recording.reader import Recording
from processes import wait_for

from edge_mi.cli.main import main
from edge_mi.records import write_wfdb
from edge_mi.samples import Chunk

CODES = microvolts(30)
ONE_LOST = FaultPlan(fault=(Fault(kind="drop", at_s=10.0),))


@pytest.fixture
def air(tmp_path: Path) -> Path:
    return tmp_path / "hci"


@pytest.fixture
def kept(tmp_path: Path, air: Path, capsys: Output) -> Path:
    """A recording of 30 s with a gap of one frame, and nothing beside it."""
    with in_the_air(air, Made(codes=CODES, plan=ONE_LOST)):
        assert main(words(air, tmp_path / "kept", "--placement", "lead-i")) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'kept'}\n"
    return tmp_path / "kept"


def words(air: Path, folder: Path, *more: object, device: str = "Polar H10") -> list[str]:
    return ["record", str(folder), "--device", device, "--link", f"unix:{air}", *map(str, more)]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# record


def test_what_is_recorded_opens_in_wfdb_with_its_gap(kept: Path) -> None:
    assert sorted(content(kept)) == sorted(FILES)
    record = wfdb.rdrecord(str(kept / "ecg"))
    assert (record.sig_name, record.units, record.fs) == (["I"], ["mV"], 130)
    missing = np.isnan(record.p_signal[:, 0])
    assert np.array_equal(np.rint(record.p_signal[~missing, 0] * 1000), CODES[: len(missing)][~missing])
    notes = wfdb.rdann(str(kept / "ecg"), "atr")
    assert notes.aux_note[-1] == "the patch ended the measurement"
    (at,) = (
        at for at, text in zip(notes.sample, notes.aux_note, strict=True) if text == "gap 73 samples, lost"
    )
    assert at == np.flatnonzero(missing)[0]
    assert missing.sum() == 73


def test_seconds_end_it_and_a_strap_is_no_lead_i_unless_the_user_says_so(
    tmp_path: Path, air: Path, capsys: Output
) -> None:
    with in_the_air(air, Made(codes=CODES, repeat=True)) as (patch,):
        assert main(words(air, tmp_path / "kept", "--seconds", "5")) == 0
        assert patch.commands[-1] == STOP_ECG
    n_samples = Recording.open(tmp_path / "kept").n_samples
    assert 5 * 130 <= n_samples < 5 * 130 + 73
    assert wfdb.rdheader(str(tmp_path / "kept" / "ecg")).sig_name == ["chest"]
    capsys.readouterr()
    refused(
        ["stream", "--replay", str(tmp_path / "kept"), "--json"],
        capsys,
        "no window could be judged",
        shows=True,
    )


@pytest.mark.parametrize("number", STOPS, ids=lambda each: each.name)
def test_a_signal_leaves_the_patch_stopped_and_the_recording_whole(
    number: signal.Signals, tmp_path: Path, air: Path
) -> None:
    folder = tmp_path / "kept"
    with in_the_air(air, Made(codes=CODES, repeat=True, plan=ONE_LOST)) as (patch,):
        process = start(*words(air, folder))
        assert process.stderr is not None
        wait_for(process.stderr, "gap at ")
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (STOPS[number], f"{folder}\n")
        assert " samples in " in err.splitlines()[-1]
        assert patch.commands[-1] == STOP_ECG
        assert not patch.streaming
    recording = Recording.open(folder)
    assert recording.problem is None
    assert sum(len(each.samples_mv) for each in recording.items() if isinstance(each, Chunk)) > 9 * 130


def test_stopped_before_the_first_sample_it_keeps_nothing_and_says_so(tmp_path: Path, air: Path) -> None:
    with in_the_air(air, Made(codes=CODES, plan=FaultPlan(mute=True))) as (patch,):
        process = start(*words(air, tmp_path / "kept"))
        assert process.stderr is not None
        wait_for(process.stderr, "recording into ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert patch.commands[-1] == STOP_ECG
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "edge-mi: stopped before the first sample: nothing was recorded"
    assert not (tmp_path / "kept").exists()


def test_a_folder_that_vanishes_ends_it_with_the_reason_and_the_patch_stopped(
    tmp_path: Path, air: Path
) -> None:
    with in_the_air(air, Made(codes=CODES, repeat=True, plan=ONE_LOST)) as (patch,):
        process = start(*words(air, tmp_path / "kept"))
        assert process.stderr is not None
        wait_for(process.stderr, "gap at ")
        shutil.rmtree(tmp_path / "kept")
        out, err = process.communicate(timeout=PATIENCE_S)
        assert patch.commands[-1] == STOP_ECG
    assert (process.returncode, out) == (2, "")
    assert err.splitlines()[-1].endswith("its files are no longer there")


def test_after_a_kill_the_recording_is_mended_and_all_but_its_end_is_there(
    tmp_path: Path, air: Path, capsys: Output
) -> None:
    folder = tmp_path / "kept"
    with in_the_air(air, Made(codes=CODES, repeat=True, plan=ONE_LOST)):
        process = start(*words(air, folder, "--placement", "lead-i"))
        assert process.stderr is not None
        wait_for(process.stderr, "gap at ")
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
    assert main(["recording", str(folder)]) == 0
    assert "it was not closed, or is still being recorded" in capsys.readouterr().out
    before = Recording.open(folder)
    assert main(["recording", str(folder), "--mend"]) == 0
    capsys.readouterr()
    n_samples = Recording.open(folder).n_samples
    assert n_samples == before.n_samples >= 9 * 130  # the gap was said, so what came before it is there
    assert len(wfdb.rdrecord(str(folder / "ecg")).p_signal) == n_samples
    assert wfdb.rdann(str(folder / "ecg"), "atr").aux_note[-1] == "gap 73 samples, lost"
    done = program("stream", "--replay", folder, "--json")
    assert '"t_s": 8.83' in done.stdout


# words of record


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--device", ""], "the device is empty"),
        (["--profile", "h11"], "no profile 'h11'"),
        (["--allow", "me"], "'me' is no address"),
        (["--adapter", "hci1"], "leave out one of --link and --adapter"),
        (["--link", "tcp:1"], "expected unix:PATH"),
        (["--seconds", "-1"], "--seconds"),
        (["--placement", "arm"], "--placement"),
        ([], "start edge-mi emulate"),
    ],
)
def test_what_cannot_be_leaves_nothing(more: list[str], message: str, tmp_path: Path, capsys: Output) -> None:
    refused(words(tmp_path / "nobody", tmp_path / "kept", *more), capsys, message)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_hold_it_is_refused_before_a_patch_is_looked_for(
    tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("of somebody")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, message in (
        ("there", "exists; a recording replaces nothing"),
        ("file", "exists; a recording replaces nothing"),
        ("link", "exists; a recording replaces nothing"),
        ("file/kept", "there is no folder"),
        ("no/kept", "there is no folder"),
    ):
        refused(words(tmp_path / "nobody", tmp_path / name), capsys, message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "there"]
    assert list((tmp_path / "there").iterdir()) == []


def test_without_pylsl_one_line_names_the_extra(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    refused(words(tmp_path / "nobody", tmp_path / "kept", "--lsl"), capsys, "pip install '.[lsl]'")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user who may not write everywhere, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    os.setresuid(nobody, nobody, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize(("mode", "message"), [(0o555, "permission denied"), (0o000, "Permission denied")])
def test_a_folder_that_cannot_be_written_or_seen_is_refused(mode: int, message: str, capsys: Output) -> None:
    with tempfile.TemporaryDirectory() as work:  # pytest's own are closed to other users
        folder = Path(work)
        folder.chmod(mode)
        with without_privileges():
            refused(words(folder / "nobody", folder / "kept"), capsys, message)
        folder.chmod(0o700)
        assert list(folder.iterdir()) == []


# recording


def test_it_says_what_is_in_a_recording(kept: Path, capsys: Output) -> None:
    for path in (kept, kept / "ecg.hea", kept / "ecg"):
        assert main(["recording", str(path)]) == 0
        first, second, third = capsys.readouterr().out.splitlines()
        assert first == "Polar H10 EDGE0001 (h10), lead I, placement lead-i"
        assert second.endswith(f"{len(CODES) / 130:.1f} s, 130 Hz, 24 bits")
        assert "1 gap" in third.split(", ")


def test_its_edf_has_the_same_codes_and_says_what_it_rounds(
    kept: Path, tmp_path: Path, capsys: Output
) -> None:
    edf = tmp_path / "ecg.edf"
    assert main(["recording", str(kept), "--edf", str(edf)]) == 0
    assert f"{len(CODES)} samples, the sensor's codes" in capsys.readouterr().out
    with pyedflib.EdfReader(str(edf)) as file:
        digital = file.readSignal(0, digital=True)[: len(CODES)]
        assert file.getSignalLabels() == ["ECG I"]
        said = list(file.readAnnotations()[2])
        assert "gap 73 samples, lost" in said
        assert said[-1] == "the patch ended the measurement"
    missing = digital == digital.min()
    assert missing.sum() == 73
    assert np.array_equal(digital[~missing], CODES[~missing])
    refused(
        ["recording", str(kept), "--edf", str(edf)], capsys, f"{edf} exists; choose another name", shows=True
    )
    refused(
        ["recording", str(kept), "--edf", str(tmp_path / "no" / "a.edf")], capsys, "cannot write", shows=True
    )


def test_an_export_that_is_terminated_leaves_nothing(
    kept: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(signal.SIGTERM))
    assert main(["recording", str(kept), "--edf", str(folder / "ecg.edf")]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "edge-mi: terminated\n"
    assert not list(folder.iterdir())


def test_a_recording_that_was_cut_is_read_mended_and_exported(
    kept: Path, tmp_path: Path, capsys: Output
) -> None:
    journal = kept / "ecg.journal"
    os.truncate(journal, journal.stat().st_size - 100)
    assert main(["recording", str(kept)]) == 0
    assert "torn at byte" in capsys.readouterr().out
    whole = Recording.open(kept).n_samples
    assert main(["recording", str(kept), "--mend", "--edf", str(tmp_path / "ecg.edf")]) == 0
    assert f"{whole} samples" in capsys.readouterr().out
    assert len(wfdb.rdrecord(str(kept / "ecg")).p_signal) == whole < len(CODES)
    mended = content(kept)
    assert main(["recording", str(kept), "--mend"]) == 0
    assert content(kept) == mended


def test_what_is_no_recording_is_refused_and_left_alone(kept: Path, tmp_path: Path, capsys: Output) -> None:
    plain = write_wfdb(tmp_path, "heart", ["I"], CODES.astype("int16")[None], 130, 1000)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "ecg.journal").write_text("dear diary")
    damaged = tmp_path / "damaged"
    shutil.copytree(kept, damaged)
    spoiled = bytearray((damaged / "ecg.journal").read_bytes())
    spoiled[len(spoiled) // 3] ^= 1
    (damaged / "ecg.journal").write_bytes(spoiled)
    before = content(foreign), content(damaged)
    for path, message in (
        (tmp_path / "nowhere", "holds no ecg.journal"),
        (tmp_path, "holds no ecg.journal"),
        (plain, "holds no ecg.journal"),
        (foreign, "no journal of a recording"),
        (damaged, "ecg.journal is damaged at byte"),
    ):
        for more in ([], ["--mend"], ["--edf", str(tmp_path / "ecg.edf")]):
            refused(["recording", str(path), *more], capsys, message)
    assert (content(foreign), content(damaged)) == before
    assert not (tmp_path / "ecg.edf").exists()
    refused(["stream", "--replay", str(damaged)], capsys, "ecg.journal is damaged at byte")
    refused(["stream", "--replay", str(foreign)], capsys, "no journal of a recording")
