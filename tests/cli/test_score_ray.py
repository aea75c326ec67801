"""A Ray cluster gives the rows of one machine, in their order, whatever dies on the way."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_mi import synthetic
from edge_mi.cli.main import main
from edge_mi.records import write_wfdb

Output = pytest.CaptureFixture[str]
# Ray leaves sockets and subprocesses to the garbage collector
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few dozen records, one of them unreadable and one flat, under a relative path."""
    monkeypatch.chdir(tmp_path)
    folder = Path("archive")
    folder.mkdir()
    samples = synthetic.ecg(12, rate_hz=130, heart_rate_bpm=75, seed=1).lead("I")
    codes = np.rint(samples * 1000).astype(np.int16)[None]
    for i in range(46):
        write_wfdb(folder, f"r{i:03d}", ["I"], np.roll(codes, i, axis=1), 130, 1000)
    (folder / "broken.hea").write_text("no header")
    write_wfdb(folder, "flat", ["I"], np.zeros_like(codes), 130, 1000)
    return folder


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write_wfdb(tmp_path, "r", ["I"], np.zeros((1, 1300), np.int16), 130, 1000)


def rows(path: Path) -> list[list[str]]:
    with path.open() as file:
        return list(csv.reader(file))


def workers_of_ray() -> Iterator[int]:
    """Process ids of Ray's workers below this process."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                names[int(entry.name)] = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    for pid, name in names.items():
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above]
        # the agents of a machine are called ray:: as well, and it goes down with them
        if above == os.getpid() and name.startswith((b"ray::_run", b"ray::IDLE")):
            yield pid


def test_the_rows_are_those_of_one_machine_though_every_worker_is_killed(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a second process may use the same cluster by its address; nothing is left at home."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from edge_mi.bundle import Bundle
    from edge_mi.cli.score import _open_there, _score_batch
    from edge_mi.detector import Detector
    from edge_mi.ray_workers import RayWorkers
    from edge_mi.records import list_records
    from edge_mi.score import Score, score_record
    from edge_mi.shipped import shipped_bundle

    home = Path.cwd() / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")  # so that what is set here is taken back
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert main(["score", str(archive), "--jobs", "1", "--out", "here.csv"]) == 0
    expected = rows(Path("here.csv"))[1:]
    assert [row[0] for row in expected if row[-1]] == ["broken"]

    bundle = Bundle.load(shipped_bundle())
    detector = Detector(bundle)
    records = list_records(archive)
    batches = [records[i : i + 4] for i in range(0, len(records), 4)]  # more than are begun at once
    setting = (bundle, detector.runner.name, None, False, "I", None)
    found: list[Score] = []
    killed: list[int] = []
    with RayWorkers("local", 2, _open_there, str(Path.cwd()), *setting) as cluster:
        for scores in cluster.in_order(
            _score_batch, iter(batches), lambda batch: [score_record(detector, p, n) for n, p in batch]
        ):
            if not killed:
                killed = list(workers_of_ray())
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)
            found += scores
        address = ray.get_runtime_context().gcs_address
        done = subprocess.run(
            [sys.executable, "-m", "edge_mi", "score", str(archive), "--ray", address, "--out", "there.csv"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert killed
    assert list(home.rglob("*")) == []
    assert [list(score.row()) for score in found] == expected
    assert done.returncode == 0, done.stderr
    assert rows(Path("there.csv"))[1:] == expected
    talk = [line for line in done.stderr.splitlines() if not line.startswith("scoring: ")]
    assert len(talk) == 2, talk  # the notice and the summary, and not a word of Ray's


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1"),
        ("127.0.0.1", "expected HOST:PORT"),
        ("h:x", "expected HOST:PORT"),
    ],
)
def test_a_cluster_that_is_not_there(record: Path, capsys: Output, address: str, message: str) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    assert main(["score", str(record), "--ray", address, "--out", str(record.parent / "there.csv")]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (record.parent / "there.csv").exists()


def test_jobs_are_not_for_a_cluster(record: Path, capsys: Output) -> None:
    assert main(["score", str(record), "--ray", "10.0.0.1:6379", "--jobs", "2"]) == 2
    assert "--jobs is for this machine" in capsys.readouterr().err
