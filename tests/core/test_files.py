"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from closed import close

from edge_mi import files
from edge_mi.errors import OutputError
from edge_mi.files import check_free, check_place, new_file, new_folder, write_file


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


@pytest.mark.parametrize("refused", [check_place, lambda path: check_free(path, (), False)])
@pytest.mark.parametrize("deep", ["f", "new/f"])
def test_a_place_in_a_folder_that_may_not_be_entered_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[[Path], None], deep: str
) -> None:
    close(tmp_path / "closed", monkeypatch)
    with pytest.raises(OutputError, match=r"^cannot write "):
        refused(tmp_path / "closed" / deep)


def test_a_folder_that_is_to_be_replaced_and_may_not_be_looked_into_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(tmp_path / "closed", monkeypatch)
    with pytest.raises(OutputError, match=r"^cannot write .*closed: Permission denied$"):
        check_free(tmp_path / "closed", ("f",), True)


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_file_is_not_replaced_by_one_that_was_not_finished(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"old")

    def write_half() -> None:
        with new_file(target) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*there is no folder"):
        write_file(tmp_path / "none" / "f", b"")


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a" / "out"
    with new_folder(target, ours=["old"]) as work:
        (work / "f").write_bytes(b"1")
        assert not target.exists()
    assert names(target) == ["f"]
    assert names(target.parent) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def write_and_fail() -> None:
        with new_folder(tmp_path / "out", ours=["old"]) as work:
            (work / "f").write_bytes(b"1")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert names(tmp_path) == []


def test_an_existing_folder_is_kept_without_force_and_replaced_with_it(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with (
        pytest.raises(OutputError, match="exists; choose another folder or add --force"),
        new_folder(target, ours=["old"]),
    ):
        pass
    assert names(target) == ["old"]
    with new_folder(target, ours=["old"], force=True) as work:
        (work / "new").touch()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_failing_block_keeps_the_folder_that_force_would_replace(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(ValueError, match="stop"), new_folder(target, ours=["old"], force=True):
        raise ValueError("stop")
    assert names(target) == ["old"]


def test_a_file_in_the_way_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with (
        pytest.raises(OutputError, match="is not a folder"),
        new_folder(tmp_path / "out", ours=["old"], force=True),
    ):
        pass


def test_a_full_disk_while_publishing_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(OutputError, match="No space left"),
        new_folder(target, ours=["old"], force=True) as work,
    ):
        (work / "new").touch()
    assert names(target) == ["old"]
    assert names(tmp_path) == ["out"]


def test_a_place_that_is_no_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="cannot write"),
        new_folder(tmp_path / "file" / "out", ours=["old"]),
    ):
        pass


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter1").touch()
    with (
        pytest.raises(OutputError, match=r"holds other things .*chapter1"),
        new_folder(target, ours=["model.json"], force=True),
    ):
        pass
    assert names(target) == ["chapter1"]


def test_an_empty_folder_may_be_filled_with_force(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out", ours=["model.json"], force=True) as work:
        (work / "model.json").touch()
    assert names(tmp_path / "out") == ["model.json"]


def test_an_interruption_between_the_renames_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").touch()
    rename, calls = Path.rename, []

    def interrupted(self: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), new_folder(target, ours=["old"], force=True) as work:
        (work / "new").touch()
    assert names(target) == ["old"]
    assert names(tmp_path) == ["out"]


def test_permissions_are_the_umasks_or_those_of_the_file_before(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"")
        write_file(tmp_path / "mine", b"", mode=0o600)
    finally:
        os.umask(mask)
    (tmp_path / "old").touch(mode=0o604)
    (tmp_path / "old").chmod(0o604)
    write_file(tmp_path / "old", b"1")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"new": 0o640, "mine": 0o600, "old": 0o604}


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(pipe, b"content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def interrupted_at(line: int, work: Callable[[], None]) -> bool:
    """Run `work` with Ctrl-C before that line of files.py; whether the line was reached."""
    passed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal passed
        if frame.f_code.co_filename != files.__file__:
            return None
        if event == "line":
            passed += 1
            if passed == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


# a handle that was just opened is closed when nobody holds it any more
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("there", [True, False])
def test_an_interruption_at_any_line_leaves_the_old_folder_or_the_new(there: bool, tmp_path: Path) -> None:
    def replace() -> None:
        with new_folder(target, ours=["old", "older"], force=True) as work:
            for name in ("new", "newer"):
                (work / name).write_bytes(b"1")

    for line in count(1):
        base = tmp_path / str(line)
        target = base / "deep" / "out"
        base.mkdir()
        if there:
            target.mkdir(parents=True)
            for name in ("old", "older"):
                (target / name).touch()
        stopped = interrupted_at(line, replace)
        found = sorted(str(path.relative_to(base)) for path in base.rglob("*"))
        new = ["deep", "deep/out", "deep/out/new", "deep/out/newer"]
        old = ["deep", "deep/out", "deep/out/old", "deep/out/older"] if there else []
        assert found == new or (stopped and found == old), line
        if not stopped:
            break
    assert line > 50


# a handle that was just opened is closed when nobody holds it any more
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("there", [True, False])
def test_an_interruption_at_any_line_leaves_the_old_file_or_the_new(there: bool, tmp_path: Path) -> None:
    for line in count(1):
        target = tmp_path / str(line) / "f"
        target.parent.mkdir()
        if there:
            target.write_bytes(b"old")
        stopped = interrupted_at(line, lambda: write_file(target, b"new"))  # noqa: B023  called at once
        found = {path.name: path.read_bytes() for path in target.parent.iterdir()}
        assert found == {"f": b"new"} or (stopped and found == ({"f": b"old"} if there else {})), line
        if not stopped:
            break
    assert line > 20
