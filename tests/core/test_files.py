"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_mi.errors import OutputError
from edge_mi.files import new_folder, write_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail(*args: object, **kwargs: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"old")
    write_file(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("step", ["fsync", "fdopen"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OutputError, match="No space left"):
        write_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*: No such file"):
        write_file(tmp_path / "none" / "f", b"")


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a" / "out"
    with new_folder(target) as work:
        (work / "f").write_bytes(b"1")
        assert not target.exists()
    assert names(target) == ["f"]
    assert names(target.parent) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def write_and_fail() -> None:
        with new_folder(tmp_path / "out") as work:
            (work / "f").write_bytes(b"1")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert names(tmp_path) == []


def test_an_existing_folder_is_kept_without_force_and_replaced_with_it(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OutputError, match="exists; choose another folder or add --force"), new_folder(target):
        pass
    assert names(target) == ["old"]
    with new_folder(target, force=True) as work:
        (work / "new").touch()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_failing_block_keeps_the_folder_that_force_would_replace(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(ValueError, match="stop"), new_folder(target, force=True):
        raise ValueError("stop")
    assert names(target) == ["old"]


def test_a_file_in_the_way_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="is not a folder"), new_folder(tmp_path / "out", force=True):
        pass


def test_a_full_disk_while_publishing_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left"), new_folder(target, force=True) as work:
        (work / "new").touch()
    assert names(target) == ["old"]
    assert names(tmp_path) == ["out"]


def test_a_place_that_is_no_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"), new_folder(tmp_path / "file" / "out"):
        pass
