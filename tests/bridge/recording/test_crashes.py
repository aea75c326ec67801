"""Whatever ends a recording, what is left of it is whole."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from edge_mi.firmware_bridge.recording.layout import FILES
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recorder import Recorder
from edge_mi.firmware_bridge.recording.recover import recover
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import CHILD, HOST_S, META, WALL_S, assert_same, endless, record
from torn import assert_consistent, assert_prefix, is_damaged, listed

from edge_mi.errors import OutputError, RecordError
from edge_mi.samples import Chunk, Gap, Item

SUPPORT = Path(__file__).resolve().parents[2] / "support"


def stream(n: int, seed: int = 7) -> list[tuple[Item, float]]:
    return list(itertools.islice(endless(seed), n))


def child(code: str, *args: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_program_loses_nothing_that_it_had_pushed(tmp_path: Path, seed: int) -> None:
    kill_after = int(np.random.default_rng(seed).integers(1, 400))
    with child(CHILD, tmp_path / "a", seed) as process:
        assert process.stdout is not None
        for _ in range(kill_after):
            assert process.stdout.readline()
        process.kill()
        lines = [line for line in process.stdout.read().split("\n")[:-1] if line]
    pushed = int(lines[-1].split()[0]) if lines else kill_after
    items = [item for item, _ in stream(pushed + 50, seed)]
    recording = Recording.open(tmp_path / "a")
    assert_prefix(recording, items, at_least=pushed)
    assert recording.problem is not None
    before = list(recording.items())
    assert_consistent(recover(tmp_path / "a"), before)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("name", ["ecg.journal", "ecg.dat"])
def test_a_file_cut_anywhere_near_its_end_still_opens(tmp_path: Path, name: str, closed: bool) -> None:
    pushed = stream(40)
    items = [item for item, _ in pushed]
    record(tmp_path / "a", pushed, close=closed)
    path = tmp_path / "a" / name
    size = path.stat().st_size
    settled = listed((tmp_path / "a" / "ecg.journal").read_bytes()).settled if name == "ecg.dat" else 0
    left = len(items)
    for n_bytes in range(size - 1, size - 160, -1):
        os.truncate(path, n_bytes)
        if n_bytes < settled:
            with pytest.raises(RecordError, match="ends before sample"):
                Recording.open(tmp_path / "a")
            continue
        recording = Recording.open(tmp_path / "a")
        assert recording.problem is not None
        left = assert_prefix(recording, items)
        if n_bytes % 13 == 0:
            copy = tmp_path / f"copy{n_bytes}"
            shutil.copytree(tmp_path / "a", copy)
            assert_consistent(recover(copy), items[:left])
    assert (0 < left < len(items)) != (closed and name == "ecg.dat")


@given(
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(0, 300),
    st.booleans(),
    st.booleans(),
    st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_any_two_torn_tails_leave_what_was_on_the_disk(
    off_journal: int, off_signal: int, zeros: int, more: bool, closed: bool, seed: int
) -> None:
    pushed = stream(25, seed)
    items = [item for item, _ in pushed]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "a"
        record(folder, pushed, close=closed)
        journal, signal = (folder / "ecg.journal").read_bytes(), (folder / "ecg.dat").read_bytes()
        torn_journal = journal[: len(journal) - off_journal] + b"\0" * (zeros if more else 0)
        torn_signal = signal[: len(signal) - off_signal] + b"\0" * zeros
        (folder / "ecg.journal").write_bytes(torn_journal)
        (folder / "ecg.dat").write_bytes(torn_signal)
        if is_damaged(torn_journal, signal, torn_signal):
            with pytest.raises(
                RecordError, match=r"ecg\.dat is damaged.* what its journal says|that more was on"
            ):
                Recording.open(folder)
            return
        recording = Recording.open(folder)
        left = assert_prefix(recording, items)
        assert_consistent(recover(folder), items[:left])


@given(st.integers(0, 9), st.data())
@settings(max_examples=25, deadline=None)
def test_a_cut_of_power_takes_only_what_was_not_yet_on_the_disk(seed: int, data: st.DataObject) -> None:
    pushed = stream(30, seed)
    items = [item for item, _ in pushed]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "a"
        record(folder, pushed, close=False)
        journal = bytearray((folder / "ecg.journal").read_bytes())
        signal = bytearray((folder / "ecg.dat").read_bytes())
        whole, known = bytes(signal), listed(bytes(journal))
        assert known.size == len(signal)
        assert (len(signal) - known.settled) / 3 / 130 < 1.0  # never more than a second of signal waits
        for bytes_of, settled in ((journal, known.synced), (signal, known.settled)):
            for at in range(settled, len(bytes_of)):  # blocks reach a disk in any order, or not at all
                if data.draw(st.booleans()):
                    bytes_of[at] = 0
        (folder / "ecg.journal").write_bytes(journal)
        (folder / "ecg.dat").write_bytes(signal)
        left = assert_prefix(Recording.open(folder), items, at_least=known.on_disk)
        assert_consistent(recover(folder), items[:left])
        mended = (folder / "ecg.dat").read_bytes()
        assert mended == whole[: len(mended)]  # gaps too: a missing sample is none of 0 mV


def test_a_running_recording_is_not_recovered(tmp_path: Path) -> None:
    with Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S) as recorder:
        for item, host_s in stream(20):
            recorder.push(item, host_s)
        before = {name: (tmp_path / "a" / name).read_bytes() for name in FILES}
        with pytest.raises(OutputError, match="still being recorded"):
            recover(tmp_path / "a")
        assert {name: (tmp_path / "a" / name).read_bytes() for name in FILES} == before
    assert recover(tmp_path / "a").problem is None


def test_lost_annotations_and_header_are_written_again(tmp_path: Path) -> None:
    record(tmp_path / "a", stream(60), close=False)
    record(tmp_path / "b", stream(60))
    for name in ("ecg.hea", "ecg.atr", "ecg.dec"):
        (tmp_path / "a" / name).unlink()
    recover(tmp_path / "a")
    for name in ("ecg.hea", "ecg.atr", "ecg.dec", "ecg.dat"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


FULL = """
import resource, sys
from recordings import META, WALL_S, HOST_S
import numpy as np
from edge_mi.errors import OutputError
from edge_mi.samples import Chunk, Gap
from edge_mi.firmware_bridge.recording.recorder import Recorder
folder, limit, n, note = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
recorder = Recorder.open(folder, META, wall_s=WALL_S, host_s=HOST_S)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
pushed = 0
try:
    for i in range(100_000):
        t_s = i * n / 130
        recorder.push(Chunk(t_s=t_s, samples_mv=np.arange(n) / 1000.0, rate_hz=130, index=i * n), HOST_S + t_s)
        pushed += 1
        if note:
            recorder.event("note", note, HOST_S + t_s)
except OutputError as exc:
    print(pushed, exc)
gap = Gap(t_s=0.0, n_samples=1, cause="lost")
for call in (lambda: recorder.push(gap, None), lambda: recorder.event("note", "x", None)):
    try:
        call()
    except OutputError as exc:
        print(exc)
recorder.close()
"""


@pytest.mark.parametrize(
    ("limit", "n", "note"),
    [
        pytest.param(5000, 73, "", id="in the signal"),
        pytest.param(6001, 3, "", id="in the journal"),
        pytest.param(5000, 1, "n" * 200, id="in both"),
    ],
)
def test_a_full_disk_is_one_clear_error_and_the_rest_is_whole(
    tmp_path: Path, limit: int, n: int, note: str
) -> None:
    with child(FULL, tmp_path / "a", limit, n, note) as process:
        assert process.stdout is not None
        first, *later = process.stdout.read().splitlines()
    assert process.returncode == 0
    pushed, _, message = first.partition(" ")
    recording = Recording.open(tmp_path / "a")
    saved = sum(1 for _ in recording.items())
    assert saved - int(pushed) in ((0, 1) if note else (0,))  # with a note, the chunk before it was saved
    assert recording.problem == "it was not closed, or is still being recorded"
    assert f"File too large; its first {saved * n / 130:.1f} s are saved" in message
    assert len(later) == 2
    assert all("has ended" in line for line in later)
    assert_consistent(recover(tmp_path / "a"), list(recording.items()))


def test_a_full_disk_in_the_annotations_keeps_the_signal(tmp_path: Path) -> None:
    recorder = Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S)
    os.close(recorder._annotations.handle)
    recorder._annotations.handle = os.open("/dev/full", os.O_WRONLY)
    chunk = Chunk(t_s=0.0, samples_mv=np.zeros(13), rate_hz=130, index=0)
    recorder.push(chunk, HOST_S)
    gap = Gap(t_s=0.1, n_samples=13, cause="lost")
    with pytest.raises(OutputError, match=r"No space left on device; its first 0\.2 s are saved"):
        recorder.push(gap, HOST_S)
    assert_same(Recording.open(tmp_path / "a").items(), [chunk, gap])


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    code = (
        "import resource, sys\nfrom recordings import META\n"
        "from edge_mi.errors import OutputError\n"
        "from edge_mi.firmware_bridge.recording.recorder import Recorder\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "try:\n    Recorder.open(sys.argv[1], META, wall_s=0.0, host_s=0.0)\nexcept OutputError as exc:\n    print(exc)\n"
    )
    with child(code, tmp_path / "a") as process:
        assert process.stdout is not None
        assert "File too large" in process.stdout.read()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_folder_that_vanishes_is_noticed_within_a_second_of_signal(tmp_path: Path, how: str) -> None:
    recorder = Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S)
    pushed = stream(60)
    for item, host_s in pushed[:20]:
        recorder.push(item, host_s)
    if how == "deleted":
        shutil.rmtree(tmp_path / "a")
    else:
        (tmp_path / "a").rename(tmp_path / "b")
        if how == "replaced":
            record(tmp_path / "a", [])
    reached_s = [pushed[20][1]]

    def go_on() -> None:
        for item, host_s in pushed[20:]:
            reached_s.append(host_s)
            recorder.push(item, host_s)

    with pytest.raises(OutputError, match="its files are no longer there"):
        go_on()
    assert reached_s[-1] - reached_s[0] <= 1.0
    recorder.close()
    if how != "deleted":
        assert_prefix(Recording.open(tmp_path / "b"), [item for item, _ in pushed], at_least=20)


FORBIDDEN = """
import itertools, os, sys
from recordings import META, WALL_S, HOST_S, endless
from edge_mi.errors import OutputError
from edge_mi.firmware_bridge.recording.recorder import Recorder
if os.geteuid() == 0:  # permissions do not bind the superuser
    os.setgid(65534)
    os.setuid(65534)
recorder = Recorder.open(sys.argv[1] + "/a", META, wall_s=WALL_S, host_s=HOST_S)
os.chmod(sys.argv[1] + "/a", 0o500)
for item, host_s in itertools.islice(endless(7), 20):
    recorder.push(item, host_s)
try:
    recorder.close()
except OutputError as exc:
    print(exc)
recorder.close()
"""


def test_a_folder_that_cannot_be_written_any_more_keeps_the_signal() -> None:
    work = tempfile.mkdtemp()
    try:
        os.chmod(work, 0o777)  # noqa: PTH101
        with child(FORBIDDEN, work) as process:
            assert process.stdout is not None
            said = process.stdout.read().splitlines()
        assert len(said) == 1
        assert "ermission denied" in said[0]
        assert_same(Recording.open(f"{work}/a").items(), [item for item, _ in stream(20)])
    finally:
        shutil.rmtree(work)
