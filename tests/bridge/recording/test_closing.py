"""A recording that is broken off while it is closed or mended: it is whole, or it says that it is not and is mended."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from edge_mi.firmware_bridge.recording.layout import FILES
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recorder import Recorder
from edge_mi.firmware_bridge.recording.recover import recover
from recordings import HOST_S, META, WALL_S, endless
from torn import assert_consistent, assert_prefix, content

from edge_mi.decision import Decision
from edge_mi.samples import Gap, Item

GROWING = ("ecg.dat", "ecg.journal", "ecg.atr", "ecg.dec")


class Cut(BaseException):
    """The end of the program, which nothing in it takes care of."""


class Disk:
    """The system's calls that reach a disk, broken off after `allowed` of them; what each file had when it was synced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.allowed: int | None = None
        self.synced: dict[str, bytes] = {}

    def before_a_step(self) -> None:
        if self.allowed is not None:
            if self.allowed == 0:
                raise Cut
            self.allowed -= 1

    def keep(self, handle: int) -> None:
        there = os.fstat(handle)
        for name in FILES:
            path = self.folder / name
            if path.exists() and os.path.samestat(path.stat(), there):
                self.synced[name] = path.read_bytes()

    def left(self, live: tuple[str, ...], to: Path) -> None:
        """What a cut of power leaves, if of `live` all that was written reached the disk, of others what was synced."""
        shutil.copytree(self.folder, to)
        for name in set(GROWING) - set(live):
            (to / name).write_bytes(self.synced[name])


@contextmanager
def watched(folder: Path) -> Iterator[Disk]:
    disk = Disk(folder)

    def step(call: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any) -> Any:
            disk.before_a_step()
            done = call(*args)
            if call is sync:
                disk.keep(args[0])
            return done

        return stepping

    sync = os.fsync
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pwrite", "fsync", "replace"):
            patch.setattr(os, name, step(getattr(os, name)))
        yield disk


def begun(folder: Path) -> tuple[Recorder, list[Item]]:
    """A recording with all that has a file, to be closed with a gap of unknown length in the end."""
    recorder = Recorder.open(folder, META, wall_s=WALL_S, host_s=HOST_S)
    items: list[Item] = []
    for item, host_s in itertools.islice(endless(3), 25):
        recorder.push(item, host_s + 2.5)
        items.append(item)
        recorder.decision(
            Decision(t_s=item.t_s, probability=0.1, state="negative", reason=None, quality=1.0,
                     heart_rate_bpm=60.0, model_id="m")
        )  # fmt: skip
    recorder.event("link", "the link was lost", HOST_S)
    items.append(Gap(t_s=items[-1].t_s, n_samples=None, cause="link_lost"))
    recorder.push(items[-1], None)
    return recorder, items


def closed(folder: Path) -> dict[str, bytes]:
    begun(folder)[0].close()
    return {name: (folder / name).read_bytes() for name in FILES}


def assert_whole_or_mended(folder: Path, items: list[Item], whole: dict[str, bytes]) -> None:
    """That a recording whose journal has its end is `whole`, and any other is once it is mended."""
    recording = Recording.open(folder)
    n = assert_prefix(recording, items, at_least=1)
    assert recording.ended == (recording.problem is None)
    if recording.ended:
        assert {name: (folder / name).read_bytes() for name in FILES} == whole
    mended = recover(folder)
    assert mended.problem is None
    assert assert_prefix(mended, items) == n
    before = content(folder)
    recover(folder)
    assert content(folder) == before


def test_cut_off_anywhere_in_closing_it_is_whole_or_says_that_it_is_not(tmp_path: Path) -> None:
    whole = closed(tmp_path / "whole")
    for allowed in itertools.count():
        folder = tmp_path / f"after{allowed}"
        with watched(folder) as disk:
            recorder, items = begun(folder)
            disk.allowed = allowed
            try:
                recorder.close()
            except Cut:
                recorder._let_go()
            else:
                break
        for live in [(), *((each,) for each in GROWING), ("ecg.dat", "ecg.journal")]:
            with tempfile.TemporaryDirectory() as work:
                disk.left(live, Path(work) / "a")
                assert_whole_or_mended(Path(work) / "a", items, whole)
        n = assert_prefix(Recording.open(folder), items, at_least=len(items))  # killed, not without power
        assert_consistent(recover(folder), items[:n])
    assert allowed > 10
    assert {name: (folder / name).read_bytes() for name in FILES} == whole


def test_mending_cut_off_anywhere_is_mended_again(tmp_path: Path) -> None:
    begun(tmp_path / "torn")[0]._let_go()
    for allowed in itertools.count():
        folder = tmp_path / f"after{allowed}"
        shutil.copytree(tmp_path / "torn", folder)
        with watched(folder) as disk:
            disk.allowed = allowed
            try:
                recover(folder)
            except Cut:
                pass
            else:
                break
        items = begun(tmp_path / f"again{allowed}")[1]
        assert_consistent(recover(folder), items)
    assert allowed > 10


def test_mended_it_differs_from_a_closed_one_in_nothing_but_the_end_of_its_last_gap(tmp_path: Path) -> None:
    record_of = [tmp_path / "closed", tmp_path / "mended"]
    for folder in record_of:
        recorder, _ = begun(folder)
        recorder.push(next(iter(endless(5)))[0], HOST_S + 60)
        if folder.name == "closed":
            recorder.close()
        else:
            recorder._let_go()
            recover(folder)
    ours, theirs = ({name: (folder / name).read_bytes() for name in FILES} for folder in record_of)
    assert ours == theirs
