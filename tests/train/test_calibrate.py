"""Calibration finds the map that made the labels; thresholds keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.train.calibrate import fit_platt, operating_points, probabilities, sigmoid

from edge_mi.errors import ConfigError

RNG = np.random.default_rng(1)
LOGITS = RNG.normal(scale=2.0, size=20_000)
LABELS = (RNG.random(20_000) < sigmoid(0.7 * LOGITS - 0.5)).astype(np.int64)


def test_the_map_that_made_the_labels_is_found() -> None:
    calibration = fit_platt(LOGITS, LABELS, "noise")
    assert calibration.slope == pytest.approx(0.7, abs=0.03)
    assert calibration.offset == pytest.approx(-0.5, abs=0.05)
    assert calibration.prevalence == pytest.approx(LABELS.mean())


def test_calibrated_probabilities_have_the_mean_of_the_labels() -> None:
    calibration = fit_platt(LOGITS[:500], LABELS[:500], "noise")
    assert probabilities(calibration, LOGITS[:500]).mean() == pytest.approx(LABELS[:500].mean(), abs=2e-3)


def test_separated_classes_give_a_finite_map() -> None:
    calibration = fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1]), "four")
    assert 0 < calibration.slope < 100


@pytest.mark.parametrize("labels", [np.zeros(4, np.int64), np.ones(4, np.int64)])
def test_one_class_cannot_be_calibrated(labels: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="calibration needs both"):
        fit_platt(np.arange(4.0), labels, "four")


def test_logits_against_the_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="do not rise with the label"):
        fit_platt(-LOGITS, LABELS, "noise")


def test_thresholds_keep_what_they_promise() -> None:
    p = probabilities(fit_platt(LOGITS, LABELS, "noise"), LOGITS)
    points = {point.name: point for point in operating_points(p[:2000], LABELS[:2000], "noise")}
    assert points["sensitivity_90"].sensitivity >= 0.90
    assert points["specificity_90"].specificity >= 0.90
    best = points["balanced"].sensitivity + points["balanced"].specificity
    assert all(best >= point.sensitivity + point.specificity for point in points.values())


def test_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]
