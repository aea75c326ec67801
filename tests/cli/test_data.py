"""edge-mi data as a user types it, with a server on loopback in PhysioNet's place."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.physionet import PUBLISHED
from edge_mi.train.data.sums import part_name
from file_server import Fault, FileServer, serving

from edge_mi.cli.main import main

Output = pytest.CaptureFixture[str]
FILES = {"1.dat": np.random.default_rng(1).bytes(400_000), "1.hea": b"1 12 500\n", "ludb.csv": b"ID\n"}
PART = part_name("1.dat")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FILES) as running:
        yield running


def words(server: FileServer, out: Path, *more: str) -> list[str]:
    return ["data", "fetch", "ludb", "--out", str(out), "--base-url", server.url, *more]


def start(server: FileServer, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge_mi", *words(server, out, *more)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def until(happened: Callable[[], bool]) -> None:
    """Look again and again, for a minute at most."""
    for _ in range(6000):
        if happened():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")


def begun(out: Path) -> bool:
    part = out / PART
    return part.exists() and part.stat().st_size > 0


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name in FILES}


def test_a_collection_comes_and_is_checked(server: FileServer, tmp_path: Path, capsys: Output) -> None:
    out = tmp_path / "ludb"
    assert main(words(server, out, "--json")) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out.splitlines()[-1])
    assert (document["loaded"], document["bytes_received"], document["version"]) == (3, 400_012, "1.0.1")
    assert "Open Data Commons Attribution License 1.0" in printed.err
    assert content(out) == FILES
    assert main(["data", "check", str(out)]) == 0
    assert capsys.readouterr().out.strip() == f"{out}: 3 of 3 files as listed (400.0 kB)"


def test_a_check_that_fails(server: FileServer, tmp_path: Path, capsys: Output) -> None:
    main(words(server, tmp_path))
    (tmp_path / "1.hea").write_text("1 13 500\n")
    (tmp_path / "ludb.csv").rename(tmp_path / "other.csv")
    capsys.readouterr()
    assert main(["data", "check", str(tmp_path), "--json"]) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out.splitlines()[-1])
    assert (document["missing"], document["changed"], document["unlisted"]) == (1, 1, 1)
    assert "missing: 1\n  ludb.csv\nchanged: 1\n  1.hea\nunlisted: 1\n  other.csv\n" in printed.out
    assert printed.err.splitlines()[-1].startswith(f"edge-mi: {tmp_path}: 1 files are missing and 1 changed")


def test_a_dry_run(server: FileServer, tmp_path: Path, capsys: Output) -> None:
    assert main(words(server, tmp_path / "x", "--dry-run", "--only", "*.dat", "--json")) == 0
    line, document = capsys.readouterr().out.splitlines()
    assert "1 of 3 files wanted, 0 there (0 B), 1 to load" in line
    assert json.loads(document)["plan"]["missing"] == 1
    assert not (tmp_path / "x").exists()


def test_a_hash_that_stays_wrong_is_a_failed_check(
    server: FileServer, tmp_path: Path, capsys: Output
) -> None:
    server.always["1.dat"] = Fault(flip=True)
    assert main(words(server, tmp_path)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "1 files came with another hash" in error
    assert "(1.dat)" in error
    assert content(tmp_path) == {name: data for name, data in FILES.items() if name != "1.dat"}


def test_a_file_that_the_server_does_not_give(server: FileServer, tmp_path: Path, capsys: Output) -> None:
    server.always["1.dat"] = Fault(status=404)
    assert main(words(server, tmp_path)) == 2
    assert "1.dat (the server answers 404 Not Found)" in capsys.readouterr().err


def test_a_server_that_is_not_there(server: FileServer, tmp_path: Path, capsys: Output) -> None:
    server.always["SHA256SUMS.txt"] = Fault(status=404)
    assert main(words(server, tmp_path)) == 2
    assert "/SHA256SUMS.txt: the server answers 404" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["chest", "--out", "x"], "expected one of ptbxl, ptbdb, ludb, mimic-iv-ecg"),
        (["ludb", "--out", "x", "--jobs", "9"], "expected 1 to 8"),
        (["ludb", "--out", "x", "--base-url", "ftp://x/y"], "expected http(s)://HOST"),
        (["ludb", "--out", "x", "--only", ""], "--only is empty"),
    ],
)
def test_bad_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, more: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "fetch", *more]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_every_collection(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["data", "fetch", "--help"])
    assert "|".join(PUBLISHED) in capsys.readouterr().out


def test_where_the_collections_are() -> None:
    assert [published.url for published in PUBLISHED.values()] == [
        "https://physionet.org/files/ptb-xl/1.0.3",
        "https://physionet.org/files/ptbdb/1.0.0",
        "https://physionet.org/files/ludb/1.0.1",
        "https://physionet.org/files/mimic-iv-ecg/1.0",
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_was_ended_midway_goes_on_and_ends_in_the_right_bytes(
    server: FileServer, tmp_path: Path, number: signal.Signals
) -> None:
    server.faults["1.dat"] = [Fault(stall=150_000)]
    download = start(server, tmp_path)
    until(lambda: begun(tmp_path))
    os.killpg(download.pid, number)
    _, err = download.communicate(timeout=60)
    assert download.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert err.splitlines()[-1] == "edge-mi: interrupted"
    assert "1.dat" not in content(tmp_path)
    kept = (tmp_path / PART).stat().st_size
    assert FILES["1.dat"].startswith((tmp_path / PART).read_bytes())
    assert main(words(server, tmp_path)) == 0
    assert content(tmp_path) == FILES
    assert server.asked("1.dat") == [0, kept]


def test_a_full_disk_keeps_the_part_and_is_one_line(server: FileServer, tmp_path: Path) -> None:
    """The kernel refuses to let a file grow, as a full disk does."""
    download = subprocess.run(
        [sys.executable, "-m", "edge_mi", *words(server, tmp_path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert download.returncode == 2
    assert f"cannot write {tmp_path / '1.dat'}: File too large" in download.stderr.splitlines()[-1]
    assert "1.dat" not in content(tmp_path)
    assert (tmp_path / PART).stat().st_size == 100_000
    assert main(words(server, tmp_path)) == 0
    assert content(tmp_path) == FILES


def test_it_works_with_numpy_alone(server: FileServer, tmp_path: Path) -> None:
    blocked = ["torch", "scipy", "safetensors", "onnx", "bleak", "requests", "urllib3"]
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from edge_mi.cli.main import main\nraise SystemExit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words(server, tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, content(tmp_path)) == (0, FILES), done.stderr
