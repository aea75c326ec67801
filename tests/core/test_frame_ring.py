"""Only what is new is computed, and the answer is that of the whole window, bit for bit."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.chain.chain import filter_segment
from edge_mi.detector import Detector
from edge_mi.frame_ring import FrameRing
from edge_mi.records import list_records, read_record
from edge_mi.runners.base import Runner
from edge_mi.runners.choose import available_runners, open_runner
from edge_mi.samples import FloatArray
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of


@cache
def bundle() -> Bundle:
    return Bundle.load(shipped_bundle())


@cache
def opened(name: str) -> Runner:
    return open_runner(bundle(), name)


def same_as_whole(name: str, samples_mv: FloatArray, rate_hz: float, left_out: set[int] = frozenset()) -> int:  # type: ignore[assignment]
    """Compare every window of a record; the number of those compared."""
    info, runner = bundle().info, opened(name)
    filtered = info.input.quantise(filter_segment(info.signal, rate_hz, samples_mv))
    ring, compared = FrameRing(info.net), 0
    for i, end in enumerate(range(info.net.window_samples, len(filtered) + 1, info.net.hop_samples)):
        if i in left_out:
            continue
        window = filtered[end - info.net.window_samples : end]
        assert np.array_equal(ring.logits(runner, window, end), runner.run(window))
        compared += 1
    return compared


@pytest.mark.parametrize("name", available_runners())
def test_synthetic_hearts(name: str) -> None:
    for territory in synthetic.TERRITORIES:
        heart = synthetic.ecg(30, rate_hz=130, territory=territory, seed=2).lead("I")
        assert same_as_whole(name, heart, 130) == 21


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 40), max_size=35), st.sampled_from(["litert", "ort"]))
def test_windows_that_are_left_out_are_made_up_for(left_out: set[int], name: str) -> None:
    heart = synthetic.ecg(50, rate_hz=100, seed=4).lead("I")
    assert same_as_whole(name, heart, 100, left_out) == 41 - len(left_out)


@pytest.mark.parametrize("name", ["litert", "ort"])
def test_real_records(name: str) -> None:
    records = list_records(real_data("ptbdb"))
    compared = sum(
        same_as_whole(name, record.samples_mv.astype(np.float64), record.rate_hz)
        for record in (read_record(path) for _, path in records)
    )
    assert compared == 29 + 106


@pytest.mark.parametrize("name", ["litert", "ort"])
def test_the_detector_decides_the_same_either_way(name: str) -> None:
    heart = synthetic.ecg(60, rate_hz=250, territory="inferior", seed=6).lead("I")
    heart[5000:5600] = np.nan  # a hole, after which the ring begins again
    both = [
        list(Detector(bundle(), name, whole_window=whole).stream(chunks_of(heart, 250)))
        for whole in (False, True)
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize("hop_s", [0.2, 0.4, 1.4, 2.0, 7.8])
def test_every_hop_that_can_be_exported(hop_s: float, tmp_path: Path) -> None:
    from edge_mi.export.bundle_writer import write_unchecked
    from edge_mi.export.quantise import quantise

    from edge_mi.checkpoint import Checkpoint
    from edge_mi.shipped import shipped_checkpoint

    checkpoint = Checkpoint.load(shipped_checkpoint()).with_hop(hop_s)
    other, _, _ = write_unchecked(checkpoint, quantise(checkpoint), tmp_path)
    heart = synthetic.ecg(30, rate_hz=130, territory="lateral", seed=3).lead("I")
    for name in ("litert", "ort"):
        both = [
            list(Detector(other, name, whole_window=whole).stream(chunks_of(heart, 130)))
            for whole in (False, True)
        ]
        assert both[0] == both[1]
        assert len(both[0]) == int((30 - (9.83 % hop_s or hop_s)) / hop_s + 1e-9) + 1
