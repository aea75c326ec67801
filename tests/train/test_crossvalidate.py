"""Cross-validation measures every record once, by networks that never saw its patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.train.age_sex import age_sex_logits
from edge_mi.train.align import AlignRequest
from edge_mi.train.as_shipped import OuterSplit, as_shipped
from edge_mi.train.calibrate import fit_platt, operating_points, probabilities
from edge_mi.train.config import Recipe
from edge_mi.train.crossfit import merge_folds
from edge_mi.train.crossvalidate import CrossValidation, Plan, cross_validate
from edge_mi.train.device.config import DeviceConfig
from edge_mi.train.evaluate import Task
from edge_mi.train.finetune import StudentRequest
from edge_mi.train.fold_figures import paired_auroc
from edge_mi.train.parts import Arrays, Part, RunFolder
from edge_mi.train.splits import CROSS_VALIDATION_GROUPS
from edge_mi.train.teacher import TeacherRequest

from edge_mi import strict
from edge_mi.errors import StoreError
from edge_mi.metrics import auroc
from edge_mi.signal_design import SignalDesign
from edge_mi.store import StoredRecord, WindowStore, write_store


@pytest.fixture(scope="module")
def requests() -> list[Any]:
    """What every part of the run of `result` was asked."""
    return []


@pytest.fixture(scope="module")
def result(
    toy_store: Path,
    tiny_recipe: Recipe,
    design: SignalDesign,
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[Any],
) -> CrossValidation:
    compute = RunFolder.compute

    def noted(run: RunFolder, parts: Sequence[Part], label: str) -> list[Arrays]:
        requests.extend(part.request for part in parts)
        return compute(run, parts, label)

    plan = Plan(
        seeds=(0, 1),
        command="edge-mi train cv",
        scratch=True,
        against=replace(tiny_recipe.student.net, name="the-same"),
        device=DeviceConfig(),
        frames=(11,),
        resamples=20,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "compute", noted)
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
        "age_and_sex",
        "lead_i minus age_alone",
        "lead_i minus age_and_sex",
        "lead_i with 11 frames minus 13",
    }


def test_the_same_network_differs_by_nothing_from_itself(result: CrossValidation) -> None:
    same = next(f for f in result.figures if f.subject == "tiny minus the-same")
    assert (same.name, same.value, same.interval) == ("auroc_difference", 0.0, (0.0, 0.0))


def test_the_document_can_be_read_back(result: CrossValidation) -> None:
    assert strict.loads(strict.dumps(result), CrossValidation) == result


def test_no_network_learns_from_a_patient_that_it_or_whom_it_teaches_is_judged_on(
    result: CrossValidation, requests: list[Any], toy_store: Path
) -> None:
    store = WindowStore.open(toy_store)

    def patients(folds: tuple[int, ...]) -> set[str]:
        return set(store.patients[store.rows_of(folds)].tolist())

    for request in requests:
        assert patients(request.train_folds)
        if not isinstance(request, AlignRequest):
            assert not patients(request.train_folds) & patients(request.predict_folds)
        # whatever it teaches or begins, it has not met one group, which alone that may be judged on in the end
        assert any(
            not patients(request.train_folds) & patients(group) for group in CROSS_VALIDATION_GROUPS
        ), request
    students = [request for request in requests if isinstance(request, StudentRequest)]
    judged = {request.predict_folds: request.train_folds for request in students}
    for group in CROSS_VALIDATION_GROUPS:
        assert judged[group] == tuple(fold for fold in range(1, 10) if fold not in group)
    assert {type(request) for request in requests} == {TeacherRequest, AlignRequest, StudentRequest}


@pytest.mark.parametrize(("folds", "named"), [((1, 4, 5), "1,4,5, and 4-5"), ((4, 5, 6), "4-6, and 4-6")])
def test_folds_without_records_are_refused_before_anything_is_trained(
    folds: tuple[int, ...], named: str, toy_store: Path, tiny_recipe: Recipe, design: SignalDesign,
    tmp_path: Path,
) -> None:  # fmt: skip
    source = WindowStore.open(toy_store)
    records, kept = list(source.records), np.flatnonzero(~np.isin(source.folds, folds))
    write_store(
        tmp_path / "store",
        design=design,
        source=source.manifest.source,
        leads=source.manifest.leads,
        records=[records[row] for row in kept],
        signals_mv=[source.codes[row] / 4096 for row in kept],
        samples_per_record=source.manifest.samples_per_record,
    )
    plan = Plan(seeds=(0,), command="edge-mi train cv")
    with pytest.raises(StoreError, match=f"no record of folds {named}") as caught:
        cross_validate(tmp_path / "store", tmp_path / "run", plan, tiny_recipe, design, workers=1)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "run" / "parts").iterdir()) == []


def test_probabilities_and_operating_points_are_judged_on_each_group_and_on_all(
    result: CrossValidation,
) -> None:
    found = {(f.name, f.task): f for f in result.figures if f.subject == "lead_i"}
    shares = [
        f"{what}_of_{point}"
        for point in ("sensitivity_90", "specificity_90", "balanced")
        for what in ("sensitivity", "specificity")
    ]
    for name in ("brier", "expected_calibration_error", *shares):
        groups = [found[name, f"mi_vs_all_folds_{span}"] for span in ("1-3", "4-6", "7-9")]
        whole = found[name, "mi_vs_all"]
        assert sum(group.n for group in groups) == whole.n == 108
        weight = {"sensitivity": lambda f: f.n_positive, "specificity": lambda f: f.n - f.n_positive}.get(
            name.partition("_of_")[0], lambda f: f.n
        )
        if name != "expected_calibration_error":
            pooled = sum(weight(group) * group.value for group in groups) / weight(whole)
            assert whole.value == pytest.approx(pooled)
    assert result.label_rule == "by hand"


def test_map_and_thresholds_of_a_group_come_from_its_training_folds_alone(toy_store: Path) -> None:
    """Other logits for the held-out folds change no other answer and no threshold."""
    store = WindowStore.open(toy_store)
    rng = np.random.default_rng(0)
    logits = store.labels + rng.normal(size=len(store))
    train, held_out = (1, 2, 3, 4, 5, 6), (7, 8, 9)
    asked = store.rows_of(held_out)
    nothing = logits.copy()
    nothing[asked] = np.nan
    found = as_shipped(store, [OuterSplit(train, held_out, logits, nothing)])
    rows = store.rows_of(train)
    calibration = fit_platt(logits[rows], store.labels[rows], "")
    points = operating_points(probabilities(calibration, logits[rows]), store.labels[rows], "")
    p = probabilities(calibration, logits[asked])
    np.testing.assert_array_equal(found.probabilities[asked], p)
    for point in points:
        np.testing.assert_array_equal(found.decisions[point.name][asked], p >= point.threshold)
    assert np.isnan(found.probabilities[rows]).all()


def test_age_and_sex_are_learned_on_other_folds(
    toy_store: Path, design: SignalDesign, tmp_path: Path
) -> None:
    """Where the old are ill in the training folds, the old are ranked first, whatever the held-out labels say."""
    store = WindowStore.open(toy_store)

    def old_are_ill(record: StoredRecord) -> StoredRecord:
        old = record.age_years is not None and record.age_years > 60
        return replace(record, mi=old if record.fold < 7 else not old)

    write_store(
        tmp_path / "store",
        design=design,
        source=store.manifest.source,
        leads=store.manifest.leads,
        records=[old_are_ill(record) for record in store.records],
        signals_mv=[codes / 4096 for codes in store.codes],
        samples_per_record=store.manifest.samples_per_record,
    )
    store = WindowStore.open(tmp_path / "store")
    logits = age_sex_logits(store, [((1, 2, 3, 4, 5, 6), (7, 8, 9))])
    asked = np.flatnonzero(np.isfinite(logits) & np.isfinite(store.ages_years))
    assert set(store.folds[asked]) == {7, 8, 9}
    assert auroc(store.labels[asked], logits[asked]) < 0.1


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


def test_a_difference_is_paired_and_its_second_interval_draws_networks_too(toy_store: Path) -> None:
    store = WindowStore.open(toy_store)
    rng = np.random.default_rng(0)
    everyone = Task("all", np.arange(len(store)))
    good, bad = (store.labels + rng.normal(scale=scale, size=len(store)) for scale in (1.0, 3.0))
    same = paired_auroc(store, everyone, [good, good], [bad, bad], resamples=200)
    assert same.value == pytest.approx(auroc(store.labels, good) - auroc(store.labels, bad))
    assert same.interval == same.with_seeds
    equal = paired_auroc(store, everyone, [good, bad], [good, bad], resamples=200)
    assert (equal.value, equal.interval, equal.with_seeds) == (0, (0, 0), (0, 0))
    unequal = paired_auroc(store, everyone, [good, bad], [good, good], resamples=200)
    assert unequal.interval is not None
    assert unequal.with_seeds is not None
    assert np.ptp(unequal.with_seeds) > np.ptp(unequal.interval)
