"""Retrieval and ST levels judge a frozen encoder on records that nothing was fitted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from edge_mi.train.protocol.evidence import (
    RETRIEVAL_WITHOUT_I,
    RETRIEVALS,
    EvidenceFigure,
    correlation,
    gather_evidence,
    hits,
    r_squared,
    ridge,
)
from edge_mi.train.protocol.result import ProtocolResult
from edge_mi.train.protocol.teachers import without_lead_i
from edge_mi.train.resamples import Resamples
from edge_mi.train.splits import CROSS_VALIDATION_GROUPS
from label_store import infarct_store
from made_up_protocol import made_up_result

STORE = infarct_store()
RNG = np.random.default_rng(1)
RESULT = made_up_result(
    STORE, {"scratch": 1.0, "selfmis": 2.0, "unaligned": 0.2}, seeds=2, regimes=("finetune",)
)
ST_MV = RNG.normal(scale=0.1, size=(len(STORE), 12))
NO_LABELS = np.empty(0, dtype=np.int64)
Found = dict[tuple[str, str | None, str, str], EvidenceFigure]


def evidence(result: ProtocolResult, st_mv: np.ndarray = ST_MV) -> Found:
    draws = Resamples(STORE.patients, len(result.seeds), resamples=60)
    found = gather_evidence(result, STORE, draws, st_mv=st_mv)
    return {(each.method, each.minus, each.name, each.about): each for each in found}


@pytest.fixture(scope="module")
def found() -> Found:
    return evidence(RESULT)


def test_the_own_embedding_is_found_where_it_is_known() -> None:
    embedding = RNG.normal(size=(40, 6))
    np.testing.assert_array_equal(hits(embedding, embedding, 1), np.ones(40))
    assert hits(-embedding, embedding, 5).sum() == 0


@pytest.mark.parametrize("k", [1, 5])
def test_a_constant_prediction_finds_by_chance(k: int) -> None:
    embedding = RNG.normal(size=(40, 6))
    assert hits(np.zeros((40, 6)), embedding, k) == pytest.approx(np.full(40, k / 40))


def test_hits_are_ranks_of_a_slow_loop() -> None:
    predicted, embedding = RNG.normal(size=(30, 4)), RNG.normal(size=(30, 4))
    slow = []
    for i, one in enumerate(predicted):
        cosines = [one @ e / np.linalg.norm(one) / np.linalg.norm(e) for e in embedding]
        slow.append(sorted(cosines, reverse=True).index(cosines[i]) < 5)
    np.testing.assert_array_equal(hits(predicted, embedding, 5), slow)


def test_ridge_sees_the_aims_of_its_own_rows_only() -> None:
    features, aims = RNG.normal(size=(60, 5)), RNG.normal(size=(60, 2))
    rows, wanted = np.arange(40), np.arange(40, 60)
    other = aims.copy()
    other[wanted] = 99.0
    np.testing.assert_array_equal(ridge(features, aims, rows, wanted), ridge(features, other, rows, wanted))


def test_ridge_finds_a_linear_map_up_to_its_shrinkage() -> None:
    features = RNG.normal(size=(4000, 3))
    aims = features @ RNG.normal(size=(3, 2)) + 5.0
    rows, wanted = np.arange(3000), np.arange(3000, 4000)
    predicted = ridge(features, aims, rows, wanted)
    expected = 5.0 + (aims[wanted] - 5.0) / 1.1
    np.testing.assert_allclose(predicted, expected, atol=0.1)


def test_a_feature_that_never_moves_does_no_harm() -> None:
    features = np.column_stack([RNG.normal(size=50), np.full(50, 7.0)])
    assert np.isfinite(ridge(features, features, np.arange(40), np.arange(40, 50))).all()


def test_explained_variance_and_correlation_of_a_draw_are_those_of_its_records() -> None:
    y = RNG.normal(size=50)
    measured = np.stack([y, 0.5 * y + RNG.normal(size=50)], axis=1)
    weights = RNG.integers(0, 4, size=(6, 50))
    r2 = r_squared(NO_LABELS, measured, weights.astype(float))
    r = correlation(NO_LABELS, measured, weights.astype(float))
    for i, w in enumerate(weights):
        a, b = np.repeat(measured, w, axis=0).T
        assert r2[i] == pytest.approx(1 - ((a - b) ** 2).sum() / ((a - a.mean()) ** 2).sum())
        assert r[i] == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_a_constant_prediction_is_not_correlated() -> None:
    measured = np.stack([RNG.normal(size=20), np.zeros(20)], axis=1)
    assert correlation(NO_LABELS, measured, np.ones((1, 20))) == pytest.approx([0.0])


def test_chance_and_the_number_of_candidates_stand_beside_a_retrieval(found: Found) -> None:
    one, five = (found["selfmis", None, f"top_{k}", "retrieval"] for k in (1, 5))
    assert one.candidates == tuple(len(STORE.rows_of(group)) for group in CROSS_VALIDATION_GROUPS)
    assert (one.n, one.chance, five.chance) == (270, pytest.approx(3 / 270), pytest.approx(15 / 270))
    assert one.value < five.value


def test_what_shows_the_embedding_is_told_from_what_does_not(found: Found) -> None:
    difference = found["selfmis", "unaligned", "top_5", "retrieval"]
    assert difference.interval is not None
    assert difference.interval[0] > 0
    aligned, unaligned = (found[name, None, "top_5", "retrieval"] for name in ("selfmis", "unaligned"))
    assert difference.each == pytest.approx(np.subtract(aligned.each, unaligned.each))


def test_the_second_retrieval_is_of_the_embedding_without_lead_i() -> None:
    shown = evidence(replace(RESULT, teacher_without_i=RESULT.teacher))
    for name in ("top_1", "top_5"):
        same = [shown["selfmis", None, name, about] for about in RETRIEVALS]
        assert same[0].each == same[1].each
    noise = evidence(
        replace(RESULT, teacher_without_i=RNG.normal(size=RESULT.teacher.shape).astype(np.float32))
    )
    lost = noise["selfmis", None, "top_5", RETRIEVAL_WITHOUT_I]
    assert lost.interval is not None
    assert lost.interval[0] <= lost.chance + 0.02
    assert lost.value < shown["selfmis", None, "top_5", RETRIEVAL_WITHOUT_I].value / 2


def test_hiding_lead_i_takes_it_and_nothing_else() -> None:
    records = torch.randn(3, 12, 50)
    hidden = without_lead_i(records)
    assert not hidden[:, 0].any()
    assert torch.equal(hidden[:, 1:], records[:, 1:])
    assert records[:, 0].any()


def test_a_method_without_features_is_not_asked(found: Found) -> None:
    assert "scratch" not in {method for method, *_ in found}


def test_an_encoder_that_shows_the_levels_explains_them() -> None:
    levels = np.broadcast_to(ST_MV[None, None].astype(np.float32), (2, 3, len(STORE), 12))
    methods = tuple(
        replace(method, features=tuple(levels)) if method.name == "selfmis" else method
        for method in RESULT.methods
    )
    shown = evidence(replace(RESULT, methods=methods))
    assert shown["selfmis", None, "r2", "mean"].value > 0.95
    assert abs(shown["unaligned", None, "r2", "mean"].value) < 0.15
    gain = shown["selfmis", "st_of_lead_i", "r2", "mean"]
    assert gain.interval is not None
    assert gain.interval[0] > 0.5


def test_lead_i_alone_is_the_baseline(found: Found) -> None:
    levels = ST_MV.copy()
    levels[:, 6] = -2.0 * levels[:, 0]  # V1 follows lead I
    shown = evidence(RESULT, levels)
    assert shown["st_of_lead_i", None, "correlation", "V1"].value == pytest.approx(1.0, abs=1e-3)
    assert abs(found["st_of_lead_i", None, "correlation", "V1"].value) < 0.3


def test_records_without_a_level_are_left_out() -> None:
    levels = ST_MV.copy()
    levels[:9] = np.nan
    assert evidence(RESULT, levels)["selfmis", None, "r2", "V2"].n == 261


def test_without_levels_there_is_retrieval_alone() -> None:
    shown = evidence(RESULT, np.full_like(ST_MV, np.nan))
    assert {about for *_, about in shown} == set(RETRIEVALS)


def test_without_features_there_is_no_evidence() -> None:
    methods = tuple(replace(method, features=()) for method in RESULT.methods)
    assert evidence(replace(RESULT, methods=methods)) == {}
