"""A recording that follows a stream: what it is called, and what the bridge said while it ran."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import wfdb
from edge_mi.firmware_bridge.client import PatchStream
from edge_mi.firmware_bridge.frames import StreamFormat
from edge_mi.firmware_bridge.profile import Profile
from edge_mi.firmware_bridge.profiles import PROFILES
from edge_mi.firmware_bridge.receiver import Heard
from edge_mi.firmware_bridge.recording.edf import export_edf
from edge_mi.firmware_bridge.recording.follow import StreamRecorder
from edge_mi.firmware_bridge.recording.journal import NoteEntry
from edge_mi.firmware_bridge.recording.layout import anonymous
from edge_mi.firmware_bridge.recording.reader import Recording
from recordings import H10, HOST_S

from edge_mi.errors import OutputError
from edge_mi.samples import Chunk

try:
    import pyedflib
except ModuleNotFoundError:
    pyedflib = None

ADDRESS = "F0:F1:F2:F3:F4:F5"


@dataclass(frozen=True, slots=True)
class Found:
    """What a recording asks of a stream."""

    device_name: str = "Polar H10 EDGE0001"
    device_address: str = ADDRESS
    format: StreamFormat = H10
    profile: Profile = PROFILES["h10"]


def following(folder: Path, stream: Any = Found()) -> StreamRecorder:
    return StreamRecorder(folder, cast(PatchStream, stream), "chest")


def second(i: int) -> Heard:
    chunk = Chunk(t_s=float(i), samples_mv=np.arange(130) / 1000.0, rate_hz=130, index=130 * i)
    return Heard(chunk, HOST_S + i)


@pytest.mark.parametrize(
    "name", ["", ADDRESS, f"strap {ADDRESS.lower()}", "F0-F1-F2-F3-F4-F5", f"{ADDRESS}:" * 3 + "00"]
)
def test_a_name_from_the_air_that_has_an_address_in_it_is_not_recorded(name: str, tmp_path: Path) -> None:
    with following(tmp_path / "a", Found(device_name=name)) as recorder:
        recorder.push(second(0))
    assert Recording.open(tmp_path / "a").meta.device == anonymous(ADDRESS)


def test_a_strap_on_the_chest_that_says_lead_i_is_recorded_as_chest(tmp_path: Path) -> None:
    with following(tmp_path / "a", Found(format=replace(H10, lead="I"))) as recorder:
        recorder.push(second(0))
    assert wfdb.rdheader(str(tmp_path / "a" / "ecg")).sig_name == ["chest"]


def test_what_the_bridge_says_is_kept_from_before_the_first_sample_until_the_end(tmp_path: Path) -> None:
    before = ["the link's MTU is 23", f"connected to {ADDRESS}"]
    long = ":".join(["AB"] * 11)  # half of it replaced would be an address with what is left
    with following(tmp_path / "a") as recorder:
        for line in before:
            recorder.note(line)
        assert not (tmp_path / "a").exists()
        recorder.push(second(0))
        recorder.note("the battery is low: 5 %")
        recorder.push(second(1))
        recorder.note(f"the link to {long} was lost")
    closed = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    recorder.note("stopped")
    assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == closed
    recording = Recording.open(tmp_path / "a")
    assert recording.problem is None
    expected = [
        (0, before[0]),
        (0, f"connected to {anonymous(ADDRESS)}"),
        (130, "the battery is low: 5 %"),
        (260, f"the link to {anonymous(long)} was lost"),
    ]
    assert [(each.sample, each.text) for each in recording.events() if each.kind == "link"] == expected
    annotations = wfdb.rdann(str(tmp_path / "a" / "ecg"), "atr")
    assert list(zip(annotations.sample.tolist(), annotations.aux_note, strict=True)) == expected
    times = [each.host_s for each in recording._entries() if isinstance(each, NoteEntry)]
    assert None not in times
    assert times == sorted(times)  # type: ignore[type-var]
    assert times[0] < recording.beginning.host_s < times[2]  # type: ignore[operator]


@pytest.mark.skipif(pyedflib is None, reason="pyEDFlib is not installed: extra edf")
def test_what_the_bridge_says_is_in_the_edf(tmp_path: Path) -> None:
    with following(tmp_path / "a") as recorder:
        recorder.note("connected to Polar H10")
        for i in range(3):
            recorder.push(second(i))
        recorder.note("the link was lost")
    export_edf(Recording.open(tmp_path / "a"), tmp_path / "a.edf")
    with pyedflib.EdfReader(str(tmp_path / "a.edf")) as file:
        times_s, _, texts = file.readAnnotations()
    assert list(zip(times_s, texts, strict=True)) == [
        (0.0, "connected to Polar H10"),
        (3.0, "the link was lost"),
    ]


def test_without_a_sample_nothing_is_made_whatever_was_said(tmp_path: Path) -> None:
    with following(tmp_path / "a") as recorder:
        recorder.note("not connected")
    recorder.note("stopped")
    assert list(tmp_path.iterdir()) == []


def test_after_the_disk_was_full_a_note_does_not_hide_why(tmp_path: Path) -> None:
    with following(tmp_path / "a") as recorder:
        recorder.push(second(0))
        for path in (tmp_path / "a").iterdir():
            path.unlink()
        with pytest.raises(OutputError, match="its files are no longer there"):
            recorder.push(second(1))
        recorder.note("the link was lost")
