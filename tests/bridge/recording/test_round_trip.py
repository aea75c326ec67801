"""What is recorded comes back as it was, and so do the decisions."""

from __future__ import annotations

import itertools
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.firmware_bridge.recording import layout
from edge_mi.firmware_bridge.recording.layout import RecordingMeta, anonymous, is_recording
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recorder import Recorder
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data
from recordings import HOST_S, META, WALL_S, assert_same, endless, of_format, record, streams

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.decision import Decision
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError, OutputError, RecordError
from edge_mi.records import list_records, read_record, read_signals
from edge_mi.samples import Chunk, Gap, Item
from edge_mi.shipped import shipped_bundle


@given(streams(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_sequence_of_chunks_and_gaps_comes_back_to_the_bit(
    stream: tuple[RecordingMeta, list[tuple[Item, float | None]]], closed: bool
) -> None:
    meta, items = stream
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "night"
        record(folder, items, meta, close=closed)
        recording = Recording.open(folder)
        assert (recording.problem is None) == closed
        assert recording.meta == meta
        assert_same(recording.items(), [item for item, _ in items])
        places = [place for place, _ in recording.placed_items()]
        assert places == sorted(places)
        assert (folder / "ecg.dat").stat().st_size == recording.n_samples * meta.format.bits // 8


def cut(samples_mv: np.ndarray, rate_hz: float, seed: int) -> Iterator[tuple[Item, float]]:
    """A record in pieces of random length, some of them lost."""
    rng = np.random.default_rng(seed)
    at = 0
    while at < len(samples_mv):
        n = int(min(rng.integers(1, 200), len(samples_mv) - at))
        host_s = HOST_S + at / rate_hz + float(rng.exponential(0.02))
        if rng.random() < 0.08:
            yield Gap(t_s=at / rate_hz, n_samples=n, cause="lost"), host_s
        else:
            yield (
                Chunk(t_s=at / rate_hz, samples_mv=samples_mv[at : at + n], rate_hz=rate_hz, index=at),
                host_s,
            )
        at += n


def test_real_lead_i_in_random_pieces(tmp_path: Path) -> None:
    records = list_records(real_data("ptbxl") / "records500")[::400][:12]
    assert records
    for seed, (name, path) in enumerate(records):
        signals = read_signals(path)
        assert signals.codes is not None
        row = signals.leads.index("I")
        items = list(cut(signals.codes[row] / 1000.0, 500.0, seed))
        folder = tmp_path / name.replace("/", "_")
        record(folder, items, of_format(rate_hz=500.0, bits=16))
        assert_same(Recording.open(folder).items(), [item for item, _ in items])


def test_a_real_chest_strap(tmp_path: Path) -> None:
    samples = (
        np.rint(read_record(real_data("polar_h10") / "h10_part1.csv").samples_mv.astype(np.float64) * 1000)
        / 1000
    )
    items = list(cut(samples, 130, 1))
    record(tmp_path / "strap", items, replace(META, placement="chest"))
    assert_same(Recording.open(tmp_path / "strap").items(), [item for item, _ in items])
    with pytest.raises(RecordError, match="no lead I: it was recorded from a strap as worn"):
        read_record(tmp_path / "strap" / "ecg.hea")


def heart(seconds: float, seed: int = 3) -> np.ndarray:
    """Lead I as an H10 sends it."""
    return np.rint(synthetic.ecg(seconds, rate_hz=130.0, seed=seed).lead("I") * 1000) / 1000.0


def test_decisions_of_the_replay_are_those_of_the_live_stream(tmp_path: Path) -> None:
    bundle = Bundle.load(shipped_bundle())
    samples = heart(80)
    samples[4000:4003] = np.nan
    items = list(cut(samples, 130, 5))
    middle = len(items) // 2
    items = [
        (replace(item, contact=not 30 < i < 36) if isinstance(item, Chunk) else item, host_s)
        for i, (item, host_s) in enumerate(items)
    ]
    items.insert(middle, (Gap(t_s=items[middle][0].t_s, n_samples=None, cause="restart"), items[middle][1]))
    detector = Detector(bundle)
    live: list[Decision] = []
    with Recorder.open(tmp_path / "heart", META, wall_s=WALL_S, host_s=HOST_S) as recorder:
        for item, host_s in items:
            recorder.push(item, host_s)
            for decision in detector.push(item):
                live.append(replace(decision, latency_ms=1.5))
                recorder.decision(live[-1])
        for decision in detector.close():
            live.append(decision)
            recorder.decision(decision)
    recording = Recording.open(tmp_path / "heart")
    replayed = list(Detector(bundle).stream(recording.items()))
    assert any(decision.probability is not None for decision in live)
    assert replayed == live
    assert list(recording.decisions()) == live
    assert [each.latency_ms for each in recording.decisions()] == [each.latency_ms for each in live]


def test_codes_that_the_signal_file_cannot_hold_are_kept_in_the_journal_and_said(tmp_path: Path) -> None:
    codes = np.array([5, -32768, 32767, 40_000, -32767, 7])
    chunk = Chunk(t_s=0.0, samples_mv=codes / 1000.0, rate_hz=130, index=0)
    record(tmp_path / "a", [(chunk, HOST_S)], of_format(bits=16))
    recording = Recording.open(tmp_path / "a")
    assert_same(recording.items(), [chunk])
    assert [(each.kind, each.sample) for each in recording.events()] == [("range", 1)]
    stored = read_signals(tmp_path / "a" / "ecg.hea").codes
    assert stored is not None
    assert stored[0].tolist() == [5, -32767, 32767, 32767, -32767, 7]


@pytest.mark.parametrize("value", [0.0004, 1e9, np.inf])
def test_samples_that_are_no_codes_are_refused_and_the_recording_goes_on(
    tmp_path: Path, value: float
) -> None:
    good = Chunk(t_s=0.0, samples_mv=np.array([0.001, np.nan]), rate_hz=130, index=0)
    bad = replace(good, samples_mv=np.array([0.001, value]))
    with Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S) as recorder:
        recorder.push(good, HOST_S)
        with pytest.raises(OutputError, match="cannot be recorded"):
            recorder.push(bad, HOST_S)
        recorder.push(good, HOST_S)
    recording = Recording.open(tmp_path / "a")
    assert recording.problem is None
    assert_same(recording.items(), [good, good])


def test_a_negative_zero_is_a_zero(tmp_path: Path) -> None:
    record(tmp_path / "a", [(Chunk(t_s=0.0, samples_mv=np.array([-0.0]), rate_hz=130, index=0), HOST_S)])
    (item,) = Recording.open(tmp_path / "a").items()
    assert isinstance(item, Chunk)
    assert item.samples_mv.tobytes() == np.zeros(1).tobytes()


def test_another_rate_is_refused(tmp_path: Path) -> None:
    chunk = Chunk(t_s=0.0, samples_mv=np.array([0.001]), rate_hz=128, index=0)
    with (
        Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S) as recorder,
        pytest.raises(OutputError, match="128 Hz in a recording of 130 Hz"),
    ):
        recorder.push(chunk, HOST_S)


def test_a_gap_of_unknown_length_takes_the_time_that_this_machine_saw_pass(tmp_path: Path) -> None:
    one = Chunk(t_s=0.0, samples_mv=np.full(130, 0.001), rate_hz=130, index=0)
    gap = Gap(t_s=1.0, n_samples=None, cause="restart")
    two = Chunk(t_s=1.0, samples_mv=np.full(13, 0.002), rate_hz=130, index=130)
    for host_s, expected in ((HOST_S + 1 + 7.5, 975), (HOST_S + 0.2, 1), (None, 1)):
        folder = tmp_path / f"after{expected}{host_s}"
        record(folder, [(one, HOST_S), (gap, None), (two, host_s)])
        recording = Recording.open(folder)
        assert_same(recording.items(), [one, gap, two])
        assert recording.n_samples == 130 + expected + 13
        event = next(each for each in recording.events() if each.kind == "gap")
        assert (event.sample, event.n_samples, event.estimated) == (130, expected, True)


def test_a_day_is_the_most_that_a_gap_takes_in_the_signal_file(tmp_path: Path) -> None:
    gap = Gap(t_s=0.0, n_samples=10**9, cause="lost")
    record(tmp_path / "a", [(gap, HOST_S)], of_format(rate_hz=10.0, bits=16))
    recording = Recording.open(tmp_path / "a")
    assert recording.n_samples == 864_000
    assert_same(recording.items(), [gap])


def test_events_are_said_once_and_in_order(tmp_path: Path) -> None:
    def decision(t_s: float, state: str, reason: str | None = None) -> Decision:
        return Decision(t_s=t_s, probability=None, state=state, reason=reason, quality=None,  # type: ignore[arg-type]
                        heart_rate_bpm=None, model_id="m")  # fmt: skip

    chunks = [
        Chunk(t_s=i, samples_mv=np.full(130, 0.001), rate_hz=130, index=130 * i, contact=i != 2)
        for i in range(6)
    ]
    with Recorder.open(tmp_path / "a", META, wall_s=WALL_S, host_s=HOST_S) as recorder:
        for i, chunk in enumerate(chunks):
            recorder.push(chunk, HOST_S + i)
        recorder.event("battery", "battery 14 %", HOST_S)
        states = [("undetermined", "warming_up"), ("negative", None), ("negative", None), ("alarm", None)]
        states += [("undetermined", "gap"), ("positive", None)]
        for t_s, (state, reason) in enumerate(states):
            recorder.decision(decision(t_s, state, reason))
        with pytest.raises(ConfigError, match="an event of kind 'gap'"):
            recorder.event("gap", "no", HOST_S)  # type: ignore[arg-type]
    found = [(each.sample, each.text) for each in Recording.open(tmp_path / "a").events()]
    assert found == [
        (0, "contact on"),
        (260, "contact off"),
        (390, "contact on"),
        (780, "battery 14 %"),
        (0, "model m"),
        (0, "undetermined warming_up"),
        (130, "negative"),
        (390, "alarm on"),
        (390, "alarm"),
        (520, "undetermined gap"),
        (650, "alarm off"),
        (650, "positive"),
    ]


def test_a_recording_is_for_its_owner_and_replaces_nothing(tmp_path: Path) -> None:
    record(tmp_path / "a", itertools.islice(endless(1), 20))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").iterdir()}
    assert modes == dict.fromkeys(layout.FILES, 0o600)
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    with pytest.raises(OutputError, match="replaces nothing"):
        record(tmp_path / "a", [])
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    with pytest.raises(OutputError, match="No such file or directory"):
        record(tmp_path / "nowhere" / "a", [])


def test_a_recording_is_known_by_its_folder_and_by_each_of_its_files(tmp_path: Path) -> None:
    record(tmp_path / "a", itertools.islice(endless(1), 20))
    n = Recording.open(tmp_path / "a").n_samples
    for path in (tmp_path / "a", tmp_path / "a" / "ecg", *(tmp_path / "a" / name for name in layout.FILES)):
        assert is_recording(path)
        assert Recording.open(path).n_samples == n
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "ecg.hea").write_text("")
    for path in (tmp_path, tmp_path / "plain", tmp_path / "plain" / "ecg.hea", tmp_path / "none"):
        assert not is_recording(path)
        with pytest.raises(RecordError, match="no recording"):
            Recording.open(path)


def test_no_address_of_a_device_is_written() -> None:
    with pytest.raises(ConfigError, match="names no address"):
        replace(META, device="strap F0:F1:f2:F3:F4:F5")
    word = anonymous("f0:f1:f2:f3:f4:f5")
    assert word == anonymous("F0:F1:F2:F3:F4:F5") != anonymous("F0:F1:F2:F3:F4:F6")
    assert replace(META, device=word).device == word


@pytest.mark.parametrize(
    "changes",
    [{"rate_hz": 0.0}, {"rate_hz": np.nan}, {"codes_per_mv": 0.0}, {"codes_per_mv": np.inf}, {"bits": 8}],
)
def test_what_no_recording_can_have_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        of_format(**changes)


def test_nothing_can_be_added_to_a_closed_recording(tmp_path: Path) -> None:
    recorder = record(tmp_path / "a", [])
    recorder.close()
    with pytest.raises(OutputError, match="has ended"):
        recorder.push(Gap(t_s=0.0, n_samples=1, cause="lost"), HOST_S)
    assert Recording.open(tmp_path / "a").problem is None
