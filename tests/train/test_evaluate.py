"""Figures say on whom, how many and how sure; the hard comparisons are among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.bootstrap import bootstrap
from edge_mi.train.evaluate import estimate, evaluate, tasks

from edge_mi.checkpoint import Calibration
from edge_mi.errors import ConfigError
from edge_mi.metrics import auroc, bootstrap_auroc, expected_calibration_error
from edge_mi.store import WindowStore

CALIBRATION = Calibration(method="platt", slope=1.0, offset=-0.7, prevalence=0.33, fitted_on="noise")


@pytest.fixture
def store(toy_store: Path) -> WindowStore:
    return WindowStore.open(toy_store)


@pytest.fixture
def logits(store: WindowStore) -> np.ndarray:
    return store.labels + np.random.default_rng(0).normal(size=len(store))


def test_comparisons_are_against_all_norm_and_the_other_abnormal(store: WindowStore) -> None:
    found = {task.name: task.rows for task in tasks(store, np.arange(len(store)))}
    assert {len(found[f"mi_vs_{other}"]) for other in ("all", "norm", "other_abnormal")} == {108, 72}
    assert not store.norms[found["mi_vs_other_abnormal"]].any()
    assert (store.ages_years[found["mi_vs_all_age_60_to_74"]] < 75).all()


def test_a_figure_has_its_number_interval_and_source(store: WindowStore, logits: np.ndarray) -> None:
    rows = store.rows_of((1, 2, 3, 4))
    metric = evaluate(store, rows, logits, CALIBRATION, source="toy", command="tests", resamples=100)[0]
    assert (metric.name, metric.task, metric.n, metric.n_positive) == ("auroc", "mi_vs_all", 48, 16)
    assert metric.value == pytest.approx(auroc(store.labels[rows], logits[rows]))
    assert metric.interval is not None
    assert metric.interval[0] < metric.value < metric.interval[1]


def test_age_alone_is_a_yardstick_among_records_of_known_age(store: WindowStore, logits: np.ndarray) -> None:
    metrics = evaluate(store, np.arange(108), logits, None, source="toy", command="tests", resamples=20)
    ages = {m.task: m for m in metrics if m.name == "auroc_age_alone"}
    assert (ages["mi_vs_all"].n, ages["mi_vs_all"].arithmetic) == (107, "none")


def test_probabilities_are_judged_only_with_a_map_fitted_elsewhere(
    store: WindowStore, logits: np.ndarray
) -> None:
    rows = np.arange(108)
    without = evaluate(store, rows, logits, None, source="toy", command="tests", resamples=20)
    judged = evaluate(store, rows, logits, CALIBRATION, source="toy", command="tests", resamples=20)
    assert {m.name for m in judged} - {m.name for m in without} == {"brier", "expected_calibration_error"}


def test_the_interval_agrees_with_the_weighted_bootstrap(store: WindowStore, logits: np.ndarray) -> None:
    result = estimate(store, np.arange(108), [logits])
    reference = bootstrap_auroc(store.labels, logits, store.patients)
    assert result.interval == pytest.approx((reference.low, reference.high), abs=0.015)


def test_several_networks_give_their_mean(store: WindowStore, logits: np.ndarray) -> None:
    rows = np.arange(108)
    both = estimate(store, rows, [logits, -logits], resamples=20)
    assert both.value == pytest.approx(0.5)


def test_calibration_error_has_no_interval(store: WindowStore, logits: np.ndarray) -> None:
    p = 1 / (1 + np.exp(-logits))
    assert estimate(store, np.arange(108), [p], expected_calibration_error).interval is None


def test_a_resample_of_one_class_is_left_out() -> None:
    labels = np.array([1, 0, 0, 0])
    scores = np.array([0.9, 0.1, 0.2, 0.3])
    result = bootstrap(lambda rows: auroc(labels[rows], scores[rows]), np.array(list("abcd")), resamples=50)
    assert result.interval == (1.0, 1.0)


def test_no_usable_resample_gives_no_interval() -> None:
    def statistic(rows: np.ndarray) -> float:
        if rows.tolist() != [0, 1]:
            raise ConfigError("one class only")
        return 0.5

    assert bootstrap(statistic, np.array(["a", "a"]), resamples=0).interval is None
