"""The linear probe finds the minimum that it says, and says nothing where it learned nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.align import standardise
from edge_mi.train.protocol.outputs import Subset, output_labels
from edge_mi.train.protocol.probe import FRACTIONS, ProbeRequest, logistic_logits, probe
from label_store import infarct_store
from scipy.optimize import minimize

RIDGE = 0.7


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    y = np.stack([x @ rng.normal(size=4) + rng.normal(size=60) > shift for shift in (0.0, 1.0)], axis=1)
    return x, y.astype(np.int64)


def slow_logits(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    def loss(beta: np.ndarray) -> float:
        total = 0.5 * RIDGE * sum(value**2 for value in beta[:-1])
        for row, label in zip(x.astype(float), y, strict=True):
            z = sum(a * b for a, b in zip(row, beta[:-1], strict=True)) + beta[-1]
            total += np.logaddexp(0, z) - label * z
        return float(total)

    beta = minimize(loss, np.zeros(x.shape[1] + 1), tol=1e-10).x
    return x @ beta[:-1] + beta[-1]


def test_the_probe_is_the_minimum_of_its_loss(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = drawn
    logits = logistic_logits(x, y, x, ridge=RIDGE)
    for output in range(2):
        assert logits[:, output] == pytest.approx(slow_logits(x, y[:, output]), abs=1e-3)


def test_an_output_of_one_class_is_nan_and_does_not_touch_the_others(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = drawn
    more = np.column_stack([np.zeros(60, dtype=np.int64), y, np.ones(60, dtype=np.int64)])
    logits = logistic_logits(x, more, x, ridge=RIDGE)
    assert np.isnan(logits[:, [0, 3]]).all()
    assert logits[:, 1:3] == pytest.approx(logistic_logits(x, y, x, ridge=RIDGE), abs=1e-5)


def test_features_are_standardised_on_all_training_records_however_few_have_labels() -> None:
    store = infarct_store()
    features = np.random.default_rng(1).normal(3.0, 5.0, (len(store), 4)).astype(np.float32)
    regimes = ("probe_1", "probe_100")
    request = ProbeRequest(
        regimes=regimes, ridge=RIDGE, train_folds=(1, 2, 3, 4, 5, 6), predict_folds=(7, 8, 9), seed=0
    )
    found = probe(store, request, {"features": features}, Path())
    train, held_out = store.rows_of(request.train_folds), store.rows_of(request.predict_folds)
    given = standardise(features, train)
    labels = output_labels(store)
    for regime in regimes:
        rows = Subset(folds=request.train_folds, fraction=FRACTIONS[regime], seed=0).rows(store)
        expected = logistic_logits(given[rows], labels[rows], given[held_out], ridge=RIDGE)
        np.testing.assert_array_equal(found[regime][held_out], expected)


def test_two_records_that_can_be_told_apart_do_not_run_away() -> None:
    x, y = np.array([[1.0], [-1.0]], dtype=np.float32), np.array([[1], [0]])
    logits = logistic_logits(x, y, x, ridge=1.0)
    assert np.isfinite(logits).all()
    assert logits[0, 0] > 0 > logits[1, 0]


def test_nothing_to_learn_is_nan_throughout() -> None:
    x = np.ones((3, 2), dtype=np.float32)
    assert np.isnan(logistic_logits(x, np.zeros((3, 1), dtype=np.int64), x, ridge=1.0)).all()
