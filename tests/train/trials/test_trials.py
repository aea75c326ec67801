"""Trials are the recipe with one change each, and are compared with it in pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from edge_mi.train.config import Recipe
from edge_mi.train.finetune import SOFT, Lesson, StudentRequest, train_student
from edge_mi.train.parts import RunFolder
from edge_mi.train.trials.catalogue import ALIGNED, SCRATCH, TRIALS
from edge_mi.train.trials.change import UNCHANGED, Change
from edge_mi.train.trials.compare import run_trials
from edge_mi.train.trials.lesson import ChangedLesson
from edge_mi.train.trials.network import PooledNet
from edge_mi.train.trials.part import TrialRequest, train_changed

from edge_mi.store import WindowStore

GROUPS = ((1, 2, 3, 4), (5, 6, 7, 8, 9))
CHANGES = [
    Change(mixup=0.2), Change(superclasses=0.3), Change(places=0.3), Change(beats=0.3), Change(hard_negatives=1.0),
    Change(ranking=0.5), Change(mixed_leads=0.3), Change(pooling="mean_max"), Change(pooling="mean_deviation"),
]  # fmt: skip


@pytest.fixture(scope="module")
def store(toy_store: Path) -> WindowStore:
    return WindowStore.open(toy_store)


@pytest.fixture(scope="module")
def train(
    store: WindowStore, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., np.ndarray]:
    student = replace(tiny_recipe.student, fit=replace(tiny_recipe.student.fit, epochs=1))
    request = StudentRequest(
        config=student, train_folds=GROUPS[0], predict_folds=GROUPS[1], frames=(student.net.frames,), seed=3
    )
    soft = {SOFT: np.linspace(-1, 1, len(store), dtype=np.float32)}
    snapshot = tmp_path_factory.mktemp("trials") / "snapshot"

    def logits(change: Change | None) -> np.ndarray:
        snapshot.unlink(missing_ok=True)
        if change is None:
            return train_student(store, request, soft, snapshot)[f"logits_{student.net.frames}"]
        return train_changed(store, TrialRequest(student=request, change=change), soft, snapshot)["logits"]

    return logits


def test_no_change_is_the_recipe_itself(train: Callable[..., np.ndarray]) -> None:
    np.testing.assert_array_equal(train(UNCHANGED), train(None))


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_each_change_makes_another_network_that_answers_for_what_is_held_out(
    change: Change, train: Callable[..., np.ndarray], store: WindowStore
) -> None:
    logits = train(change)
    asked = np.isin(store.folds, GROUPS[1])
    np.testing.assert_array_equal(np.isfinite(logits), asked)
    assert not np.array_equal(logits[asked], train(None)[asked])


def lesson(store: WindowStore, recipe: Recipe, change: Change) -> ChangedLesson:
    rows = store.rows_of(GROUPS[0])
    return ChangedLesson(store, rows, recipe.student, np.zeros(len(store), dtype=np.float32), change)


@pytest.fixture
def outputs(store: WindowStore, tiny_recipe: Recipe) -> dict[str, torch.Tensor]:
    heads = lesson(store, tiny_recipe, UNCHANGED).side_heads
    return {
        "mi": torch.linspace(-2, 2, 12),
        **{name: torch.zeros(12, count) for name, count in heads.items()},
    }


def test_hard_negatives_count_once_more(
    store: WindowStore, tiny_recipe: Recipe, outputs: dict[str, torch.Tensor]
) -> None:
    batch = torch.arange(12)
    plain = Lesson.judge(lesson(store, tiny_recipe, UNCHANGED), outputs, batch)
    more = lesson(store, tiny_recipe, Change(hard_negatives=0.5)).judge(outputs, batch)
    each = [
        F.binary_cross_entropy_with_logits(outputs["mi"][i], torch.tensor(float(record.mi)))
        for i in range(12)
        if (record := store.records[i]).mi or not record.norm
    ]
    assert more - plain == pytest.approx(0.5 * float(torch.stack(each).mean()), rel=1e-5)


def test_ranking_looks_at_every_pair_of_an_infarction_and_another_abnormal_record(
    store: WindowStore, tiny_recipe: Recipe, outputs: dict[str, torch.Tensor]
) -> None:
    batch = torch.arange(12)
    plain = Lesson.judge(lesson(store, tiny_recipe, UNCHANGED), outputs, batch)
    more = lesson(store, tiny_recipe, Change(ranking=2.0)).judge(outputs, batch)
    pairs = [
        float(F.softplus(outputs["mi"][j] - outputs["mi"][i]))
        for i in range(12)
        for j in range(12)
        if store.records[i].mi and not store.records[j].mi and not store.records[j].norm
    ]
    assert more - plain == pytest.approx(2 * np.mean(pairs), rel=1e-5)


def test_mixup_mixes_labels_as_it_mixes_signals(
    store: WindowStore, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = replace(tiny_recipe.student.augment, log_gain=0.0, noise_mv=0.0, crop_samples=300)
    recipe = replace(tiny_recipe, student=replace(tiny_recipe.student, augment=still))
    # so large an alpha draws one half every time
    mixed, plain = (lesson(store, recipe, change) for change in (Change(mixup=1e9), UNCHANGED))
    net = PooledNet(recipe.student.net, plain.side_heads, 0.0, "mean").eval()
    batch, order = torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    monkeypatch.setattr(torch, "randperm", lambda count: order)
    views = plain.signals.records_mv(batch)
    with torch.no_grad():
        for head in (net.head, *net.side.values()):
            head.weight *= 100
        outputs = net((views + views[order]) / 2)
        expected = (plain.judge(outputs, batch) + plain.judge(outputs, batch[order])) / 2
        assert mixed.loss(net, batch).item() == pytest.approx(expected.item(), rel=1e-4)
        assert plain.judge(outputs, batch).item() != pytest.approx(expected.item(), rel=1e-2)


def test_trials_are_measured_against_what_they_change(
    toy_store: Path, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    align = tiny_recipe.align
    assert align is not None
    monkeypatch.setitem(
        TRIALS, ALIGNED, replace(TRIALS[ALIGNED], of=lambda recipe: replace(recipe, align=align))
    )
    run = RunFolder(tmp_path, toy_store, workers=1)
    recipe = replace(tiny_recipe, align=None)
    tried = run_trials(run, recipe, ["mixup", ALIGNED], (0, 1), groups=GROUPS, resamples=20)
    assert [(each.name, each.against) for each in tried] == [
        (SCRATCH, ""),
        ("mixup", SCRATCH),
        (ALIGNED, SCRATCH),
    ]
    for each in tried:
        assert [(o.task, o.n, len(o.each)) for o in each.outcomes] == [
            ("mi_vs_all", 108, 2), ("mi_vs_other_abnormal", 72, 2),
        ]  # fmt: skip
    scratch, mixup, _ = (each.outcomes[0] for each in tried)
    assert scratch.minus is None
    assert mixup.minus is not None
    assert mixup.minus.value == pytest.approx(np.mean(mixup.each) - np.mean(scratch.each))


@pytest.mark.parametrize("name", TRIALS)
def test_every_trial_changes_something_and_names_what_it_is_compared_with(name: str) -> None:
    trial = TRIALS[name]
    assert trial.against == SCRATCH or trial.against in TRIALS
    scratch = replace(Recipe(), align=None)
    assert (trial.of(scratch) != scratch) != (trial.change != UNCHANGED)
