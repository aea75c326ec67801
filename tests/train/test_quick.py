"""One pass makes a valid checkpoint, reads no test label, and goes on after a kill to the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train import parts
from edge_mi.train.config import Recipe
from edge_mi.train.crossfit import inner_splits, soft_labels, train_students
from edge_mi.train.device.config import DeviceConfig
from edge_mi.train.finish import QuickRun
from edge_mi.train.parts import RunFolder
from edge_mi.train.quick import train_quick
from edge_mi.train.splits import Folds
from real_data import real_data

from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import ConfigError, StoreError
from edge_mi.files import write_file
from edge_mi.float_model import run_layers
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.signal_design import SignalDesign
from edge_mi.store import StoredRecord, WindowStore, write_store

QUICK = QuickRun(folds=tuple(range(1, 9)), test_fold=9, seed=0, command="edge-mi train quick", resamples=50)


def train(store: Path, run: Path, recipe: Recipe, design: SignalDesign, workers: int = 1) -> bytes:
    out = run.with_suffix(".safetensors")
    train_quick(store, run, QUICK, recipe, design, workers=workers).save(out)
    return out.read_bytes()


@pytest.fixture(scope="module")
def plain(tiny_recipe: Recipe) -> Recipe:
    return replace(tiny_recipe, align=None, teacher=replace(tiny_recipe.teacher, ensemble=1))


@pytest.fixture(scope="module")
def whole(
    toy_store: Path, plain: Recipe, design: SignalDesign, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    run = tmp_path_factory.mktemp("quick") / "whole"
    parts.prepare_torch()
    train(toy_store, run, plain, design)
    return run.with_suffix(".safetensors")


def test_the_checkpoint_can_be_read_back(whole: Path, plain: Recipe, design: SignalDesign) -> None:
    info = Checkpoint.load(whole).info
    assert (info.net, info.signal) == (plain.student.net, design)
    assert set(info.ranges.tensors) == {"input", "conv1", "conv2", "head"}
    assert [p.name for p in info.operating_points] == ["sensitivity_90", "specificity_90", "balanced"]
    assert info.provenance.data[0].records == 96


def test_ranges_come_from_training_records_only(whole: Path, toy_store: Path) -> None:
    ids = Checkpoint.load(whole).info.ranges.window_ids
    folds = {r.record_id: r.fold for r in WindowStore.open(toy_store).records}
    assert len(ids) == len(set(ids)) == 96
    assert 9 not in {folds[name] for name in ids}


def test_the_figures_are_those_of_the_weights(whole: Path, toy_store: Path) -> None:
    """Scored again with numpy from the file: no other network was measured than the one that was written."""
    from edge_mi.metrics import auroc

    checkpoint, store = Checkpoint.load(whole), WindowStore.open(toy_store)
    rows, net = store.rows_of((9,)), checkpoint.info.net
    starts = range(0, 300 - net.window_samples + 1, net.hop_samples)
    signals = store.signals_mv(rows)
    logits = [
        run_layers(net, checkpoint.weights, signals[:, s : s + net.window_samples])["head"][:, 0, 0]
        for s in starts
    ]
    metric = checkpoint.info.metrics[0]
    assert (metric.name, metric.task, metric.n) == ("auroc", "mi_vs_all", 12)
    assert metric.value == pytest.approx(auroc(store.labels[rows], np.mean(logits, axis=0)))


def test_a_toy_that_can_be_learned_is_learned(whole: Path) -> None:
    crossfit = [m for m in Checkpoint.load(whole).info.metrics if m.n == 96 and m.name == "auroc"]
    assert crossfit[0].value > 0.8


@pytest.mark.parametrize("stored", [1, 10, 12])
def test_a_killed_run_goes_on_to_the_same_bytes(
    toy_store: Path,
    plain: Recipe,
    design: SignalDesign,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stored: int,
) -> None:
    """Killed among the teachers, after the last of them, and among the students."""
    written = []

    def write_or_die(path: Path, content: bytes) -> None:
        if len(written) == stored:
            raise KeyboardInterrupt
        written.append(path.name)
        write_file(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_file", write_or_die)
        with pytest.raises(KeyboardInterrupt):
            train(toy_store, tmp_path / "run", plain, design)
    assert len(list((tmp_path / "run" / "parts").glob("*.npz"))) == stored
    assert train(toy_store, tmp_path / "run", plain, design) == whole.read_bytes()


def test_finished_parts_are_not_computed_again(
    toy_store: Path, plain: Recipe, design: SignalDesign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(toy_store, tmp_path / "run", plain, design)
    monkeypatch.setattr(parts, "execute", None)
    # as a kill leaves it, after the part was written
    left = next((tmp_path / "run" / "parts").glob("student*.npz")).with_suffix(".snapshot")
    left.touch()
    assert train(toy_store, tmp_path / "run", plain, design) == first
    assert not left.exists()


def test_another_recipe_gets_other_parts(
    toy_store: Path, plain: Recipe, design: SignalDesign, whole: Path, tmp_path: Path
) -> None:
    train(toy_store, tmp_path / "run", plain, design)
    student = replace(plain.student, fit=replace(plain.student.fit, learning_rate=1e-3))
    changed = replace(plain, student=student)
    assert train(toy_store, tmp_path / "run", changed, design) != whole.read_bytes()


def test_a_damaged_part_is_named(
    toy_store: Path, plain: Recipe, design: SignalDesign, tmp_path: Path
) -> None:
    train(toy_store, tmp_path / "run", plain, design)
    part = next((tmp_path / "run" / "parts").glob("student*.npz"))
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(parts.OutputError, match=rf"{part.name} is damaged"):
        train(toy_store, tmp_path / "run", plain, design)


def test_alignment_changes_the_network_and_gives_a_checkpoint(
    toy_store: Path, tiny_recipe: Recipe, design: SignalDesign, whole: Path, tmp_path: Path
) -> None:
    assert train(toy_store, tmp_path / "run", tiny_recipe, design) != whole.read_bytes()
    Checkpoint.load(tmp_path / "run.safetensors")


def test_a_patch_changes_the_network_alone_and_shares_the_teachers(
    toy_store: Path, tiny_recipe: Recipe, plain: Recipe, design: SignalDesign, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(toy_store, run, plain, design) == whole.read_bytes()
    teachers = set((run / "parts").glob("teacher*"))
    first = train(toy_store, run, plain.with_device(DeviceConfig()), design)
    assert first != whole.read_bytes()
    assert set((run / "parts").glob("teacher*")) == teachers
    assert len(list((run / "parts").glob("student*-device-*"))) == 5
    assert [data.name for data in Checkpoint.load(run.with_suffix(".safetensors")).info.provenance.data] == [
        "toy"
    ]
    again = tmp_path / "again"
    assert train(toy_store, again, plain.with_device(DeviceConfig()), design) == first


def test_alignment_sees_the_patch_too(
    toy_store: Path, tiny_recipe: Recipe, design: SignalDesign, tmp_path: Path
) -> None:
    train(toy_store, tmp_path / "run", tiny_recipe.with_device(DeviceConfig()), design)
    assert len(list((tmp_path / "run" / "parts").glob("align*-device-*"))) == 5


def test_noise_records_are_among_the_data_of_a_checkpoint(
    toy_store: Path, plain: Recipe, design: SignalDesign, tmp_path: Path
) -> None:
    train(toy_store, tmp_path / "run", plain.with_device(DeviceConfig(), real_data("nstdb")), design)
    data = Checkpoint.load(tmp_path / "run.safetensors").info.provenance.data
    assert [(each.name, each.licence) for each in data] == [("toy", "none"), ("NSTDB", "ODC-By-1.0")]


def lie_about(store_path: Path, folds: Folds, path: Path, design: SignalDesign) -> None:
    """A store with false labels in `folds`."""
    store = WindowStore.open(store_path)

    def flipped(record: StoredRecord) -> StoredRecord:
        if record.fold not in folds:
            return record
        return replace(record, mi=not record.mi, norm=False, codes={"X": 0.0}, age_years=20.0)

    write_store(
        path,
        design=design,
        source=store.manifest.source,
        leads=TWELVE_LEADS,
        records=[flipped(record) for record in store.records],
        signals_mv=[codes / 4096 for codes in store.codes],
        samples_per_record=300,
    )


@pytest.mark.parametrize("aligned", [False, True])
def test_lies_about_held_out_records_change_nothing_that_is_said_of_them(
    toy_store: Path, tiny_recipe: Recipe, design: SignalDesign, tmp_path: Path, aligned: bool
) -> None:
    """Neither the student nor any teacher behind it learned from the labels of the folds that it predicts."""
    recipe = tiny_recipe if aligned else replace(tiny_recipe, align=None)
    held_out = inner_splits(QUICK.folds)[1][1]
    lie_about(toy_store, held_out, tmp_path / "store", design)
    said = []
    for path in (toy_store, tmp_path / "store"):
        run = RunFolder(tmp_path / f"run-{len(said)}", path, workers=1)
        splits = inner_splits(QUICK.folds)
        soft = soft_labels(run, recipe, splits, "teachers")
        (students,) = train_students(run, recipe, splits, soft, (0,), (13,), "students")
        said.append(
            [
                part["logits_13"][run.store.rows_of(test)]
                for (_, test), part in zip(splits, students, strict=True)
            ]
        )
    same = [np.array_equal(true, lied) for true, lied in zip(*said, strict=True)]
    # the others did learn from them
    assert same == [False, True, False, False]


def test_labels_of_the_test_fold_decide_nothing_but_its_figures(
    toy_store: Path, plain: Recipe, design: SignalDesign, whole: Path, tmp_path: Path
) -> None:
    lie_about(toy_store, (9,), tmp_path / "store", design)
    train(tmp_path / "store", tmp_path / "run", plain, design)
    mine, other = Checkpoint.load(whole), Checkpoint.load(tmp_path / "run.safetensors")
    for layer in mine.info.net.layer_names:
        assert np.array_equal(mine.weights[layer][0], other.weights[layer][0])
    assert mine.info.calibration == other.info.calibration
    assert mine.info.operating_points == other.info.operating_points
    assert mine.info.ranges == other.info.ranges


def test_the_run_folder_is_for_its_owner_only(whole: Path) -> None:
    assert whole.with_suffix("").stat().st_mode & 0o777 == 0o700


def test_a_test_fold_must_not_be_trained_on() -> None:
    with pytest.raises(ConfigError, match="fold 8 is trained on"):
        replace(QUICK, test_fold=8)


def test_fold_10_is_refused() -> None:
    with pytest.raises(ConfigError, match="fold 10"):
        replace(QUICK, test_fold=10)


def test_a_store_of_another_filter_is_refused(
    toy_store: Path, plain: Recipe, design: SignalDesign, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="another design"):
        train(toy_store, tmp_path / "run", plain, replace(design, resamplers=()))
