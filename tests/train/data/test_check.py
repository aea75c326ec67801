"""A folder against its list: what is missing, changed or not listed, for downloads and for window stores."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from closed import close
from edge_mi.train.data.check import check_folder
from edge_mi.train.data.sums import ListedFile, part_name
from file_server import format_sums
from heart_store import heart_store
from real_data import real_data

from edge_mi.errors import ConfigError, RecordError, StoreError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hundred small files, so that there is more than one batch."""
    listed = []
    for i in range(200):
        path = tmp_path / f"d{i % 3}" / f"{i:03d}.dat"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([i]) * i)
        relative = path.relative_to(tmp_path).as_posix()
        listed.append(ListedFile(relative, hashlib.sha256(path.read_bytes()).hexdigest()))
    (tmp_path / "SHA256SUMS.txt").write_bytes(format_sums(listed))
    return tmp_path


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_missing_changed_and_not_listed(folder: Path, jobs: int) -> None:
    for i in range(0, 36, 3):
        (folder / f"d0/{i:03d}.dat").unlink()
    (folder / "d1/001.dat").write_bytes(b"\2")
    (folder / "d2/002.dat").write_bytes(b"\2\2\2")
    (folder / "more.txt").touch()
    (folder / "d1" / part_name("199.dat")).touch()
    report = check_folder(folder, jobs=jobs)
    assert (report.listed, report.checked, report.good) == (200, 200, False)
    assert (report.missing, report.changed, report.unlisted, report.unfinished) == (12, 2, 1, 1)
    assert report.first_missing == tuple(f"d0/{i:03d}.dat" for i in range(0, 30, 3))
    assert report.first_changed == ("d1/001.dat", "d2/002.dat")
    assert report.first_unlisted == ("more.txt",)


def test_a_whole_folder_is_good(folder: Path) -> None:
    report = check_folder(folder)
    assert (report.good, report.bytes_checked) == (True, sum(range(200)))


def test_a_part_of_a_collection(folder: Path) -> None:
    shutil.rmtree(folder / "d0")
    report = check_folder(folder, only=["d1/*", "d2/*"])
    assert (report.good, report.checked, report.listed) == (True, 133, 200)


def test_a_folder_in_place_of_a_file_is_a_change(folder: Path) -> None:
    (folder / "d0/000.dat").unlink()
    (folder / "d0/000.dat").mkdir()
    assert check_folder(folder).first_changed == ("d0/000.dat",)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere to check"):
        check_folder(tmp_path / "nowhere")


def test_a_folder_without_a_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither SHA256SUMS\.txt nor manifest\.json"):
        check_folder(tmp_path)


def test_a_list_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS.txt").write_text("hello\n")
    with pytest.raises(RecordError, match="line 1"):
        check_folder(tmp_path)


def test_a_store_against_its_manifest(tmp_path: Path) -> None:
    store = heart_store(tmp_path / "store", records=6, folds=2)
    report = check_folder(store)
    assert (report.kind, report.good, report.unlisted) == ("store", True, 0)
    with (store / "signals.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    (store / "labels.npz").unlink()
    report = check_folder(store)
    assert (report.good, report.first_missing, report.first_changed) == (
        False,
        ("labels.npz",),
        ("signals.npy",),
    )


def test_a_store_with_a_damaged_manifest(tmp_path: Path) -> None:
    store = heart_store(tmp_path / "store", records=6, folds=2)
    (store / "manifest.json").write_text("{}")
    with pytest.raises(StoreError, match=r"manifest\.json"):
        check_folder(store)


@pytest.mark.parametrize("place", ["closed", "closed/x"])
def test_a_folder_that_may_not_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    close(tmp_path / "closed", monkeypatch)
    with pytest.raises(
        ConfigError, match=r"cannot read .*closed.*: Permission denied|there is no|holds neither"
    ):
        check_folder(tmp_path / place)


def test_a_file_of_a_store_that_may_not_be_read_counts_as_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = heart_store(tmp_path / "store", records=6, folds=2)
    opened = io.open

    def refusing(path: Any, *args: Any, **more: Any) -> Any:
        if str(path) == str(store / "labels.npz"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **more)

    monkeypatch.setattr(io, "open", refusing)
    report = check_folder(store)
    assert (report.good, report.first_changed, report.checked) == (False, ("labels.npz",), 2)


@pytest.mark.parametrize(
    "name", ["biosppy_ecg", "cinc2017", "cinc2021", "ludb", "mitdb", "nstdb", "polar_h10", "ptbdb", "ptbxl"]
)
def test_the_real_folders_are_as_listed(name: str) -> None:
    report = check_folder(real_data(name), jobs=2)
    assert report.good
    assert report.unlisted == 0
