"""One probability for a record: mean logit over answered windows, then calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.detector import Detector
from edge_mi.records import write_wfdb
from edge_mi.records.record import Record
from edge_mi.score import score_record, score_signal
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(Bundle.load(shipped_bundle()))


def record(samples: np.ndarray, rate_hz: float = 250.0) -> Record:
    return Record(name="r", lead="I", samples_mv=samples.astype(np.float32), rate_hz=rate_hz)


def test_the_probability_is_that_of_the_mean_logit(detector: Detector) -> None:
    heart = synthetic.ecg(15, rate_hz=250, territory="inferior", seed=1).lead("I").astype(np.float32)
    answers = [
        a for chunk in chunks_of(heart, 250) for a in detector.answers(chunk)
    ] + detector.close_answers()
    logits = [a.logit for a in answers if a.logit is not None]
    score = score_signal(detector, record(heart), "r")
    assert len(logits) == score.windows_answered == score.windows_total == 6
    assert score.probability == pytest.approx(detector.bundle.probability(float(np.mean(logits))))
    assert score.state == (
        "positive" if score.probability >= detector.operating_point.threshold else "negative"
    )


def test_a_record_of_ten_seconds_gets_one_answer(detector: Detector) -> None:
    heart = synthetic.ecg(10, rate_hz=500, seed=1).lead("I")
    score = score_signal(detector, record(heart, 500), "r")
    assert (score.windows_answered, score.windows_total, score.reason) == (1, 1, None)


def test_a_flat_record_says_why_it_says_nothing(detector: Detector) -> None:
    score = score_signal(detector, record(np.zeros(3000)), "r")
    assert (score.probability, score.state, score.reason, score.error) == (None, "undetermined", "flat", None)


def test_a_record_upside_down_gets_no_score_and_says_why(detector: Detector) -> None:
    heart = synthetic.ecg(12, rate_hz=250, seed=1).lead("I")
    score = score_signal(detector, record(-heart), "r")
    assert (score.probability, score.state, score.reason) == (None, "undetermined", "inverted")
    assert (
        score_signal(Detector(detector.bundle, polarity="trust"), record(-heart), "r").probability is not None
    )


def test_a_record_that_is_mostly_upside_down_gets_no_score_from_the_rest(detector: Detector) -> None:
    """The few windows that were answered before it was seen, or after it was put right, are no answer."""
    heart = synthetic.ecg(60, rate_hz=250, seed=1).lead("I")
    mostly, hardly = heart.copy(), heart.copy()
    mostly[11 * 250 :] *= -1
    hardly[: 12 * 250] *= -1
    lost, kept = (score_signal(detector, record(samples), "r") for samples in (mostly, hardly))
    assert (lost.probability, lost.reason) == (None, "inverted")
    assert lost.windows_answered > 0
    assert (kept.reason, kept.state) == (None, "negative")


def test_a_short_record_says_so(detector: Detector) -> None:
    score = score_signal(detector, record(np.zeros(500)), "r")
    assert (score.reason, score.windows_total) == ("warming_up", 0)


def test_one_record_does_not_colour_the_next(detector: Detector) -> None:
    heart = record(synthetic.ecg(12, rate_hz=250, seed=5).lead("I"))
    alone = score_signal(detector, heart, "r")
    score_signal(detector, record(np.full(3000, np.nan)), "r")
    assert score_signal(detector, heart, "r") == alone


def test_a_bad_record_is_a_row_with_its_error(detector: Detector, tmp_path: Path) -> None:
    write_wfdb(tmp_path, "a", ["I"], np.zeros((1, 900), dtype=np.int16), 100, 1000)
    (tmp_path / "a.dat").write_bytes(b"short")
    score = score_record(detector, tmp_path / "a", "a")
    assert score.error is not None
    assert "cut short" in score.error
    assert score.row()[:3] == ("a", "", "undetermined")
