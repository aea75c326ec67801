"""An emulated Raspberry Pi gives the bytes of x86-64, and the comparison that says so sees what differs."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from edge_mi.benchmarks import arm, arm_debian, arm_python
from edge_mi.benchmarks.arm_tasks import Task
from edge_mi.benchmarks.same_bytes import first_difference
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
NAMES = ("x86_64", "cortex-a72")
PLANTED = """
import os, pathlib, sys
out = pathlib.Path(sys.argv[1])
out.mkdir()
(out / "model.bin").write_bytes(bytes({weights!r}))
print({line!r})
print("edge-mi: all done", file=sys.stderr)
{last}
"""


def sha256(content: list[int]) -> str:
    return hashlib.sha256(bytes(content)).hexdigest()[:16]


def test_the_emulated_raspberry_pi_gives_the_same_bytes(tmp_path: Path) -> None:
    """What `make arm` does, without the part that takes minutes; `make test` prepares it where apt can."""
    if not (ROOT / ".arm" / "site").is_dir():
        pytest.skip("no emulated Python in .arm: python -m edge_mi.benchmarks.arm --prepare")
    out = tmp_path / "arm.json"
    done = subprocess.run(
        [sys.executable, "-m", "edge_mi.benchmarks.arm", "--quick", "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    assert document["identical"]
    found = {row["what"]: row["n"] for row in document["compared"]}
    assert all(row["identical"] for row in document["compared"])
    assert found["score, litert"] == sum(document["records"].values())
    assert found["files of export --int8"] == len(list((ROOT / "edge_mi" / "shipped" / "bundle").iterdir()))


@settings(deadline=None)
@given(
    *[st.dictionaries(st.sampled_from("abc"), st.binary(max_size=8) | st.text(max_size=8).map(str.encode))]
    * 2
)
def test_no_difference_is_overlooked_and_none_invented(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    assert (first_difference(one, other, NAMES) is None) == (one == other)


def test_the_line_that_differs_is_named_with_its_record() -> None:
    rows = b"record,probability\na/1,0.25\n"
    said = first_difference(
        {"scores.csv": rows + b"a/2,0.75\na/3,1\n"}, {"scores.csv": rows + b"a/2,0.76\na/3,0\n"}, NAMES
    )
    assert said == "scores.csv, line 3: x86_64 says 'a/2,0.75', cortex-a72 says 'a/2,0.76'"


def test_of_a_long_line_the_start_and_the_difference_are_shown() -> None:
    line = "record-7," + "0" * 500
    said = first_difference({"out": f"{line}1{line}".encode()}, {"out": f"{line}2{line}".encode()}, NAMES)
    assert said is not None
    assert said.count("record-7") >= 2
    assert "01record" in said
    assert "02record" in said
    assert len(said) < 400


def test_bytes_that_are_no_text_are_named_by_place_and_hash() -> None:
    said = first_difference({"b": b"\0\1\2"}, {"b": b"\0\1\3\4"}, NAMES)
    assert said is not None
    assert said.startswith("b, from byte 2: x86_64 3 bytes, sha256 ")
    assert ", cortex-a72 4 bytes, sha256 " in said


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"a": b"x"}, {}, "a: x86_64 writes it, cortex-a72 does not"),
        ({}, {"a": b"x"}, "a: cortex-a72 writes it, x86_64 does not"),
        ({"a": b"x\n"}, {"a": b"x"}, "a, line 2: x86_64 says '', cortex-a72 ends there"),
    ],
)
def test_what_one_side_lacks_is_named(one: dict[str, bytes], other: dict[str, bytes], said: str) -> None:
    assert first_difference(one, other, NAMES) == said


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({}, None),
        ({"line": "0.76"}, "a task: standard output, line 1: x86_64 says '0.75', cortex-a72 says '0.76'"),
        ({"weights": [0, 9]}, f"a task: made/model.bin, from byte 1: x86_64 2 bytes, sha256 {sha256([0, 1])}, "
                              f"cortex-a72 2 bytes, sha256 {sha256([0, 9])}"),
        ({"last": "sys.exit(3)"}, "a task: ended with exit code 3 on cortex-a72: edge-mi: all done"),
        ({"last": "sys.stderr.flush(); os.kill(os.getpid(), 11)"},
         "a task: ended with signal 11 on cortex-a72: edge-mi: all done"),
    ],
)  # fmt: skip
def test_a_planted_difference_is_caught_and_named(
    tmp_path: Path, planted: dict[str, object], said: str | None
) -> None:
    task = Task(name="a task", words=("made",), module="planted", made="made", counts="files")
    outcomes = []
    for name, changes in zip(NAMES, ({}, planted), strict=True):
        site, folder = tmp_path / name / "site", tmp_path / name / "work"
        site.mkdir(parents=True)
        folder.mkdir()
        content = PLANTED.format(**({"line": "0.75", "weights": [0, 1], "last": ""} | changes))
        (site / "planted.py").write_text(content)
        machine = arm.Machine(name=name, python=Path(sys.executable), sites=(site,), folder=folder)
        outcomes.append(machine.do(task))
    assert task.count(outcomes[0].outputs) == 1
    assert arm.difference_in(task, outcomes[0], outcomes[1], NAMES[1]) == said


def test_other_versions_are_no_comparison() -> None:
    versions = {name: {"versions": {"numpy": "2.4.6"}} for name in NAMES}
    arm.check_versions(versions)
    versions["cortex-a72"]["versions"]["numpy"] = "2.4.5"
    with pytest.raises(
        arm_debian.CannotEmulate, match=r"numpy is 2\.4\.6 on x86_64 and 2\.4\.5 on cortex-a72"
    ):
        arm.check_versions(versions)


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path, checkout: Path = ROOT
) -> str:
    """The last line on stderr of a run that must end with exit code 2 before anything is compared."""
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(sys, "argv", ["arm", "--home", str(home)])
    assert arm.main() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.strip().splitlines()[-1]


@pytest.fixture
def x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "platform", "linux")


def test_another_machine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "this machine is aarch64" in refusal(monkeypatch, capsys, tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.mark.usefixtures("x86")
def test_a_folder_that_is_no_checkout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is no checkout of EdgeMI" in refusal(monkeypatch, capsys, tmp_path / "home", tmp_path)


@pytest.mark.usefixtures("x86")
def test_without_apt_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal(monkeypatch, capsys, tmp_path / "home")
    assert said.startswith("edge-mi: apt-get is not here: ")


@pytest.mark.usefixtures("x86")
def test_sources_without_aarch64_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, body in (
        ("apt-get", "echo 'E: Unable to locate package python3' >&2; exit 100"),
        ("dpkg", ""),
        ("dpkg-deb", ""),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal(monkeypatch, capsys, tmp_path / "home")
    assert said == (
        "edge-mi: the machine's sources give no python3 for arm64: apt-get: E: Unable to locate package python3"
    )
    assert not (tmp_path / "home" / "root").exists()


def test_cpuinfo_has_a_core_for_each_that_is_emulated() -> None:
    for cpu in arm_python.CPUS:
        text = cpu.cpuinfo(3)
        assert text.count(f"CPU part\t: {cpu.part}\n") == text.count("processor\t: ") == 3
        assert f"Features\t: {cpu.features}\n" in text
