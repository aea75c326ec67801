"""Cross-validation measures every record once, by networks that never saw its patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.config import Recipe
from edge_mi.train.crossfit import merge_folds
from edge_mi.train.crossvalidate import CrossValidation, Plan, cross_validate
from edge_mi.train.device.config import DeviceConfig
from edge_mi.train.splits import CROSS_VALIDATION_GROUPS

from edge_mi import strict
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore


@pytest.fixture(scope="module")
def result(
    toy_store: Path, tiny_recipe: Recipe, design: SignalDesign, tmp_path_factory: pytest.TempPathFactory
) -> CrossValidation:
    plan = Plan(
        seeds=(0, 1),
        command="edge-mi train cv",
        scratch=True,
        against=replace(tiny_recipe.student.net, name="the-same"),
        device=DeviceConfig(),
        frames=(11,),
        resamples=20,
    )
    return cross_validate(toy_store, tmp_path_factory.mktemp("cv"), plan, tiny_recipe, design, workers=1)


def test_every_record_is_measured_once_by_each_network(result: CrossValidation) -> None:
    headline = result.figures[0]
    assert (headline.subject, headline.name, headline.task) == ("lead_i", "auroc", "mi_vs_all")
    assert (headline.n, headline.n_positive, len(headline.each)) == (108, 36, 2)
    assert headline.value == pytest.approx(np.mean(headline.each))


def test_all_subjects_are_measured(result: CrossValidation) -> None:
    assert {f.subject for f in result.figures} == {
        "lead_i",
        "lead_i_from_scratch",
        "lead_i minus lead_i_from_scratch",
        "lead_i_device",
        "lead_i_device minus lead_i",
        "tiny minus the-same",
        "teacher_12_leads",
        "age_alone",
        "lead_i with 11 frames minus 13",
    }


def test_the_same_network_differs_by_nothing_from_itself(result: CrossValidation) -> None:
    same = next(f for f in result.figures if f.subject == "tiny minus the-same")
    assert (same.name, same.value, same.interval) == ("auroc_difference", 0.0, (0.0, 0.0))


def test_the_document_can_be_read_back(result: CrossValidation) -> None:
    assert strict.loads(strict.dumps(result), CrossValidation) == result


def test_no_patient_is_on_both_sides_of_a_split(toy_store: Path) -> None:
    store = WindowStore.open(toy_store)
    for group in CROSS_VALIDATION_GROUPS:
        inside = np.isin(store.folds, group)
        assert not set(store.patients[inside]) & set(store.patients[~inside])


def test_predictions_of_groups_become_one_and_a_fold_is_predicted_once(toy_store: Path) -> None:
    store = WindowStore.open(toy_store)
    ones, twos = (np.full(len(store), value, dtype=np.float32) for value in (1, 2))
    merged = merge_folds(store, [((1, 2), ones), ((4,), twos)])
    for folds, value in (((1, 2), 1), ((4,), 2)):
        assert set(merged[store.rows_of(folds)]) == {value}
    assert np.isnan(merged[store.rows_of((3, 5, 6, 7, 8, 9))]).all()
    with pytest.raises(ValueError, match="two groups"):
        merge_folds(store, [((1, 2), ones), ((2, 3), twos)])
    with pytest.raises(ValueError, match="was not predicted"):
        merge_folds(store, [((1, 2), ones), ((3,), merged)])
