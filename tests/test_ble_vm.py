"""The virtual machine of `make ble-vm`: its exit code is the guest's, and whatever is not an exit code is a failure.

QEMU is a small program here that says what a guest would; the real one is booted by `make ble-vm`.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from edge_mi.benchmarks.ble_vm_figures import ble_vm_figures
from edge_mi.benchmarks.bluez_vm import cpio, machine, python_tree
from edge_mi.benchmarks.bluez_vm.__main__ import boot_first, main
from edge_mi.benchmarks.bluez_vm.image import Image, make_image
from edge_mi.benchmarks.bluez_vm.machine import ACCELERATORS, NotBooted, Timeouts
from edge_mi.benchmarks.bluez_vm.report import Report, failures
from edge_mi.benchmarks.debian_packages import CannotEmulate

from edge_mi.errors import CheckFailed

ROOT = Path(__file__).parents[1]
LONG = Timeouts(first_s=60, all_s=60)
SHORT = Timeouts(first_s=60, all_s=0.3)
BOOTED = """echo '{"booted": true}'"""
STAYS = "exec sleep 60"


def qemu(folder: Path, *lines: str) -> Path:
    """A program that stands for QEMU."""
    program = folder / machine.QEMU
    program.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    program.chmod(0o755)
    return program


def booted(tmp_path: Path, *lines: str, timeouts: Timeouts = LONG) -> tuple[int, list[dict[str, Any]]]:
    messages: list[dict[str, Any]] = []
    words = [str(qemu(tmp_path, *lines))]
    return machine.boot(words, tmp_path / "console.log", timeouts, messages.append), messages


def image(folder: Path) -> Image:
    for name in ("vmlinuz", "base", "code"):
        (folder / name).write_text(name)
    return Image(kernel=folder / "vmlinuz", archives=(folder / "base", folder / "code"), versions={})


def test_a_scenario_that_there_is_not_is_refused_before_anything_is_built(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "scan", "--only", "paring"])
    assert ended.value.code == 2
    assert "invalid choice: 'paring'" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 7])
def test_the_exit_code_of_the_guest_comes_through(tmp_path: Path, code: int) -> None:
    said = f"""echo 'noise of a terminal'; echo '{{"scenario": "scan"}}'; echo '{{"exit": {code}}}'"""
    found, messages = booted(tmp_path, BOOTED, said, STAYS)
    assert found == code
    assert messages == [{"booted": True}, {"scenario": "scan"}]


def test_what_qemu_says_of_itself_is_no_exit_code_of_the_guest(tmp_path: Path) -> None:
    assert booted(tmp_path, BOOTED, """echo '{"exit": 0}'""", "exit 9")[0] == 0
    with pytest.raises(CheckFailed, match="gave no exit code"):
        booted(tmp_path, BOOTED, "exit 0")


@pytest.mark.parametrize("cut", ['{"exit": ', '{"exit": "0"}', "0", "[0]", '{"exit": null}'])
def test_a_cut_or_odd_line_is_no_exit_code(tmp_path: Path, cut: str) -> None:
    with pytest.raises(CheckFailed, match="gave no exit code"):
        booted(tmp_path, BOOTED, f"echo '{cut}'")


def test_a_guest_that_hangs_is_a_failure_and_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    with pytest.raises(CheckFailed, match=r"in \d[.\d]* s"):
        booted(tmp_path, BOOTED, f"echo 'where it stands still' > {log}", STAYS, timeouts=SHORT)


def test_a_guest_that_panics_is_a_failure_that_shows_its_console(tmp_path: Path) -> None:
    panic = f"echo 'Kernel panic - not syncing' > {tmp_path / 'console.log'}"
    with pytest.raises(CheckFailed, match="Kernel panic - not syncing"):
        booted(tmp_path, BOOTED, panic, "exit 0")


def test_a_guest_that_never_says_a_word_did_not_boot(tmp_path: Path) -> None:
    with pytest.raises(NotBooted, match=r"said nothing in 0\.3 s"):
        booted(tmp_path, STAYS, timeouts=Timeouts(first_s=0.3, all_s=60))


def test_a_qemu_that_cannot_start_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(NotBooted, match="exit code 1: qemu: invalid option"):
        booted(tmp_path, "echo 'qemu: invalid option' >&2; exit 1")
    with pytest.raises(NotBooted, match="cannot be started"):
        machine.boot([str(tmp_path / "nothing")], tmp_path / "console.log", LONG)


def test_where_one_accelerator_boots_nothing_the_next_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = qemu(
        tmp_path, 'case "$*" in *"-accel kvm"*) echo no >&2; exit 1;; esac', "echo '{\"exit\": 7}'"
    )
    tried = list(ACCELERATORS.values())
    code, used = boot_first(program, image(tmp_path), tried, tmp_path, lambda _: None)
    assert (code, used.name) == (7, "tcg")
    assert "kvm boots no guest here (QEMU ended with exit code 1: no)" in capsys.readouterr().err


def test_where_none_boots_that_is_a_failure(tmp_path: Path) -> None:
    program = qemu(tmp_path, "exit 1")
    with pytest.raises(CheckFailed, match="QEMU ended with exit code 1"):
        boot_first(program, image(tmp_path), list(ACCELERATORS.values()), tmp_path, lambda _: None)


def test_a_guest_that_booted_and_failed_is_not_tried_again(tmp_path: Path) -> None:
    counter = tmp_path / "boots"
    program = qemu(tmp_path, f"echo >> {counter}", BOOTED, "exit 3")
    with pytest.raises(CheckFailed, match="QEMU ended with exit code 3"):
        boot_first(program, image(tmp_path), list(ACCELERATORS.values()), tmp_path, lambda _: None)
    assert counter.read_text() == "\n"


def test_the_archives_reach_the_guest_in_order(tmp_path: Path) -> None:
    script = 'while [ "$1" != -initrd ]; do shift; done', f"cp $2 {tmp_path / 'seen'}", "echo '{\"exit\": 0}'"
    boot_first(qemu(tmp_path, *script), image(tmp_path), [ACCELERATORS["tcg"]], tmp_path, lambda _: None)
    assert (tmp_path / "seen").read_text() == "basecode"


def run_without_qemu(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_mi.benchmarks.bluez_vm", "--out", "here.json"],
        cwd=tmp_path, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_without_qemu_the_run_is_skipped_and_says_so(tmp_path: Path) -> None:
    done = run_without_qemu(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "skipped: qemu-system-x86_64 is not here (apt install qemu-system-x86)\n"
    assert list(tmp_path.iterdir()) == []


def test_with_qemu_and_nothing_to_build_from_the_run_fails(tmp_path: Path) -> None:
    qemu(tmp_path, "exit 0")
    done = run_without_qemu(tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("edge-mi: ")


def result(name: str, why: str = "") -> dict[str, Any]:
    figures = {"frames": 300, "samples": 21900, "wrong": 0, "frames_doubled": 0, "whole": [232, 517]}
    return {"scenario": name, "what": "All of it.", "passed": not why, "why": why, "figures": figures}


def report(*results: dict[str, Any], announced: list[str]) -> Report:
    made = Report()
    for message in ({"booted": True}, {"versions": {"linux": "6.1"}, "scenarios": announced}, *results):
        made.take(message)
    return made


def test_the_result_has_every_scenario_and_the_versions() -> None:
    document = report(result("scan"), result("pairing"), announced=["scan", "pairing"]).document(
        0, "tcg", {"bluez": "5.66"}
    )
    assert document["passed"]
    assert document["versions"] == {"linux": "6.1", "bluez": "5.66"}
    assert failures(document, 0) == []


def test_a_scenario_that_failed_is_one_line_whatever_the_exit_code_says() -> None:
    document = report(result("scan", "nothing heard"), announced=["scan"]).document(0, "tcg", {})
    assert not document["passed"]
    assert failures(document, 0) == ["scan: nothing heard"]


def test_an_exit_code_without_a_reason_is_a_failure_too() -> None:
    document = report(result("scan"), announced=["scan"]).document(7, "tcg", {})
    assert not document["passed"]
    assert failures(document, 7) == ["the guest ended with exit code 7"]


@pytest.mark.parametrize("announced", [["scan", "pairing"], []])
def test_a_scenario_that_was_never_run_is_no_success(announced: list[str]) -> None:
    made = report(*[result("scan")][: len(announced)], announced=announced)
    with pytest.raises(CheckFailed, match="ended with exit code 0 before these"):
        made.document(0, "tcg", {})


def test_the_table_says_what_failed() -> None:
    versions = dict.fromkeys(("linux", "bluez", "bleak", "dbus-fast", "bumble", "python", "qemu"), "1-2")
    results = [result("scan"), result("pairing", "no agent")]
    text = "\n".join(
        ble_vm_figures(
            {"accelerator": "tcg", "versions": versions, "scenarios": results, "command": "make it"}
        )
    )
    assert "1 of 2 scenarios passed. Made by `make it`." in text
    assert "no time is given" in text
    assert "| scan | All of it | 300 | 21900 | 0 | 0 | 232, 517 MTU streamed whole |" in text
    assert "FAILED: no agent |" in text


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Name -> mode and content, read by the format's own description."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        start = (at + 110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = fields[1], archive[start : start + fields[6]]
        at = (start + fields[6] + 3) // 4 * 4


def test_an_archive_has_files_folders_and_links(tmp_path: Path) -> None:
    (tmp_path / "in" / "folder").mkdir(parents=True)
    (tmp_path / "in" / "folder" / "file").write_bytes(b"12345")
    (tmp_path / "in" / "init").write_text("#!/bin/sh\n")
    (tmp_path / "in" / "init").chmod(0o755)
    (tmp_path / "in" / "link").symlink_to("folder/file")
    with (tmp_path / "out").open("wb") as out:
        cpio.write_archive(tmp_path / "in", out)
    found = entries((tmp_path / "out").read_bytes())
    assert found["folder/file"][1] == b"12345"
    assert stat.S_ISDIR(found["folder"][0])
    assert stat.S_ISLNK(found["link"][0])
    assert found["link"][1] == b"folder/file"
    assert stat.S_IMODE(found["init"][0]) == 0o755


def test_the_guest_gets_what_the_bridge_and_the_emulator_need() -> None:
    pytest.importorskip("bumble")
    assert {"bleak", "bumble", "dbus-fast", "numpy", "cryptography"} <= python_tree.packages().keys()
    assert python_tree.program().is_file()


def test_what_is_kept_is_never_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt fails: there is no base, and the next try begins anew."""
    pytest.importorskip("bumble")
    for name in ("apt-get", "apt-cache", "dpkg", "dpkg-deb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'E: no network' >&2; exit 100\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for _ in range(2):
        with pytest.raises(CannotEmulate, match="the machine's sources give no kernel"):
            make_image(tmp_path / "home", ROOT, ["true"])
    assert not list((tmp_path / "home").glob("base-*"))
