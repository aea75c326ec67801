"""Probabilities come from other records; Platt ships unless another map is better beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.train.calibrate import sigmoid
from edge_mi.train.protocol.calibration_maps import MAPS, beta, constant, isotonic, platt, temperature
from edge_mi.train.protocol.entrants import Entrant
from edge_mi.train.protocol.probabilities import (
    MapFigure,
    Probabilities,
    choose,
    equal_count_error,
    judge_probabilities,
    out_of_fold,
)
from edge_mi.train.protocol.result import OUTPUTS
from edge_mi.train.resamples import Resamples
from edge_mi.train.splits import CROSS_VALIDATION_GROUPS
from label_store import infarct_store

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(scale=2.0, size=20_000)
STORE = infarct_store()
DRAWS = Resamples(STORE.patients, 2, resamples=60)


def drawn(p: np.ndarray) -> np.ndarray:
    return (RNG.random(len(p)) < p).astype(np.int64)


def entrant(scores: np.ndarray) -> Entrant:
    all_outputs = np.repeat(scores[:, :, None], len(OUTPUTS), axis=2)
    return Entrant(name="one", regime="finetune", parameters=1, scores=all_outputs)


@pytest.fixture(scope="module")
def judged() -> Probabilities:
    scores = STORE.labels + RNG.normal(size=(2, len(STORE)))
    found = judge_probabilities(entrant(scores), STORE, CROSS_VALIDATION_GROUPS, DRAWS)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["platt", "beta", "isotonic"])
def test_a_map_finds_the_probabilities_that_made_the_labels(name: str) -> None:
    true = sigmoid(0.7 * LOGITS - 1.0)
    found = MAPS[name](LOGITS, drawn(true))(LOGITS)
    assert np.abs(found - true).mean() < 0.02


def test_temperature_finds_a_slope() -> None:
    found = temperature(LOGITS, drawn(sigmoid(0.5 * LOGITS)))
    assert found(np.array([2.0])) == pytest.approx(sigmoid(np.array([1.0])), abs=0.02)


def test_beta_finds_what_no_slope_and_offset_can() -> None:
    true = sigmoid(-2.0 * np.logaddexp(0.0, -LOGITS) + 0.2 * np.logaddexp(0.0, LOGITS) + 0.5)
    labels = drawn(true)
    errors = {fit: np.abs(fit(LOGITS, labels)(LOGITS) - true).mean() for fit in (platt, beta)}
    assert errors[beta] < 0.5 * errors[platt]


def test_beta_never_falls_with_the_logit() -> None:
    # the best fit without the constraint would fall on one side
    labels = (np.abs(LOGITS) > 2).astype(np.int64)
    found = beta(LOGITS, labels)(np.linspace(-6, 6, 200))
    assert (np.diff(found) >= 0).all()


def test_isotonic_rises_and_is_never_certain() -> None:
    logits = np.round(LOGITS[:300], 1)
    found = isotonic(logits, (logits > 0).astype(np.int64))(np.linspace(-9, 9, 500))
    assert (np.diff(found) >= 0).all()
    assert found.min() == pytest.approx(0.5 / 300)
    assert found.max() == pytest.approx(1 - 0.5 / 300)


def test_equal_logits_get_the_share_of_their_positives() -> None:
    logits = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    assert isotonic(logits, np.array([1, 0, 0, 0, 1, 0]))(np.array([0.0, 1.0])) == pytest.approx([0.25, 0.5])


def test_logits_that_fall_with_the_label_are_worth_the_prevalence() -> None:
    labels = drawn(sigmoid(-LOGITS))
    np.testing.assert_array_equal(platt(LOGITS, labels)(LOGITS), constant(LOGITS, labels)(LOGITS))


def test_the_prevalence_alone_is_the_reference(judged: Probabilities) -> None:
    by_name = {found.calibration: found for found in judged.maps}
    share = STORE.labels.mean()
    assert by_name["prevalence"].brier == pytest.approx(share * (1 - share), abs=0.005)
    assert by_name["platt"].brier < by_name["prevalence"].brier
    assert (by_name["platt"].log_loss_minus_platt, by_name["platt"].log_loss_minus_platt_interval) == (
        0.0,
        (0.0, 0.0),
    )


def test_calibration_helps_where_the_network_is_sure_of_itself(judged: Probabilities) -> None:
    by_name = {found.calibration: found for found in judged.maps}
    assert by_name["platt"].ece_width < by_name["none"].ece_width
    assert by_name["platt"].log_loss < by_name["none"].log_loss


def test_points_keep_roughly_what_they_promise_on_others(judged: Probabilities) -> None:
    points = {point.name: point for point in judged.points}
    assert points["sensitivity_90"].sensitivity == pytest.approx(0.90, abs=0.08)
    assert points["specificity_90"].specificity == pytest.approx(0.90, abs=0.08)
    low, high = points["balanced"].sensitivity_interval or (1.0, 0.0)
    assert low < points["balanced"].sensitivity < high


def test_bins_hold_every_record_once(judged: Probabilities) -> None:
    for bins in (judged.before, judged.after):
        assert sum(point.n for point in bins) == pytest.approx(len(STORE))
        assert sum(point.n * point.frequency for point in bins) == pytest.approx(STORE.labels.sum())


def test_the_labels_of_a_group_do_not_touch_its_own_probabilities() -> None:
    score, half = LOGITS[:400], np.arange(200)
    splits = [(half + 200, half), (half, half + 200)]
    labels = drawn(sigmoid(score))
    flipped = np.where(np.arange(400) < 200, 1 - labels, labels)
    before, after = (out_of_fold(platt, score, each, splits) for each in (labels, flipped))
    np.testing.assert_array_equal(before[:200], after[:200])
    assert not np.isclose(before[200:], after[200:]).any()


def test_a_method_without_answers_has_no_probabilities() -> None:
    silent = entrant(np.full((2, len(STORE)), np.nan))
    assert judge_probabilities(silent, STORE, CROSS_VALIDATION_GROUPS, DRAWS) is None


def figure(name: str, loss: float, interval: tuple[float, float] | None) -> MapFigure:
    return MapFigure(
        calibration=name,
        log_loss=loss,
        log_loss_interval=None,
        log_loss_minus_platt=loss - 0.4,
        log_loss_minus_platt_interval=interval,
        brier=0.1,
        brier_interval=None,
        ece_width=0.0,
        ece_count=0.0,
    )


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ([figure("platt", 0.4, (0.0, 0.0)), figure("beta", 0.39, (-0.02, 0.001))], "platt"),
        ([figure("platt", 0.4, (0.0, 0.0)), figure("beta", 0.39, (-0.02, -0.001))], "beta"),
        ([figure("beta", 0.39, (-0.02, -0.001)), figure("isotonic", 0.38, (-0.03, -0.01))], "isotonic"),
        ([figure("platt", 0.4, None), figure("none", 0.1, (-0.4, -0.2))], "platt"),
    ],
)
def test_another_map_ships_only_where_it_is_better_beyond_chance(
    maps: list[MapFigure], expected: str
) -> None:
    assert choose(maps) == expected


def test_the_error_over_bins_of_equal_count_of_a_known_case() -> None:
    labels, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.5, 0.9])
    assert equal_count_error(labels, p, 2) == pytest.approx((0.2 + 0.3) / 2)
