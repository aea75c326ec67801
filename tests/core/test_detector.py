"""Chunking is invisible, a gap is never bridged, and what cannot be judged is not judged (contracts C2, C3, C5)."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.decision import REASONS, Decision
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError, SignalError
from edge_mi.records import read_record
from edge_mi.runners.choose import available_runners
from edge_mi.samples import Chunk, Gap, Item
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of


@cache
def bundle() -> Bundle:
    return Bundle.load(shipped_bundle())


@cache
def ecg(rate_hz: int, seconds: float = 20.0, territory: str = "none") -> np.ndarray:
    return synthetic.ecg(seconds, rate_hz=rate_hz, territory=territory, seed=3).lead("I")


def decisions(items: list[Item], **options: object) -> list[Decision]:
    return list(Detector(bundle(), **options).stream(items))  # type: ignore[arg-type]


def split(
    samples: np.ndarray, rate_hz: float, cuts: list[int], start: int = 0, t0_s: float = 0.0
) -> list[Item]:
    edges = [0, *sorted(c for c in set(cuts) if 0 < c < len(samples)), len(samples)]
    return [
        Chunk(t_s=t0_s + a / rate_hz, samples_mv=samples[a:b], rate_hz=rate_hz, index=start + a)
        for a, b in pairwise(edges)
    ]


def reasons(found: list[Decision]) -> list[str | None]:
    return [d.reason for d in found]


@settings(max_examples=25, deadline=None)
@given(rate=st.sampled_from([100, 130, 250, 512]), data=st.data())
def test_any_chunking_gives_the_same_decisions(rate: int, data: st.DataObject) -> None:
    samples = ecg(rate).copy()
    hole = data.draw(st.none() | st.tuples(st.integers(0, len(samples) - 1), st.integers(1, 3 * rate)))
    if hole is not None:
        samples[hole[0] : hole[0] + hole[1]] = np.nan
    cuts = data.draw(st.lists(st.integers(1, len(samples) - 1), max_size=10))
    assert decisions(split(samples, rate, cuts)) == decisions(split(samples, rate, []))


def test_a_time_on_half_a_microsecond_is_rounded_one_way_in_any_chunking() -> None:
    samples = ecg(512).copy()
    samples[2364:3900] = np.nan
    assert decisions(split(samples, 512, [429])) == decisions(split(samples, 512, []))


def test_one_sample_at_a_time_gives_the_same_decisions() -> None:
    samples = ecg(130, 14.0)
    assert decisions(split(samples, 130, list(range(len(samples))))) == decisions(split(samples, 130, []))


def test_real_records_in_any_chunking_give_the_same_decisions() -> None:
    folder = real_data("ptbxl")
    paths = (
        sorted((folder / "records100").rglob("*.hea"))[:12]
        + sorted((folder / "records500").rglob("*.hea"))[:6]
    )
    rng = np.random.default_rng(0)
    for path in paths:
        record = read_record(path)
        cuts = rng.integers(1, len(record.samples_mv), size=20).tolist()
        samples = np.asarray(record.samples_mv, dtype=np.float64)
        assert decisions(split(samples, record.rate_hz, cuts)) == decisions(
            list(chunks_of(samples, record.rate_hz))
        )


@pytest.mark.parametrize("rate", [100, 125, 128, 130, 200, 250, 256, 300, 360, 500, 512, 1000])
def test_ten_seconds_at_any_rate_give_one_answer(rate: int) -> None:
    found = decisions(split(ecg(rate, 10.0), rate, []))
    assert [d.probability is not None for d in found].count(True) == 1
    assert found[-1].t_s == pytest.approx(bundle().info.net.window_s)


def test_one_decision_a_hop_on_one_grid_of_time() -> None:
    times = [d.t_s for d in decisions(split(ecg(130, 30.0), 130, []))]
    assert np.allclose(np.diff(times), bundle().info.net.hop_s)
    assert times[0] == pytest.approx(bundle().info.net.window_s % 1.0)


def test_times_follow_the_sensors_stamps() -> None:
    late = split(ecg(130), 130, [650], t0_s=1000.0)
    drifted = [
        late[0],
        Chunk(t_s=late[1].t_s + 0.004, samples_mv=late[1].samples_mv, rate_hz=130, index=late[1].index),  # type: ignore[union-attr]
    ]
    plain, moved = decisions(late), decisions(drifted)
    assert [round(b.t_s - a.t_s, 6) for a, b in zip(plain, moved, strict=True)] == [
        0.0 if d.t_s <= 1005.0 else 0.004 for d in plain
    ]
    assert [d.probability for d in plain] == [d.probability for d in moved]


def test_a_gap_is_never_bridged() -> None:
    samples = ecg(130, 30.0)
    first, second = samples[:1950], samples[2600:]
    items: list[Item] = [
        *split(first, 130, []),
        Gap(t_s=15.0, n_samples=650, cause="lost"),
        *split(second, 130, [], start=2600, t0_s=20.0),
    ]
    found = decisions(items)
    answered = [d for d in found if d.probability is not None]
    length = bundle().info.net.window_s
    assert all(d.t_s <= 15.0 or d.t_s - length >= 20.0 - 1e-6 for d in answered)
    after = [d for d in decisions(split(second, 130, [], t0_s=20.0)) if d.probability is not None]
    assert [d for d in answered if d.t_s > 15.0] == after
    assert {d.reason for d in found if 15.0 < d.t_s < 20.0 + length} == {"gap"}


def test_a_long_gap_says_so_once_a_hop_and_not_forever() -> None:
    items: list[Item] = [
        *split(ecg(130, 11.0), 130, []),
        Gap(t_s=11.0, n_samples=130 * 86_400, cause="link_lost"),
    ]
    gaps = [d for d in decisions(items) if d.reason == "gap"]
    assert len(gaps) == int(bundle().info.alarm.span_s / bundle().info.net.hop_s)
    # they go on where the last decision was due, one a hop
    assert [d.t_s for d in gaps[:3]] == [11.83, 12.83, 13.83]


@pytest.mark.parametrize("lost", [2, 3, 4, 5, 6, 9])
def test_a_link_that_loses_every_nth_frame_is_not_silent(lost: int) -> None:
    samples, items, index = ecg(130, 120.0), [], 0
    for i in range(0, len(samples) - 73, 73):
        if i // 73 % lost == 1:
            items.append(Gap(t_s=i / 130, n_samples=73, cause="lost"))
        else:
            items.append(Chunk(t_s=i / 130, samples_mv=samples[i : i + 73], rate_hz=130, index=i))
        index = i + 73
    found = decisions(items)
    times = np.array([d.t_s for d in found])
    assert len(found) == int(index / 130 - 0.83) + 1
    assert np.diff(times) == pytest.approx(1.0, abs=0.0101)  # a sample at the model's rate


@pytest.mark.parametrize("rate_hz", [127.5, 130.0, 132.5])
def test_stamps_of_a_real_clock_give_the_same_times_in_any_chunking(rate_hz: float) -> None:
    samples = ecg(130, 30.0)
    ends = []
    for step in (73, 1300, 3900):
        items = [
            Chunk(t_s=i / rate_hz, samples_mv=samples[i : i + step], rate_hz=rate_hz, index=i)
            for i in range(0, len(samples), step)
        ]
        ends.append([d.t_s for d in decisions(items)])
    assert ends[0] == pytest.approx(ends[1], abs=2e-6)
    assert ends[0] == pytest.approx(ends[2], abs=2e-6)


def test_whoever_stops_listening_early_can_begin_again() -> None:
    detector = Detector(bundle())
    items = split(ecg(130, 20.0), 130, [500])
    for _ in detector.stream(items):
        break
    assert list(detector.stream(items)) == decisions(items)


@pytest.mark.parametrize("t_s", [float("nan"), float("inf")])
def test_a_time_that_is_none_is_an_error(t_s: float) -> None:
    with pytest.raises(SignalError, match="t_s"):
        Chunk(t_s=t_s, samples_mv=np.zeros(5), rate_hz=130, index=0)
    with pytest.raises(SignalError, match="t_s"):
        Gap(t_s=t_s, n_samples=5, cause="lost")


def test_a_restart_of_the_sensor_opens_a_new_segment() -> None:
    items: list[Item] = [
        *split(ecg(130, 12.0), 130, []),
        Gap(t_s=12.0, n_samples=None, cause="restart"),
        *split(ecg(130, 12.0), 130, [], start=5),
    ]
    found = decisions(items)
    assert sum(d.probability is not None for d in found) == 2 * sum(
        d.probability is not None for d in decisions(split(ecg(130, 12.0), 130, []))
    )


def test_missing_samples_are_not_judged() -> None:
    samples = ecg(130, 24.0).copy()
    samples[1560:1600] = np.nan
    found = decisions(split(samples, 130, []))
    assert "not_finite" in reasons(found)
    assert all(d.probability is None for d in found if 12.0 < d.t_s < 12.0 + bundle().info.net.window_s)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda x: x * 0.0, "flat"),
        (lambda x: x * 0.0 + 3.0, "flat"),
        (lambda x: np.where(np.arange(len(x)) > len(x) - 260, x[-260], x), "flat"),
        (lambda x: np.clip(4 * x, -0.6, 0.6), "saturated"),
        (lambda x: x * 1000.0, "wrong_gain"),
        (lambda x: np.random.default_rng(0).normal(scale=0.3, size=len(x)), "noise"),
        (lambda x: np.random.default_rng(0).normal(scale=5.0, size=len(x)), "wrong_gain"),
    ],
)
def test_what_is_no_ecg_is_undetermined_with_its_reason(spoil: object, reason: str) -> None:
    found = decisions(split(spoil(ecg(130, 11.0)), 130, []))  # type: ignore[operator]
    assert found[-1].state == "undetermined"
    assert found[-1].probability is None
    assert found[-1].reason == reason


def test_a_chest_strap_is_not_lead_i() -> None:
    found = decisions(split(ecg(130), 130, []), placement="chest")
    assert set(reasons(found)) == {"not_lead_i"}


@pytest.mark.parametrize("runner", available_runners())
def test_every_runner_answers(runner: str) -> None:
    found = decisions(split(ecg(130, 12.0), 130, []), runner=runner)
    assert found[-1].probability is not None


def test_runners_of_one_family_decide_the_same() -> None:
    if {"litert", "ort"} - set(available_runners()):
        pytest.skip("needs LiteRT and ONNX Runtime")
    for territory in ("none", "anterior", "inferior", "lateral"):
        items = split(ecg(250, 20.0, territory), 250, [])
        assert decisions(items, runner="litert") == decisions(items, runner="ort")


def test_an_infarct_is_likelier_than_a_healthy_heart() -> None:
    def median(territory: str) -> float:
        found = decisions(split(ecg(500, 20.0, territory), 500, []))
        return float(np.median([d.probability for d in found if d.probability is not None]))

    assert median("inferior") > median("none") + 0.1


def test_the_heart_rate_is_right() -> None:
    samples = synthetic.ecg(12.0, rate_hz=250, heart_rate_bpm=83.0, seed=5).lead("I")
    assert decisions(split(samples, 250, []))[-1].heart_rate_bpm == pytest.approx(83.0, abs=3.0)


def test_snapshot_and_restore_continue_where_they_were() -> None:
    items = split(ecg(130, 30.0), 130, list(range(0, 3900, 97)))
    whole = decisions(items)
    detector = Detector(bundle())
    first = [d for item in items[:20] for d in detector.push(item)]
    saved = detector.snapshot()
    detector.push(Gap(t_s=0.0, n_samples=None, cause="restart"))
    other = Detector(bundle())
    other.restore(saved)
    second = [d for item in items[20:] for d in other.push(item)] + other.close()
    assert first + second == whole


def test_closing_makes_ready_for_another_stream() -> None:
    detector = Detector(bundle())
    items = split(ecg(130, 12.0), 130, [])
    assert list(detector.stream(items)) == list(detector.stream(items))


async def test_an_asynchronous_source_gives_the_same() -> None:
    items = split(ecg(130, 12.0), 130, [500, 900])

    async def source():  # type: ignore[no-untyped-def]
        for item in items:
            yield item

    assert [d async for d in Detector(bundle()).astream(source())] == decisions(items)


def test_skipped_samples_without_a_gap_are_an_error() -> None:
    detector = Detector(bundle())
    detector.push(Chunk(t_s=0.0, samples_mv=np.zeros(10), rate_hz=130, index=0))
    with pytest.raises(SignalError, match="starts at sample 11, expected 10"):
        detector.push(Chunk(t_s=0.1, samples_mv=np.zeros(10), rate_hz=130, index=11))


def test_a_rate_that_changes_is_an_error() -> None:
    detector = Detector(bundle())
    detector.push(Chunk(t_s=0.0, samples_mv=np.zeros(10), rate_hz=130, index=0))
    with pytest.raises(SignalError, match="changes from 130 to 250 Hz"):
        detector.push(Chunk(t_s=0.1, samples_mv=np.zeros(10), rate_hz=250, index=10))


def test_an_unknown_placement_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected one of lead-i, chest"):
        Detector(bundle(), placement="wrist")  # type: ignore[arg-type]


@pytest.mark.parametrize("samples", [np.zeros((2, 2)), np.zeros(0)])
def test_a_chunk_that_is_no_row_of_samples_is_an_error(samples: np.ndarray) -> None:
    with pytest.raises(SignalError, match="one row of samples"):
        Chunk(t_s=0.0, samples_mv=samples, rate_hz=130, index=0)


def test_a_decision_is_a_line_of_json_with_its_keys_in_order() -> None:
    found = decisions(split(ecg(130, 12.0), 130, []))
    keys = ["t_s", "probability", "state", "reason", "quality", "heart_rate_bpm", "latency_ms", "model_id"]
    for decision in found:
        assert list(json.loads(decision.to_json())) == keys
        assert decision.reason is None or decision.reason in REASONS
        assert (
            (decision.probability is None)
            == (decision.state == "undetermined")
            == (decision.reason is not None)
        )


def test_latency_is_no_part_of_equality() -> None:
    from dataclasses import replace

    decision = decisions(split(ecg(130, 12.0), 130, []))[-1]
    assert replace(decision, latency_ms=3.0) == decision


def test_memory_of_a_long_stream_does_not_grow() -> None:
    import pickle

    detector = Detector(bundle())
    sizes = []
    for i, chunk in enumerate(chunks_of(np.tile(ecg(130), 12), 130)):
        detector.push(chunk)
        if i % 50 == 49:
            sizes.append(len(pickle.dumps(detector.snapshot()[1])))
    assert max(sizes[2:]) <= 1.2 * sizes[2]
