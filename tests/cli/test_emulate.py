"""`edge-mi emulate` as a user runs it: every patch, every plan, every way to end it."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from air import PATIENCE_S, STOPS, Output, environment, microvolts, program, refused, start
from edge_mi.firmware_bridge.emulator.patches import PATCHES, STREAMED_AS
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.resample import codes_at
from processes import wait_for

from edge_mi import synthetic
from edge_mi.cli.emulate import SYNTHETIC
from edge_mi.records import read_record, write_wfdb


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write_wfdb(tmp_path, "heart", ["I"], microvolts(30).astype("int16")[None], 130, 1000)


@contextmanager
def emulator(
    link: Path, *words: object, profile: str = "h10", record: str | None = None
) -> Iterator[list[str]]:
    """The emulator while the block lasts; gives what it says to type, without the program's own name.

    words: the record and what follows it, or only this where `record` names it.
    """
    named = [] if record is None else [record]
    process = start("emulate", profile, *named, *words, "--link", f"unix:{link}")
    assert process.stderr is not None
    wait_for(process.stderr, "reach it with")
    typed = shlex.split(process.stderr.readline())
    assert typed.pop(0) == "edge-mi"
    try:
        yield typed
    finally:
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert not link.exists()


# patches


def test_help_names_every_patch_that_can_be_emulated_and_needs_no_bumble() -> None:
    code = "import sys; sys.modules['bumble'] = None\nfrom edge_mi.cli.main import main\nmain(['emulate', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env=environment(COLUMNS="400"), timeout=PATIENCE_S)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"the patch to be: {', '.join(PATCHES)}\n" in done.stdout


def test_without_bumble_one_line_names_the_extra(
    record: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bumble", None)
    refused(["emulate", "h10", str(record)], capsys, "bumble is not installed", "'.[emulate]'")


def test_every_patch_that_can_be_emulated_can_be_named_to_stream() -> None:
    assert PATCHES.keys() <= PROFILES.keys()


@pytest.mark.parametrize("profile", PATCHES)
def test_what_it_says_to_type_streams_the_patch(profile: str, record: Path, tmp_path: Path) -> None:
    with emulator(tmp_path / "hci", record, "--speed", 0, "--repeat", profile=profile) as typed:
        process = start(*typed)
        assert process.stdout is not None
        wait_for(process.stdout, "not enough signal yet")  # the first decision
        process.terminate()
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "samples in" in err) == (0, True), err
    assert "RESULT" in out


@pytest.mark.parametrize("profile", PATCHES)
def test_its_profile_by_name_streams_the_patch_or_is_refused_with_the_reason(
    profile: str, record: Path, tmp_path: Path
) -> None:
    with emulator(tmp_path / "hci", record, "--speed", 0, "--repeat", profile=profile) as typed:
        named = program(*typed, "--seconds", 2, "--json", "--profile", profile)
    if profile in STREAMED_AS:
        assert (named.returncode, "leaves out every ninth sample" in named.stderr) == (2, True)
    else:
        assert (named.returncode, '"t_s"' in named.stdout) == (0, True)


@pytest.mark.parametrize(("more", "lead"), [([], "I"), (["--lead", "v3"], "V3")])
def test_a_made_heart_has_the_lead_that_is_asked_for(more: list[str], lead: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with emulator(tmp_path / "hci", "--speed", 0, *more, record=SYNTHETIC) as typed:
        assert program(*typed, "--seconds", 12, "--record", kept).returncode == 0
    heard_mv = read_record(kept / "ecg").samples_mv[: 12 * 130]
    heart = synthetic.ecg(300, rate_hz=500, seed=1)
    off_mv = {
        name: np.abs(codes_at(heart.lead(name), 500, 130, 1000)[: len(heard_mv)] / 1000 - heard_mv).max()
        for name in heart.leads
    }
    assert min(off_mv, key=lambda name: off_mv[name]) == lead
    assert off_mv[lead] < 0.002


# plans


def test_a_plan_shows_in_what_the_stream_counts(record: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        "battery_percent = 14\n"
        '[[fault]]\nkind = "drop"\nat_s = 5.0\npackets = 2\n'
        '[[fault]]\nkind = "duplicate"\nat_s = 10.0\npackets = 3\n'
        '[[fault]]\nkind = "truncate"\nat_s = 15.0\nkeep_bytes = 96\n'
        '[[fault]]\nkind = "disconnect"\nat_s = 20.0\nfor_s = 2.0\n'
    )
    with emulator(tmp_path / "hci", record, "--speed", 0, "--plan", plan) as typed:
        done = program(*typed, "--json")
    assert done.returncode == 0
    counted = done.stderr.splitlines()[-1]
    for words in (
        "in 3 gaps", "3 doubled frames dropped", "1 frames not understood", "1 reconnects", "battery 14 %",
    ):  # fmt: skip
        assert words in counted, counted
    assert "gap at 4.49 s: 146 samples missing (lost)" in done.stderr


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("mtu = \n", ["is not TOML", "line 1"]),
        ("speling = 1", ["unknown key speling"]),
        ("mtu = 5", ["mtu is 5", "expected 23 to 517"]),
        ("mtu = 'large'", ["mtu", "expected int", "'large'"]),
        ("pairing = 1", ["pairing", "expected bool"]),
        ("fault = 3", ["fault", "[[fault]]"]),
        ("[[fault]]\nkind = 'explode'\nat_s = 1.0", ["fault 1", "'explode'", "drop, duplicate, truncate"]),
        ("[[fault]]\nkind = 'drop'", ["fault 1", "no at_s"]),
        ("[[fault]]\nkind = 'drop'\nat_s = 1.0\noften = 2", ["fault 1", "unknown key often", "every_s"]),
        ("[[fault]]\nkind = 'drop'\nat_s = inf", ["fault 1.at_s", "a finite number"]),
        ("[[fault]]\nkind = 'drop'\nat_s = 1.0\npackets = 0", ["a drop at 1 s", "no packet"]),
        ("[[fault]]\nkind = 'battery'\nat_s = 1.0\npercent = 101", ["101 percent", "expected 0 to 100"]),
    ],
)
def test_a_plan_that_is_none_is_one_line_that_names_the_key(
    text: str, messages: list[str], record: Path, tmp_path: Path, capsys: Output
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    link = tmp_path / "hci"
    words = ["emulate", "h10", str(record), "--link", f"unix:{link}", "--plan", str(plan)]
    refused(words, capsys, str(plan), *messages)
    assert not link.exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_plan_that_cannot_be_read_is_named(
    content: bytes | None, record: Path, tmp_path: Path, capsys: Output
) -> None:
    plan = tmp_path / "plan.toml"
    if content is not None:
        plan.write_bytes(content)
    refused(
        ["emulate", "h10", str(record), "--plan", str(plan)], capsys, f"cannot read the fault plan {plan}"
    )


# words


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--address", "F0:F1"], "'F0:F1'; expected six bytes such as F0:F1:F2:F3:F4:F5"),
        (["--address", "zz:F1:F2:F3:F4:F5"], "expected six bytes"),
        (["--link", "tcp:x"], "expected unix:PATH, vhci, or an adapter such as hci-socket:0"),
        (["--link", "unix:nowhere/hci"], "cannot listen at nowhere/hci"),
        (["--lead", "aVR"], "aVR"),
    ],
)
def test_what_cannot_be_is_one_line(
    more: list[str], message: str, record: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(record.parent)
    before = sorted(record.parent.iterdir())
    refused(["emulate", "h10", str(record), *more], capsys, message)
    assert sorted(record.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--rate", "5"], "--rate is for a CSV without a time column"),
        (["--rate", "500"], "--rate is for a CSV without a time column"),
        (["--lead", "V7"], "no lead 'V7'; expected one of I, II"),
    ],
)
def test_what_a_made_heart_does_not_have_is_one_line(more: list[str], message: str, tmp_path: Path) -> None:
    link = tmp_path / "hci"
    done = program("emulate", "h10", SYNTHETIC, "--link", f"unix:{link}", *more)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert message in done.stderr
    assert not link.exists()


def test_a_second_emulator_at_the_same_place_is_refused_and_the_first_serves_on(
    record: Path, tmp_path: Path, capsys: Output
) -> None:
    with emulator(tmp_path / "hci", record, "--speed", 0, "--repeat") as typed:
        refused(["emulate", "h10", str(record), "--link", f"unix:{tmp_path / 'hci'}"], capsys, "already")
        assert program(*typed, "--seconds", 1).returncode == 0


def test_its_address_is_the_one_that_is_asked_for(record: Path, tmp_path: Path) -> None:
    address = "c0:ff:ee:00:00:01"
    with emulator(tmp_path / "hci", record, "--speed", 0, "--address", address) as typed:
        assert program(*typed, "--seconds", 1, "--allow", address).returncode == 0


# however it ends


@pytest.mark.parametrize("number", STOPS, ids=lambda each: each.name)
def test_a_signal_ends_it_in_order_and_its_reader_knows(
    number: signal.Signals, record: Path, tmp_path: Path
) -> None:
    link = tmp_path / "hci"
    process = start("emulate", "h10", record, "--link", f"unix:{link}", "--repeat")
    assert process.stderr is not None
    wait_for(process.stderr, "edge-mi stream")
    stream = start("stream", "--device", "Polar H10", "--link", f"unix:{link}", "--json")
    assert stream.stderr is not None
    wait_for(stream.stderr, "connected to")
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (STOPS[number], "")
    assert not link.exists()
    _, err = stream.communicate(timeout=PATIENCE_S)
    assert stream.returncode == 2
    assert err.splitlines()[-1] == f"edge-mi: the emulator at unix:{link} is gone"
