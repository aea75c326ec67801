"""The same checkpoint gives the same bytes, whoever exports it, where, and in which surroundings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from keys import key_pair
from toy import export_toy

from edge_mi.shipped import shipped_bundle, shipped_checkpoint

PLAIN = {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
OTHER = {
    "PYTHONHASHSEED": "4242",
    "TZ": "Pacific/Chatham",
    "LC_ALL": "tr_TR.UTF-8",
    "OMP_NUM_THREADS": "2",
    "PYTHONUTF8": "0",
    "COLUMNS": "40",
}


def export(words: list[str], folder: Path, surroundings: dict[str, str], umask: int) -> dict[str, bytes]:
    """The files of the bundle that a process of its own writes from inside `folder`."""
    folder.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "edge_mi", "export", "--int8", *words, "--out", "b"],
        cwd=folder, env={**os.environ, **surroundings}, umask=umask, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["b"]
    return {file.name: file.read_bytes() for file in (folder / "b").iterdir()}


def test_two_processes_in_other_surroundings_write_the_same_bytes(tmp_path: Path) -> None:
    words, (private, _) = export_toy(tmp_path), key_pair(tmp_path)
    renamed = shutil.copy(tmp_path / "toy.safetensors", tmp_path / "later.safetensors")
    os.utime(renamed, (1, 1))
    limits = ["--limits", words[-1], "--sign", str(private)]
    first = export([words[2], *limits], tmp_path / "a", PLAIN, 0o022)
    second = export([str(renamed), *limits], tmp_path / "ß ı" / "deep", OTHER, 0o077)
    assert len(first) == 10
    assert first == second


def test_the_model_that_ships_is_exported_to_the_bytes_that_ship(tmp_path: Path) -> None:
    written = export([str(shipped_checkpoint())], tmp_path / "ß ı", OTHER, 0o077)
    assert written == {file.name: file.read_bytes() for file in shipped_bundle().iterdir()}


@pytest.mark.parametrize(("umask", "folder", "file"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600)])
def test_permissions_are_those_of_the_umask(umask: int, folder: int, file: int, tmp_path: Path) -> None:
    words = export_toy(tmp_path)
    export([words[2], *words[-2:]], tmp_path / "a", PLAIN, umask)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == folder
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a" / "b").iterdir()} == {file}
