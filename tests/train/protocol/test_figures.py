"""Figures say on whom and how many; a type with few positives is greyed and ranks nobody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from edge_mi.train.protocol.comparisons import comparisons
from edge_mi.train.protocol.entrants import Entrant, entrants
from edge_mi.train.protocol.figures import Figure, Judge, pairs
from edge_mi.train.protocol.result import OUTPUTS
from edge_mi.train.resamples import Resamples
from label_store import infarct_store
from made_up_protocol import made_up_result

from edge_mi.metrics import auroc
from edge_mi.store import RecordTable

STORE = infarct_store()
ROWS = np.arange(len(STORE))
RESULT = made_up_result(STORE, {"scratch": 1.0, "selfmis": 1.5, "age-sex": 0.5}, regimes=("finetune",))
EVERYBODY = {entrant.name: entrant for entrant in entrants(RESULT)}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(STORE, ROWS, Resamples(STORE.patients, 3, resamples=100), RESULT.groups)


@pytest.fixture(scope="module")
def figures(judge: Judge) -> dict[str, Figure]:
    return {figure.task: figure for figure in judge.figures(EVERYBODY["selfmis"]) if figure.name == "auroc"}


def constant(entrant: Entrant, rows: np.ndarray, value: float) -> Entrant:
    scores = entrant.scores.copy()
    scores[:, rows] = value
    return replace(entrant, scores=scores)


def test_a_figure_is_the_mean_over_seeds_with_their_deviation(figures: dict[str, Figure]) -> None:
    found = figures["mi_vs_all"]
    each = [auroc(STORE.labels, score[:, 0]) for score in EVERYBODY["selfmis"].scores]
    assert found.each == pytest.approx(each)
    assert found.value == pytest.approx(np.mean(each))
    assert found.sd == pytest.approx(np.std(each, ddof=1))
    assert (found.n, found.n_positive, found.greyed) == (270, 102, False)


@pytest.mark.parametrize(
    ("task", "n", "n_positive", "greyed"),
    [
        ("mi_vs_norm", 102 + 56, 102, False),
        ("recent_mi_vs_no_mi", 168 + 14, 14, True),
        ("old_mi_vs_no_mi", 168 + 14, 14, True),
        ("type_IMI", 270, 54, False),
        ("type_ASMI", 270, 28, False),
        ("type_AMI", 270, 18, True),
    ],
)
def test_every_comparison_counts_its_records(
    figures: dict[str, Figure], task: str, n: int, n_positive: int, greyed: bool
) -> None:
    found = figures[task]
    assert (found.n_positive, found.greyed) == (n_positive, greyed)
    assert found.n == n if task != "mi_vs_norm" else found.n == 102 + int(STORE.norms.sum())
    assert found.value is not None


def test_a_type_without_positives_has_no_figure(figures: dict[str, Figure]) -> None:
    found = figures["type_PMI"]
    assert (found.value, found.each, found.interval, found.n_positive) == (None, (), None, 0)
    assert found.greyed


def test_a_type_that_no_network_saw_is_not_judged_where_it_was_not_seen(figures: dict[str, Figure]) -> None:
    # the only patient with LMI is in group 7 to 9, whose networks never saw one
    found = figures["type_LMI"]
    assert (found.value, found.n_positive) == (None, 0)


def test_the_plain_mean_is_over_the_ranked_types(figures: dict[str, Figure]) -> None:
    found = figures["types_plain_mean"]
    assert found.types == ("ASMI", "IMI")
    expected = (figures["type_ASMI"].value or 0) / 2 + (figures["type_IMI"].value or 0) / 2
    assert found.value == pytest.approx(expected)


def test_the_weighted_mean_is_over_all_types_by_their_positives(figures: dict[str, Figure]) -> None:
    found = figures["types_weighted_mean"]
    weights = {"AMI": 18, "ASMI": 28, "IMI": 54}
    assert found.types == tuple(weights)
    expected = sum(n * (figures[f"type_{name}"].value or 0) for name, n in weights.items()) / 100
    assert found.value == pytest.approx(expected)
    assert found.n_positive == 100


def test_records_without_an_answer_are_left_out(judge: Judge) -> None:
    silent = constant(EVERYBODY["selfmis"], np.arange(30), np.nan)
    found = next(f for f in judge.figures(silent) if f.task == "mi_vs_all")
    assert found.n == 240
    assert found.value == pytest.approx(
        np.mean([auroc(STORE.labels[30:], score[30:, 0]) for score in silent.scores])
    )


def test_a_difference_is_taken_on_the_records_that_both_answer_for(judge: Judge) -> None:
    silent = constant(EVERYBODY["selfmis"], np.arange(30), np.nan)
    found = judge.differences(silent, EVERYBODY["scratch"])[0]
    y = STORE.labels[30:]
    expected = [
        auroc(y, a[30:, 0]) - auroc(y, b[30:, 0])
        for a, b in zip(silent.scores, EVERYBODY["scratch"].scores, strict=True)
    ]
    assert (found.method, found.minus, found.n) == ("selfmis", "scratch", 240)
    assert found.each == pytest.approx(expected)


def test_equal_methods_differ_by_nothing_for_certain(judge: Judge) -> None:
    twin = replace(EVERYBODY["selfmis"], name="twin")
    for found in judge.differences(twin, EVERYBODY["selfmis"]):
        assert (found.value, found.interval, found.interval_with_seeds) == (0.0, (0.0, 0.0), (0.0, 0.0))


def test_a_network_that_answers_nothing_has_rows_without_figures(judge: Judge) -> None:
    found = judge.figures(constant(EVERYBODY["selfmis"], ROWS, np.nan))
    assert {figure.value for figure in found} == {None}


def test_constant_scores_rank_nobody(judge: Judge) -> None:
    found = next(f for f in judge.figures(constant(EVERYBODY["scratch"], ROWS, 1.0)) if f.task == "mi_vs_all")
    assert (found.value, found.interval) == (0.5, (0.5, 0.5))


def test_everybody_is_compared_with_scratch_and_age_and_selfmis_with_everybody() -> None:
    result = made_up_result(
        STORE,
        {"scratch": 1.0, "selfmis": 1.0, "infonce": 1.0, "age-sex": 1.0},
        seeds=1,
        regimes=("probe_1", "finetune"),
    )
    found = [(a.name, b.name) for a, b in pairs(entrants(result)) if a.regime == "finetune"]
    assert sorted(found) == [
        ("infonce", "age-sex"),
        ("infonce", "scratch"),
        ("scratch", "age-sex"),
        ("selfmis", "age-sex"),
        ("selfmis", "infonce"),
        ("selfmis", "scratch"),
    ]
    assert all(a.regime == b.regime for a, b in pairs(entrants(result)))


def test_alignment_is_isolated_by_pairs_that_share_the_rest() -> None:
    names = (
        "scratch", "scratch-long", "selfmis", "selfmis-every-lead", "labels-every-lead", "labels-every-lead-response",
        "edge-mi", "age-sex",
    )  # fmt: skip
    result = made_up_result(STORE, dict.fromkeys(names, 1.0), seeds=1, regimes=("finetune",))
    found = [(a.name, b.name) for a, b in pairs(entrants(result))]
    assert len(set(found)) == len(found)
    assert not {(b, a) for a, b in found} & set(found)
    ours = {b for a, b in found if a == "edge-mi"}
    assert ours == set(names) - {"edge-mi", "selfmis", "labels-every-lead"}
    assert ("selfmis", "edge-mi") in found
    assert ("selfmis-every-lead", "labels-every-lead") in found
    assert {a for a, b in found if b == "scratch-long"} == set(names) - {"scratch", "scratch-long", "age-sex"}


def test_within_groups_a_shift_of_one_network_does_not_count(judge: Judge) -> None:
    plain = EVERYBODY["selfmis"]
    shifted = plain.scores.copy()
    shifted[:, STORE.rows_of(RESULT.groups[0])] += 3.0
    found = {
        f.name: f
        for f in judge.figures(replace(plain, name="shifted", scores=shifted))
        if f.task == "mi_vs_all"
    }
    groups = [STORE.rows_of(group) for group in RESULT.groups]
    expected = [
        np.mean([auroc(STORE.labels[rows], score[rows, 0]) for rows in groups]) for score in plain.scores
    ]
    within = found["auroc_within_groups"]
    assert within.each == pytest.approx(expected)
    assert within.interval is not None
    assert found["auroc"].value < within.value - 0.02
    same = {f.name: f for f in judge.differences(replace(plain, name="moved", scores=shifted), plain)}
    assert same["auroc_within_groups"].value == pytest.approx(0.0)


def test_a_type_counts_only_where_the_label_rule_counts_an_infarction() -> None:
    first = STORE.records[0]
    unlikely = replace(STORE, records=RecordTable.of([replace(first, mi=False), *STORE.records[1:]]))
    asked = {comparison.task: comparison for comparison in comparisons(unlikely, ROWS)}
    assert "IMI" in first.codes
    assert asked["type_IMI"].labels[0] == 0
    assert asked["type_IMI"].output == OUTPUTS.index("IMI")
