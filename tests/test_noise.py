"""Noise and long streams: the same noise for every model, the rules beside the figures, and no model on what it saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from edge_mi.benchmarks import noise as noise_command
from edge_mi.benchmarks.fold_models import (
    Fold,
    Model,
    auroc_document,
    hear,
    open_models,
    read_fold,
    ungated_logit,
)
from edge_mi.benchmarks.noise import disturb, noise_sweep
from edge_mi.benchmarks.noise_figures import noise_figures, noise_svg
from edge_mi.benchmarks.spliced import splice, splice_fold, spliced_logits
from edge_mi.train.device.noise import NoiseTracks, load_noise
from edge_mi.train.device.snr import find_beats, noise_power, signal_power
from real_data import real_data
from toy import signal_design

from edge_mi import synthetic
from edge_mi.errors import ConfigError
from edge_mi.records import Record
from edge_mi.score import score_signal
from edge_mi.shipped import shipped_bundle, shipped_checkpoint
from edge_mi.store import RecordTable, StoredRecord


def _heart(i: int, mi: bool) -> Record:
    lead = synthetic.ecg(
        10, rate_hz=100, territory="inferior" if mi else "none", heart_rate_bpm=60 + 5 * i, seed=i
    ).lead("I")
    return Record(name=f"h{i}", lead="I", samples_mv=lead.astype(np.float32), rate_hz=100.0)


@pytest.fixture(scope="module")
def fold() -> Fold:
    """Six hearts, two of them infarcted."""
    stored = tuple(
        StoredRecord(
            record_id=f"h{i}", patient_id=f"p{i}", fold=9, mi=i % 3 == 0, norm=i % 3 != 0, codes={}, age_years=None,
            female=None,
        )
        for i in range(6)
    )  # fmt: skip
    return Fold(9, RecordTable.of(stored), tuple(_heart(i, i % 3 == 0) for i in range(6)), "by hand")


@pytest.fixture(scope="module")
def models(fold: Fold) -> Iterator[list[Model]]:
    words = [f"one={shipped_bundle()}", f"two={shipped_checkpoint()}"]
    with open_models(words, fold) as opened:
        yield opened


@pytest.fixture(scope="module")
def tracks() -> NoiseTracks:
    return load_noise(None).part("test")


@pytest.fixture(scope="module")
def documents(fold: Fold, models: list[Model], tracks: NoiseTracks) -> tuple[dict[str, Any], dict[str, Any]]:
    return noise_sweep(fold, models, tracks, (12.0, -6.0)), splice_fold(fold, models)


def test_a_record_has_the_ratio_that_is_asked_for_and_the_same_crop_at_each(
    fold: Fold, tracks: NoiseTracks
) -> None:
    signal = fold.signals[1]
    clean = signal.samples_mv.astype(np.float64)
    beats = find_beats(clean, 100, signal_design())
    loud, quiet = (disturb(signal, beats, tracks, "ma", snr_db).samples_mv - clean for snr_db in (0.0, 20.0))
    measured = signal_power(clean, 100, beats) / noise_power(loud, 100)
    assert 10 * np.log10(measured) == pytest.approx(0.0, abs=0.01)
    assert np.allclose(loud, 10 * quiet, atol=1e-5)


def test_two_copies_of_a_model_answer_alike_in_every_condition(
    documents: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    noise, spliced = documents
    assert noise["label_rule"] == spliced["label_rule"] == "by hand"
    for condition in noise["conditions"]:
        assert condition["models"]["one"] == condition["models"]["two"]
        assert condition["differences"][0]["ungated"]["value"] == 0
    assert [stream["auroc_in_stream"] for stream in spliced["streams"][:2]] == [
        stream["auroc_in_stream"] for stream in spliced["streams"][2:]
    ]


def test_loud_noise_is_refused_and_measured_all_the_same(
    documents: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    found = {(c["noise"], c["snr_db"]): c["models"]["one"] for c in documents[0]["conditions"]}
    assert found["none", None]["windows_answered"] == found["none", None]["windows"]
    assert found["ma", -6.0]["windows_answered"] < found["ma", -6.0]["windows"]
    assert all(each["auroc_ungated"]["n"] == 6 for each in found.values())


def test_without_the_rules_an_answer_is_the_detectors(fold: Fold, models: list[Model]) -> None:
    for signal in fold.signals:
        score = score_signal(models[0].detector, signal, "x")
        assert score.windows_answered == score.windows_total
        assert ungated_logit(models[0], signal) == pytest.approx(score.logit, abs=1e-12)


def test_a_refused_record_is_still_heard_without_the_rules(fold: Fold, models: list[Model]) -> None:
    flat = replace(fold.signals[0], samples_mv=np.zeros(1000, dtype=np.float32))
    found = hear(models[0], flat)
    assert found.answered is None
    assert found.ungated is not None
    assert found.windows == (0, 1)


def test_a_splice_at_level_has_no_step_and_a_raw_one_is_the_samples(fold: Fold) -> None:
    order = np.array([2, 0, 1, 5, 4, 3])
    raw, level = splice(fold, order, "raw"), splice(fold, order, "level")
    assert np.array_equal(raw, np.concatenate([fold.signals[i].samples_mv for i in order]))
    joints = np.arange(1000, 6000, 1000)
    assert np.allclose(level[joints], level[joints - 1])
    assert np.allclose(np.diff(level)[1:900], np.diff(raw)[1:900])


def test_each_record_is_answered_by_its_own_window(fold: Fold, models: list[Model]) -> None:
    """A stream of the hearts gives each the logit that it has alone, nearly: only the ends of the filter differ."""
    order = np.array([2, 0, 1, 5, 4, 3])
    alone = [score_signal(models[0].detector, signal, "x").logit for signal in fold.signals]
    inside = spliced_logits(fold, models[0], order, "level")
    assert np.corrcoef(np.array(alone, dtype=np.float64), inside)[0, 1] > 0.95
    assert np.isfinite(inside).all()


def test_a_document_becomes_a_section_and_a_plot(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    noise, spliced = (json.loads(json.dumps(document)) for document in documents)
    text = "\n".join(noise_figures(noise, spliced))
    assert "## Noise and long streams" in text
    assert "two minus one" in text
    assert "muscle artefact | -6" in text
    plot = ElementTree.fromstring(noise_svg(noise))
    assert len([part for part in plot.iter() if part.tag.endswith("polyline")]) == 9


def test_one_class_has_no_figure(fold: Fold) -> None:
    logits = np.where(fold.labels == 1, np.nan, 0.5)
    assert auroc_document(fold, logits) is None


@pytest.mark.parametrize("words", [["path"], ["a="], ["a=x", "a=y"]])
def test_models_are_named_once(words: list[str], fold: Fold) -> None:
    with pytest.raises(ConfigError, match="NAME=PATH"), open_models(words, fold):
        pass


def test_a_model_is_not_measured_on_what_it_saw() -> None:
    seen = read_fold(real_data("ptbxl"), 3)
    with pytest.raises(ConfigError, match="trained on fold 3"), open_models([], seen):
        pass


def test_an_unknown_fold_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = real_data("ptbxl")
    out = tmp_path / "noise.json"
    monkeypatch.setattr("sys.argv", ["noise", "--fold", "10", "--data", str(folder), "--out", str(out)])
    assert noise_command.main() == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not out.exists()
