"""Metrics against slow loops and known answers."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_mi import metrics
from edge_mi.errors import ConfigError

labelled = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=60).filter(
    lambda rows: len({y for y, _ in rows}) == 2
)


def split(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([y for y, _ in rows]), np.array([s for _, s in rows], dtype=float)


@given(labelled)
def test_auroc_is_the_share_of_pairs_in_order(rows: list[tuple[int, int]]) -> None:
    y, s = split(rows)
    wins = [(a > b) + 0.5 * (a == b) for a in s[y == 1] for b in s[y == 0]]
    assert metrics.auroc(y, s) == pytest.approx(np.mean(wins))


@given(labelled)
def test_auprc_is_the_mean_precision_at_the_positives(rows: list[tuple[int, int]]) -> None:
    y, s = split(rows)
    precisions = [y[s >= score].mean() for score in s[y == 1]]
    assert metrics.auprc(y, s) == pytest.approx(np.mean(precisions))


@given(labelled, st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_thresholds_keep_what_they_promise(rows: list[tuple[int, int]], wanted: float) -> None:
    y, s = split(rows)
    by_specificity = metrics.threshold_for_specificity(y, s, wanted)
    assert metrics.sensitivity_specificity(y, s, by_specificity)[1] >= wanted
    by_sensitivity = metrics.threshold_for_sensitivity(y, s, wanted)
    assert metrics.sensitivity_specificity(y, s, by_sensitivity)[0] >= wanted
    # and no other threshold is better at the rest
    best = max(
        (
            metrics.sensitivity_specificity(y, s, t)[0]
            for t in s
            if metrics.sensitivity_specificity(y, s, t)[1] >= wanted
        ),
        default=0.0,
    )
    assert metrics.sensitivity_at_specificity(y, s, wanted) == pytest.approx(best)


def test_weights_count_as_copies() -> None:
    y, s, w = [0, 1, 1, 0], [0.1, 0.4, 0.2, 0.3], [1, 2, 3, 4]
    assert metrics.auroc(y, s, w) == pytest.approx(metrics.auroc(np.repeat(y, w), np.repeat(s, w)))


@given(labelled, st.sampled_from([0.5, 0.9]), st.randoms(use_true_random=False))
def test_a_row_of_weights_is_that_many_copies_of_each_record(
    rows: list[tuple[int, int]], specificity: float, random: Random
) -> None:
    y, s = split(rows)
    weights = np.array([[random.randint(0, 3) for _ in rows] for _ in range(3)], dtype=float)
    found = (
        metrics.auroc_of_resamples(y, s, weights),
        metrics.auprc_of_resamples(y, s, weights),
        metrics.sensitivity_of_resamples(y, s, weights, specificity),
    )
    for i, w in enumerate(weights.astype(int)):
        copies = np.repeat(y, w), np.repeat(s, w)
        if len(set(copies[0])) < 2:
            assert np.isnan([values[i] for values in found]).all()
            continue
        plain = (
            metrics.auroc(*copies),
            metrics.auprc(*copies),
            metrics.sensitivity_at_specificity(*copies, specificity),
        )
        assert [values[i] for values in found] == pytest.approx(plain)


@given(labelled)
def test_the_balanced_threshold_is_the_lowest_of_the_best(rows: list[tuple[int, int]]) -> None:
    y, s = split(rows)
    sums = {t: sum(metrics.sensitivity_specificity(y, s, t)) for t in np.unique(s)}
    assert metrics.balanced_threshold(y, s) == min(
        t for t, value in sums.items() if value == max(sums.values())
    )


def test_patients_are_drawn_with_all_their_records() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    s = y + rng.normal(size=60)
    alone = metrics.bootstrap_auroc(y, s, np.arange(60))
    tripled = metrics.bootstrap_auroc(np.repeat(y, 3), np.repeat(s, 3), np.repeat(np.arange(60), 3))
    assert tripled.value == alone.value
    assert (tripled.low, tripled.high) == pytest.approx((alone.low, alone.high))
    assert (tripled.n, alone.n) == (180, 60)


def test_the_interval_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    y, patients = rng.integers(0, 2, 200), rng.integers(0, 120, 200)
    s = 0.5 * y + rng.normal(size=200)
    found = metrics.bootstrap_auroc(y, s, patients, resamples=2000)
    rows_of = [np.flatnonzero(patients == patient) for patient in np.unique(patients)]
    drawn = []
    for _ in range(2000):
        rows = np.concatenate([rows_of[i] for i in rng.integers(0, len(rows_of), len(rows_of))])
        drawn.append(metrics.auroc(y[rows], s[rows]))
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.01)
    assert found.low < found.value < found.high


def test_the_difference_of_equal_scores_is_zero_and_certain() -> None:
    y, s = np.tile([0, 1], 20), np.arange(40.0)
    found = metrics.bootstrap_auroc_difference(y, s, 2 * s, np.arange(40))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_calibration_of_a_known_case() -> None:
    y, p = [0, 0, 1, 1], [0.25, 0.25, 0.25, 0.95]
    assert metrics.expected_calibration_error(y, p) == pytest.approx(0.75 * (1 / 3 - 0.25) + 0.25 * 0.05)
    assert metrics.brier(y, p) == pytest.approx((2 * 0.0625 + 0.5625 + 0.0025) / 4)


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([1, 1], [0.1, 0.2], "one class"),
        ([0, 1], [0.1, np.nan], "not finite"),
        ([0, 2], [0.1, 0.2], "0 or 1"),
        ([0, 1, 1], [0.1, 0.2], "one length"),
    ],
)
def test_what_cannot_be_ranked_is_an_error(labels: list[int], scores: list[float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        metrics.auroc(labels, scores)
