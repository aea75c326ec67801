"""`edge-mi stream` on patches as a user runs it: what it keeps, says and leaves behind, whatever ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from air import STOPS, Made, Output, in_the_air, microvolts, program, refused, start
from edge_mi.firmware_bridge import client
from edge_mi.firmware_bridge.emulator.fault_plan import Fault, FaultPlan
from edge_mi.firmware_bridge.emulator.peripheral import Peripheral
from edge_mi.firmware_bridge.life import Patience
from edge_mi.firmware_bridge.polar_pmd import STOP_ECG
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.recording.reader import Recording
from patches import QUICK
from processes import wait_for

from edge_mi.cli.main import main

TWO_LOST = FaultPlan(fault=(Fault(kind="drop", at_s=20.0, packets=2),))
JUDGED = '"probability": 0.'
ALARMING = ("--operating-point", "sensitivity_90")


@pytest.fixture
def air(tmp_path: Path) -> Path:
    return tmp_path / "hci"


def words(air: Path, *more: object, device: str = "Polar H10") -> list[str]:
    """A stream of lead I from the patch at `air`."""
    return ["stream", "--device", device, "--link", f"unix:{air}", "--placement", "lead-i", *map(str, more)]


def documents(text: str) -> list[dict[str, Any]]:
    """JSON lines, without what only a live stream has."""
    return [{**json.loads(line), "latency_ms": None} for line in text.splitlines()]


def final(err: str) -> list[str]:
    """What was said at last: patches that are connected to at the same moment may each need another try."""
    return [line for line in err.splitlines() if "; next try in" not in line]


def assert_left_stopped(patch: Peripheral) -> None:
    assert patch.commands[-1] == STOP_ECG
    assert not patch.streaming


# recording and replay


def test_a_recorded_stream_replays_to_the_bit(tmp_path: Path, air: Path, capsys: Output) -> None:
    with in_the_air(air, Made(codes=microvolts(60), plan=TWO_LOST)):
        assert main(words(air, "--json", "--record", tmp_path / "kept")) == 0
    live = documents(capsys.readouterr().out)
    assert main(["stream", "--replay", str(tmp_path / "kept"), "--json"]) == 0
    assert documents(capsys.readouterr().out) == live
    assert len(live) == 61
    assert {"gap", None} <= {each.get("reason") for each in live}


def test_a_stream_whose_beginning_was_lost_replays_to_the_bit(
    tmp_path: Path, air: Path, capsys: Output
) -> None:
    lost = FaultPlan(fault=(Fault(kind="drop", at_s=0.0, packets=3),))
    with in_the_air(air, Made(codes=microvolts(40, rate_hz=250), profile="edgemi", plan=lost)) as (patch,):
        command = words(air, "--json", "--record", tmp_path / "kept", device="EdgeMI")
        assert main(command) == 0
        made = patch.sensor.made
    shown = capsys.readouterr()
    live = documents(shown.out)
    assert main(["stream", "--replay", str(tmp_path / "kept"), "--json"]) == 0
    assert documents(capsys.readouterr().out) == live
    assert len(live) == 40
    assert "gap at 0.00 s" in shown.err
    recording = Recording.open(tmp_path / "kept")
    assert recording.n_samples == made


def test_wfdb_reads_signal_gaps_and_decisions_of_a_stream(tmp_path: Path, air: Path, capsys: Output) -> None:
    codes = microvolts(60)
    with in_the_air(air, Made(codes=codes, plan=TWO_LOST)):
        assert main(words(air, "--json", "--record", tmp_path / "kept", *ALARMING)) == 0
    said = documents(capsys.readouterr().out)[1:]
    signal_mv = wfdb.rdrecord(str(tmp_path / "kept" / "ecg")).p_signal[:, 0]
    missing = np.isnan(signal_mv)
    assert missing.sum() == 2 * 73
    assert np.array_equal(np.rint(signal_mv[~missing] * 1000), codes[: len(signal_mv)][~missing])
    gaps = wfdb.rdann(str(tmp_path / "kept" / "ecg"), "atr")
    happened = [(int(at), text) for at, text in zip(gaps.sample, gaps.aux_note, strict=True)]
    assert (int(np.flatnonzero(missing)[0]), "gap 146 samples, lost") in happened
    assert happened[-1] == (len(signal_mv), "the patch ended the measurement")
    notes = wfdb.rdann(str(tmp_path / "kept" / "ecg"), "dec").aux_note
    reasons = {f"undetermined {each['reason']}" for each in said if each["reason"]}
    judged = {each["state"] for each in said} - {"undetermined"}
    assert set(notes) == {f"model {said[0]['model_id']}", *reasons, *judged, "alarm on"}
    assert {"undetermined gap", "alarm"} <= {*reasons, *judged}


def test_a_patch_that_measures_another_lead_is_not_judged(air: Path, capsys: Output) -> None:
    with in_the_air(air, Made(codes=microvolts(30), profile="edgemi", plan=FaultPlan(lead="V1"))) as (patch,):
        assert main(words(air, device="EdgeMI")) == 2
        shown = capsys.readouterr()
        assert (shown.out, "it measures lead V1" in shown.err.splitlines()[-1]) == ("", True)
        assert not patch.streaming


def test_a_strap_as_worn_is_judged_by_no_wish(tmp_path: Path, air: Path, capsys: Output) -> None:
    kept = str(tmp_path / "kept")
    with in_the_air(air, Made(codes=microvolts(30))):
        assert main(["record", kept, "--device", "Polar H10", "--link", f"unix:{air}"]) == 0
    assert "a strap on the chest is not lead I" in capsys.readouterr().err
    refused(["stream", "--replay", kept], capsys, "--placement lead-i judges it where", shows=True)
    assert main(["stream", "--replay", kept, "--placement", "lead-i"]) == 0
    for command in (["score", kept], ["stream", "--replay", f"{tmp_path}/kept/ecg.hea"]):
        refused([*command, "--lead", "chest"], capsys, "--lead")
    assert main(["score", kept, "--out", str(tmp_path / "scores.csv")]) == 2
    assert "recorded from a strap as worn on the chest" in capsys.readouterr().err


def test_what_was_recorded_of_another_lead_is_not_judged_either(
    tmp_path: Path, air: Path, capsys: Output
) -> None:
    kept = str(tmp_path / "kept")
    with in_the_air(air, Made(codes=microvolts(30), profile="edgemi", plan=FaultPlan(lead="II"))):
        link = ["--device", "EdgeMI", "--link", f"unix:{air}"]
        assert main(["record", kept, *link, "--placement", "lead-i"]) == 0
    refused(["stream", "--replay", kept], capsys, "it measures lead II, which is not lead I")
    for more in (["--lead", "V5"], ["--rate", "12"]):
        refused(["stream", "--replay", kept, *more], capsys, "leave out --lead and --rate")


# several patches


def test_of_two_patches_the_one_that_fails_does_not_touch_the_other(
    tmp_path: Path, air: Path, capsys: Output
) -> None:
    codes = microvolts(30)
    good = Made(codes=codes, name="Polar H10 GOOD", address="F0:F1:F2:F3:F4:01")
    bad = Made(codes=codes, name="Polar H10 BAD", address="F0:F1:F2:F3:F4:02", plan=FaultPlan(refuse=13))
    with in_the_air(air, good):
        assert main(words(air, "--json", device="Polar H10 GOOD")) == 0
        alone = documents(capsys.readouterr().out)
    with in_the_air(air, good, bad) as patches:
        both = words(air, "--device", "Polar H10 BAD", "--json", "--record", tmp_path / "kept")
        both[2] = "Polar H10 GOOD"
        assert main(both) == 0
        for patch in patches:
            assert_left_stopped(patch)
    captured = capsys.readouterr()
    assert documents(captured.out) == [{**each, "device": "Polar H10 GOOD"} for each in alone]
    about_bad = [line for line in final(captured.err) if "BAD" in line]
    assert len(about_bad) == 1
    assert about_bad[0].startswith("edge-mi: Polar H10 BAD: the Polar H10 refuses to stream its ECG: ")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["Polar-H10-GOOD"]
    assert main(["stream", "--replay", str(tmp_path / "kept" / "Polar-H10-GOOD"), "--json"]) == 0
    assert documents(capsys.readouterr().out) == alone


def test_for_a_person_every_line_says_whose_it_is(air: Path, capsys: Output) -> None:
    made = [
        Made(codes=microvolts(15), name=f"Polar H10 {each}", address=f"F0:F1:F2:F3:F4:0{each}", plan=TWO_LOST)
        for each in "12"
    ]
    with in_the_air(air, *made):
        assert main(words(air, "--device", "Polar H10 2", device="Polar H10 1")) == 0
    captured = capsys.readouterr()
    told = captured.err.splitlines()
    assert all(line.startswith(("edge-mi: Polar H10 1: ", "edge-mi: Polar H10 2: ")) for line in told), told
    decided = [line for line in captured.out.splitlines() if " s  " in line and "0." in line]
    for name in ("Polar H10 1", "Polar H10 2"):
        assert any(line.startswith(name) for line in decided)
        assert f"\n{name}\n" in captured.out  # above its page


def test_a_device_of_any_length_has_a_folder(tmp_path: Path, air: Path, capsys: Output) -> None:
    long = "EdgeMI " + "x" * 300
    with in_the_air(air, Made(codes=microvolts(15))):
        assert main(words(air, "--device", long, "--record", tmp_path / "kept")) == 0
    assert f"{long}: no '{long}' in 20 s of scanning" in capsys.readouterr().err
    assert [each.name for each in (tmp_path / "kept").iterdir()] == ["Polar-H10"]


def test_where_every_patch_fails_each_says_so_once_and_nothing_is_left(
    tmp_path: Path, air: Path, capsys: Output
) -> None:
    made = [
        Made(codes=microvolts(5), name=f"Polar H10 {each}", address=f"F0:F1:F2:F3:F4:0{each}", plan=FaultPlan(refuse=13))
        for each in "12"
    ]  # fmt: skip
    with in_the_air(air, *made):
        command = words(air, "--device", "Polar H10 2", "--record", tmp_path / "kept", device="Polar H10 1")
        assert main(command) == 2
    told = final(capsys.readouterr().err)
    assert sorted(line.split(":")[1].strip() for line in told) == ["Polar H10 1", "Polar H10 2"]
    assert not (tmp_path / "kept").exists()


# which patch, and how


def test_a_patch_at_an_address_that_is_not_allowed_is_refused(
    air: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "Timeouts", lambda: QUICK)
    monkeypatch.setattr(client, "Patience", lambda: Patience(first=0.0))
    with in_the_air(air, Made(codes=microvolts(5))) as (patch,):
        refused(
            words(air, "--allow", "F0:F1:F2:F3:F4:99"), capsys, "at an allowed address (f0:f1:f2:f3:f4:99)"
        )
        assert patch.commands == []
        assert main(words(air, "--allow", "F0:F1:F2:F3:F4:99", "--allow", "f0:f1:f2:f3:f4:f5")) == 0


def test_an_encrypted_link_is_made_where_the_patch_can(air: Path, capsys: Output) -> None:
    with in_the_air(air, Made(codes=microvolts(12), plan=FaultPlan(pairing=True))):
        assert main(words(air, "--encrypt", "--json")) == 0
    assert len(documents(capsys.readouterr().out)) == 13


def without_pairing(patch: Peripheral) -> None:
    from bumble.pairing import PairingConfig, PairingDelegate

    class Refusing(PairingDelegate):
        async def accept(self) -> bool:
            return False

    patch.device.pairing_config_factory = lambda _: PairingConfig(delegate=Refusing())


def test_a_patch_that_cannot_pair_is_not_streamed_in_the_clear(air: Path, capsys: Output) -> None:
    with in_the_air(air, Made(codes=microvolts(12), prepare=without_pairing)) as (patch,):
        refused(words(air, "--encrypt"), capsys, "the link cannot be encrypted")
        assert set(patch.commands) <= {STOP_ECG}
        assert main(words(air)) == 0


def test_a_profile_of_another_patch_is_refused_and_names_the_service(air: Path, capsys: Output) -> None:
    with in_the_air(air, Made(codes=microvolts(5))):
        message = f"does not have the service of the Movesense ({PROFILES['movesense'].service})"
        refused(words(air, "--profile", "movesense"), capsys, message)


def test_a_rate_that_the_patch_does_not_have_is_refused(air: Path, capsys: Output) -> None:
    with in_the_air(air, Made(codes=microvolts(5))):
        refused(words(air, "--patch-rate", "250"), capsys, "130 Hz")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--profile", "h11"], f"no profile 'h11'; there are {', '.join(PROFILES)}"),
        (["--profile", "h10", "--patch-rate", "250"], "130 Hz"),
        (["--profile", "movesense", "--patch-rate", "100"], "125"),
        (["--patch-rate", "fast"], "--patch-rate"),
        (["--allow", "Polar"], "'Polar' is no address; expected six bytes"),
        (["--adapter", "hci1"], "leave out one of --link and --adapter"),
        (["--device", " "], "the device is empty"),
        (["--record", "."], ". exists; a recording replaces nothing"),
        (["--record", "nowhere/kept"], "there is no folder nowhere"),
        (["--speed", "2"], "--speed paces a --replay"),
        (["--lead", "II"], "--lead and --rate are for a --replay"),
        (["--rate", "130"], "--lead and --rate are for a --replay"),
        (["--replay", "x"], "not allowed with argument"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_what_cannot_be_is_said_before_any_radio_is_touched(
    more: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(words(tmp_path / "nobody", *more), capsys, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "more",
    [
        ["--link", "unix:x"], ["--adapter", "hci1"], ["--profile", "h10"], ["--patch-rate", "130"],
        ["--allow", "F0:F1:F2:F3:F4:F5"], ["--encrypt"], ["--record", "kept"], ["--lsl"],
    ],
)  # fmt: skip
def test_what_is_for_a_patch_is_no_wish_for_a_replay(more: list[str], capsys: Output) -> None:
    refused(["stream", "--replay", "x", *more], capsys, f"{more[0]}")


def test_the_adapter_that_is_named_is_the_one_that_scans(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bleak
    from bleak.exc import BleakError

    def scanner(*_: object, bluez: dict[str, str]) -> None:
        raise BleakError(f"adapter '{bluez['adapter']}' not found")

    monkeypatch.setattr(bleak, "BleakScanner", scanner)
    refused(["stream", "--device", "Polar H10", "--adapter", "hci77"], capsys, "adapter 'hci77' not found")


def test_a_name_from_the_air_steers_no_terminal(air: Path, capsys: Output) -> None:
    with in_the_air(air, Made(codes=microvolts(5), name="Polar H10 \x1b[2J\x1b]0;x\x07\n\u202ered")):
        assert main(words(air)) == 0
    captured = capsys.readouterr()
    assert "connected to Polar H10 " in captured.err
    assert all(each.isprintable() for each in captured.err.replace("\n", ""))


def test_without_pylsl_one_line_names_the_extra(
    tmp_path: Path, air: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    refused(words(air, "--lsl", "--record", tmp_path / "kept"), capsys, "pip install '.[lsl]'")
    assert list(tmp_path.iterdir()) == []


# however it ends


@pytest.mark.parametrize("number", STOPS, ids=lambda each: each.name)
def test_a_signal_leaves_the_patch_stopped_and_the_recording_whole(
    number: signal.Signals, tmp_path: Path, air: Path
) -> None:
    with in_the_air(air, Made(codes=microvolts(60), repeat=True)) as (patch,):
        stream = start(*words(air, "--json", "--record", tmp_path / "kept"))
        assert stream.stdout is not None
        wait_for(stream.stdout, JUDGED)
        stream.send_signal(number)
        out, err = stream.communicate(timeout=60)
        assert (stream.returncode, "Traceback" in err) == (STOPS[number], False)
        assert_left_stopped(patch)
    recording = Recording.open(tmp_path / "kept")
    assert recording.problem is None
    last = [json.loads(line)["t_s"] for line in out.splitlines()][-1:]
    assert last == [each.t_s for each in recording.decisions()][-1:]


@pytest.mark.parametrize("number", STOPS, ids=lambda each: each.name)
def test_a_signal_ends_the_search_for_a_patch(number: signal.Signals, tmp_path: Path, air: Path) -> None:
    with in_the_air(air, Made(codes=microvolts(60), repeat=True)):
        stream = start(*words(air, "--device", "Nobody", "--json", "--record", tmp_path / "kept"))
        assert stream.stdout is not None
        wait_for(stream.stdout, JUDGED)
        stream.send_signal(number)
        _, err = stream.communicate(timeout=60)
    assert stream.returncode == STOPS[number], err
    assert not any(line.startswith("edge-mi: Nobody: unexpected") for line in err.splitlines())
    assert [each.name for each in (tmp_path / "kept").iterdir()] == ["Polar-H10"]


def test_the_end_of_a_terminal_does_not_end_what_was_started_to_survive_it(air: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does, and a child inherits
    try:
        with in_the_air(air, Made(codes=microvolts(60), repeat=True, speed=40)):
            stream = start(*words(air, "--json"))
            assert stream.stdout is not None
            wait_for(stream.stdout, JUDGED)
            stream.send_signal(signal.SIGHUP)
            for _ in range(60):
                wait_for(stream.stdout, "t_s")
            stream.send_signal(signal.SIGINT)
            stream.communicate(timeout=60)
            assert stream.returncode == 130
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_folder_that_vanishes_ends_the_stream_with_the_reason_and_the_patch_stopped(
    tmp_path: Path, air: Path
) -> None:
    with in_the_air(air, Made(codes=microvolts(60), repeat=True)) as (patch,):
        stream = start(*words(air, "--json", "--record", tmp_path / "kept"))
        assert stream.stdout is not None
        wait_for(stream.stdout, JUDGED)
        shutil.rmtree(tmp_path / "kept")
        _, err = stream.communicate(timeout=60)
        assert stream.returncode == 2
        assert err.splitlines()[-1].endswith("its files are no longer there")
        assert_left_stopped(patch)


def test_a_crash_leaves_every_patch_stopped(air: Path) -> None:
    """The reader of the output is gone: an error in the middle of one stream that is none of ours."""
    # the second is too slow to notice by itself
    made = [
        Made(codes=microvolts(60), name=f"Polar H10 {each}", address=f"F0:F1:F2:F3:F4:0{each}", repeat=True, speed=speed)
        for each, speed in (("1", 0.0), ("2", 0.05))
    ]  # fmt: skip
    with in_the_air(air, *made) as patches:
        stream = start(*words(air, "--device", "Polar H10 2", "--json", device="Polar H10 1"))
        assert stream.stdout is not None
        for each in "12":
            wait_for(stream.stdout, f'"device": "Polar H10 {each}"')
        stream.stdout.close()
        assert stream.wait(60) == 141
        assert stream.stderr is not None
        assert "Traceback" not in stream.stderr.read()
        stream.stderr.close()
        for patch in patches:
            assert_left_stopped(patch)


def test_a_killed_program_has_recorded_all_that_it_had_shown(tmp_path: Path, air: Path) -> None:
    with in_the_air(air, Made(codes=microvolts(60), repeat=True)):
        stream = start(*words(air, "--json", "--record", tmp_path / "kept"))
        assert stream.stdout is not None
        header = stream.stdout.readline()
        shown = [stream.stdout.readline() for _ in range(40)]
        os.kill(stream.pid, signal.SIGKILL)
        out, _ = stream.communicate(timeout=60)
    shown += [line for line in out.splitlines(keepends=True) if line.endswith("\n")]
    replay: subprocess.CompletedProcess[str] = program("stream", "--replay", tmp_path / "kept", "--json")
    assert replay.returncode == 0
    assert "was not closed" in replay.stderr
    live, replayed = documents(header + "".join(shown)), documents(replay.stdout)
    # the one at the end of what was recorded is made when the stream ends, which the killed one did not see
    assert replayed[: len(live)] == live
    recording = Recording.open(tmp_path / "kept")
    assert recording.n_samples / 130 >= live[-1]["t_s"]
