"""Golden outputs: each runner is told whose values it gives, and where it first gives others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_edits import replace_file
from toy import TOY_NET, toy_checkpoint

from edge_mi.bundle import GOLDEN, Bundle
from edge_mi.checkpoint import Checkpoint
from edge_mi.detector import Detector
from edge_mi.errors import BundleError, GoldenMismatch
from edge_mi.frame_ring import mean_of_frames
from edge_mi.golden import (
    FAMILIES,
    KEYS,
    Golden,
    check_runner,
    layer_keys,
    match_golden,
    read_golden,
    verify_golden,
)
from edge_mi.runners.base import Family, Int8Array, Runner
from edge_mi.runners.choose import available_runners, open_runner
from edge_mi.shipped import shipped_bundle, shipped_checkpoint

FAMILY = {"litert": "fast", "litert-ref": "reference", "ort": "fast"}


@cache
def bundle() -> Bundle:
    return Bundle.load(shipped_bundle())


@cache
def opened(name: str) -> Runner:
    return open_runner(bundle(), name)


class Fake:
    """A runner that says it is of one family and takes each answer from a runner of its own."""

    name, library = "fake", "none 1"

    def __init__(self, family: Family, run: str, frames: str, head: str) -> None:
        self.family: Family = family
        self._run, self._frames, self._head = opened(run), opened(frames), opened(head)

    def run(self, window: Int8Array) -> Int8Array:
        return self._run.run(window)

    def frames(self, samples: Int8Array) -> Int8Array:
        return self._frames.frames(samples)

    def head(self, ring: Int8Array) -> Int8Array:
        return self._head.head(ring)


class Shifted(Fake):
    """Right but for one code in the logits of the whole window."""

    def run(self, window: Int8Array) -> Int8Array:
        return (super().run(window) + 1).astype(np.int8)


def with_golden(folder: Path, change: Callable[[Golden], Golden]) -> Bundle:
    shutil.copytree(shipped_bundle(), folder)
    replace_file(folder, GOLDEN, change(read_golden(bundle())).to_bytes())
    return Bundle.load(folder)


@pytest.mark.parametrize("name", available_runners())
def test_every_runner_gives_its_familys_golden_outputs(name: str) -> None:
    match = verify_golden(bundle(), opened(name))
    family = FAMILY[name]
    assert (match.matched, match.mismatch, match.signals) == (family, None, 8)
    assert match.stages == {
        "filter": "both", "window": "both", "input": "both",
        "embedding": family, "logits": family, "logits_whole_window": family,
    }  # fmt: skip


def test_a_runner_of_the_other_family_is_told_which_it_is() -> None:
    fake = Fake("fast", "litert-ref", "litert-ref", "litert-ref")
    match = match_golden(bundle(), fake)
    assert match.matched == "reference"
    assert match.mismatch is not None
    assert match.mismatch.startswith(
        "fake (none 1), family fast, gives the values of family reference; it first differs in the mean of the front"
    )
    for check in (verify_golden, check_runner):
        with pytest.raises(GoldenMismatch, match="gives the values of family reference"):
            check(bundle(), fake)
    with pytest.raises(GoldenMismatch):
        Detector(bundle(), fake)


def test_a_runner_of_neither_family_is_told_where_it_leaves_its_own() -> None:
    match = match_golden(bundle(), Shifted("fast", "litert", "litert", "litert"))
    assert match.matched == "neither"
    assert match.stages["embedding"] == match.stages["logits"] == "fast"
    assert match.stages["logits_whole_window"] == "neither"
    assert match.mismatch is not None
    logits = read_golden(bundle()).logits_fast[0]
    assert match.mismatch.endswith(
        f"gives the values of neither family; it first differs in the logits of the whole-window graph, golden "
        f"signal 0: {(logits + 1).tolist()} instead of {logits.tolist()}"
    )


def test_a_runner_that_mixes_the_families_is_of_neither() -> None:
    match = match_golden(bundle(), Fake("fast", "litert-ref", "litert", "litert"))
    assert (match.matched, match.stages["logits"], match.stages["logits_whole_window"]) == (
        "neither",
        "fast",
        "reference",
    )


def test_families_with_equal_outputs_are_both_matched(tmp_path: Path) -> None:
    def equal(golden: Golden) -> Golden:
        return replace(golden, embedding_reference=golden.embedding_fast, logits_reference=golden.logits_fast)

    match = verify_golden(with_golden(tmp_path / "b", equal), opened("litert"))
    assert match.matched == "both"
    assert {*match.stages.values()} == {"both"}


@pytest.mark.parametrize(
    ("key", "stage"),
    [
        ("signal_uv", "filter"),
        ("filtered_grid", "filter"),
        ("window_grid", "window"),
        ("window_int8", "input"),
        ("embedding_fast", "embedding"),
        ("logits_fast", "logits"),
    ],
)
def test_the_first_stage_that_differs_is_named(key: str, stage: str, tmp_path: Path) -> None:
    def change(golden: Golden) -> Golden:
        values = getattr(golden, key).copy()
        values[1, -1] += 100
        return replace(golden, **{key: values})

    match = match_golden(with_golden(tmp_path / "b", change), opened("litert"))
    assert match.matched == "neither"
    wrong = [name for name, matched in match.stages.items() if matched == "neither"]
    assert wrong[0] == stage
    assert match.mismatch is not None
    assert "golden signal 1" in match.mismatch


def test_golden_signals_are_synthetic_and_differ() -> None:
    golden = read_golden(bundle())
    assert len({row.tobytes() for row in golden.window_int8}) == len(golden.window_int8)


def test_the_families_can_be_told_apart_by_the_shipped_outputs() -> None:
    golden = read_golden(bundle())
    assert not np.array_equal(golden.embedding_fast, golden.embedding_reference)
    assert not np.array_equal(golden.logits_fast, golden.logits_reference)


def test_damaged_golden_outputs_are_refused(tmp_path: Path) -> None:
    shutil.copytree(shipped_bundle(), tmp_path / "b")
    for garbage in (b"", b"PK\x03\x04 not a zip", bundle().content[GOLDEN][:5000]):
        replace_file(tmp_path / "b", GOLDEN, garbage)
        with pytest.raises(BundleError, match="not golden outputs"):
            read_golden(Bundle.load(tmp_path / "b"))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("signal_uv", lambda a: a[:, :900]),
        ("signal_uv", lambda a: a[0]),
        ("signal_uv", lambda a: a[:0]),
        ("filtered_grid", lambda a: a[:3]),
        ("filtered_grid", lambda a: a[:, :982]),
        ("filtered_grid", lambda a: a.astype(np.float64)),
        ("window_grid", lambda a: a[:, 1:]),
        ("window_int8", lambda a: a.astype(np.int16)),
        ("embedding_fast", lambda a: a[:, :-1]),
        ("embedding_reference", lambda a: a.astype(np.float32)),
        ("logits_reference", lambda a: a[:, 0]),
        ("rate_hz", lambda a: 131),
    ],
)
def test_arrays_of_another_shape_or_kind_are_refused(
    key: str, change: Callable[[Any], Any], tmp_path: Path
) -> None:
    damaged = with_golden(
        tmp_path / "b", lambda golden: replace(golden, **{key: change(getattr(golden, key))})
    )
    with pytest.raises(BundleError, match="export the bundle again"):
        verify_golden(damaged, opened("litert"))


@pytest.mark.parametrize("more", [{"colour_fast": 0}, {"conv1_fast": 0}])
def test_arrays_that_are_missing_or_unknown_are_named(more: dict[str, int], tmp_path: Path) -> None:
    values = {key: np.zeros((8, 485, 24), dtype=np.int8) for key in more}
    damaged = with_golden(tmp_path / "b", lambda golden: replace(golden, layers=values))
    with pytest.raises(BundleError, match=r"missing or unknown: .*_fast"):
        read_golden(damaged)


def test_a_full_file_holds_every_layer_and_is_verified(tmp_path: Path) -> None:
    from edge_mi.export.bundle_writer import Extras, write_unchecked
    from edge_mi.export.quantise import quantise

    checkpoint = Checkpoint.load(shipped_checkpoint())
    made, _, _ = write_unchecked(checkpoint, quantise(checkpoint), tmp_path, extras=Extras(golden="full"))
    golden, net = read_golden(made), made.info.net
    assert {key: array.shape for key, array in golden.layers.items()} == {
        f"{conv.name}_{family}": (8, length, conv.out_channels)
        for family in FAMILIES
        for conv, length in zip(net.convs, net.lengths, strict=True)
    }
    assert made.info.files[GOLDEN].bytes < 700_000
    for family in FAMILIES:
        last = golden.layers[f"{net.convs[-1].name}_{family}"]
        means = np.stack([mean_of_frames(frames) for frames in last])
        assert np.array_equal(means, getattr(golden, f"embedding_{family}"))
    for name in available_runners():
        assert verify_golden(made, open_runner(made, name)).stages["frames"] == FAMILY[name]
    fake = Fake("fast", "litert", "litert-ref", "litert")
    assert match_golden(made, fake).stages["frames"] == "reference"


def test_stages_and_layers_never_share_a_name() -> None:
    for net in (bundle().info.net, TOY_NET):
        assert not {*KEYS} & {*layer_keys(net)}


def test_the_same_checkpoint_gives_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from toy import toy_checkpoint\n"
        "from edge_mi.export.golden import make_golden\nfrom edge_mi.export.quantise import quantise\n"
        "c = toy_checkpoint(); print(make_golden(c, quantise(c), 'full').to_bytes().hex())"
    )
    support = str(Path(__file__).parents[1] / "support")
    from edge_mi.export.golden import make_golden
    from edge_mi.export.quantise import quantise

    here = make_golden(toy_checkpoint(), quantise(toy_checkpoint()), "full").to_bytes().hex()
    done = subprocess.run(
        [sys.executable, "-c", code, support], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == here


def test_the_mean_of_frames_rounds_as_both_families() -> None:
    from edge_mi.export.integer_model import _mean_over_frames

    rng = np.random.default_rng(0)
    frames = rng.integers(-128, 128, size=(200, 39, 16)).astype(np.int8)
    means = np.stack([mean_of_frames(each) for each in frames])
    for family, zero_point in (("fast", -128), ("fast", 7), ("reference", -128)):
        assert np.array_equal(means, _mean_over_frames(frames, zero_point, family)[:, 0])  # type: ignore[arg-type]
