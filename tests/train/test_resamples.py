"""All figures share their draws: a resample is the same patients for everybody, and a difference is paired."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.train.bootstrap import bootstrap
from edge_mi.train.resamples import Drawn, Resamples, ends, mean_of, weighted_mean

from edge_mi.errors import ConfigError
from edge_mi.metrics import auroc, auroc_of_resamples

RNG = np.random.default_rng(0)
N = 120
PATIENTS = np.array([f"p{i // 2}" for i in range(N)])
LABELS = (np.arange(N) // 2 % 3 == 0).astype(np.int64)
SCORES = 0.8 * LABELS + RNG.normal(size=(3, N))
ROWS = np.arange(N)


def test_a_draw_is_the_statistic_of_the_drawn_records() -> None:
    draws = Resamples(PATIENTS, 3, resamples=40)
    found = draws.draw(auroc_of_resamples, LABELS, SCORES, ROWS)
    for i in range(40):
        rows = np.repeat(ROWS, draws.weights[i])
        slow = [auroc(LABELS[rows], score[rows]) for score in SCORES]
        assert found.drawn[:, i] == pytest.approx(slow)
    assert found.each == pytest.approx([auroc(LABELS, score) for score in SCORES])


def test_the_interval_is_that_of_the_slow_loop() -> None:
    draws = Resamples(PATIENTS, 3, resamples=1000)
    found = draws.estimate(draws.draw(auroc_of_resamples, LABELS, SCORES, ROWS))
    slow = bootstrap(
        lambda rows: float(np.mean([auroc(LABELS[rows], score[rows]) for score in SCORES])), PATIENTS
    )
    assert found.value == pytest.approx(slow.value)
    assert found.interval == pytest.approx(slow.interval, abs=0.015)


def test_the_records_of_a_patient_are_drawn_together() -> None:
    weights = Resamples(PATIENTS, 1, resamples=20).weights
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])


def test_the_second_interval_draws_the_seeds_too() -> None:
    draws = Resamples(PATIENTS, 3, resamples=400)
    # seeds that lie far apart, patients that do not matter
    apart = Drawn(np.array([0.5, 0.7, 0.9]), np.repeat([[0.5], [0.7], [0.9]], 400, axis=1))
    found = draws.estimate(apart)
    assert found.interval == pytest.approx((0.7, 0.7))
    assert found.with_seeds is not None
    assert found.with_seeds[0] < 0.6
    assert found.with_seeds[1] > 0.8
    assert found.sd == pytest.approx(0.2)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_drawn_seeds_vary_as_means_of_new_seeds_would(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(size=seeds)
    draws = Resamples(PATIENTS, seeds, resamples=20_000)
    found = draws.with_seeds(Drawn(values, np.repeat(values[:, None], 20_000, axis=1)))
    assert found is not None
    assert found.var() == pytest.approx(values.var(ddof=1) / seeds, rel=0.05)
    assert found.mean() == pytest.approx(values.mean(), abs=0.02)


def test_one_seed_has_no_deviation_and_no_second_interval() -> None:
    draws = Resamples(PATIENTS, 1, resamples=50)
    found = draws.estimate(draws.draw(auroc_of_resamples, LABELS, SCORES[:1], ROWS))
    assert (found.sd, found.with_seeds, len(found.each)) == (None, None, 1)
    assert found.interval is not None


def test_equal_scores_differ_by_nothing_in_every_draw() -> None:
    draws = Resamples(PATIENTS, 3, resamples=50)
    one = draws.draw(auroc_of_resamples, LABELS, SCORES, ROWS)
    other = draws.draw(auroc_of_resamples, LABELS, 3 * SCORES + 1, ROWS)
    found = draws.estimate(one - other)
    assert (found.value, found.interval, found.with_seeds) == (0.0, (0.0, 0.0), (0.0, 0.0))


def test_a_single_seed_is_compared_with_each_of_the_others() -> None:
    many, one = Drawn(np.array([0.8, 0.7]), np.zeros((2, 5))), Drawn(np.array([0.6]), np.zeros((1, 5)))
    assert (many - one).each == pytest.approx([0.2, 0.1])


def test_other_numbers_of_seeds_cannot_be_paired() -> None:
    with pytest.raises(ConfigError, match="2 and 3 seeds"):
        Drawn(np.zeros(2), np.zeros((2, 5))) - Drawn(np.zeros(3), np.zeros((3, 5)))


def test_a_mean_leaves_out_what_a_draw_does_not_have() -> None:
    rare = Drawn(np.array([0.6]), np.array([[0.6, np.nan]]))
    common = Drawn(np.array([0.9]), np.array([[0.9, 0.8]]))
    found = mean_of([rare, common], [1.0, 3.0])
    assert found.each == pytest.approx([0.825])
    assert found.drawn[0] == pytest.approx([0.825, 0.8])


def test_draws_without_a_value_give_no_interval() -> None:
    assert ends(np.full(5, np.nan)) is None
    assert ends(np.empty(0)) is None


def test_a_weighted_mean_is_the_mean_of_the_drawn() -> None:
    weights = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    found = weighted_mean(LABELS, np.array([3.0, 6.0, 100.0]), weights)
    assert found[0] == pytest.approx(5.0)
    assert np.isnan(found[1])
