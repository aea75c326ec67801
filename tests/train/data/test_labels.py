"""One label rule for all: what it calls positive, negative and neither, and what a threshold can and cannot do."""

from __future__ import annotations

import pytest
from edge_mi.train.data.collection import LabelRule
from edge_mi.train.data.labels import NOT_NORMAL, UNSURE, Label, LeftOut, describe, judge
from hypothesis import given
from hypothesis import strategies as st

from edge_mi.errors import ConfigError

INFARCTION = ("IMI", "ASMI")
# whole numbers: training switches subnormal floats off, without which hypothesis refuses to draw floats
LIKELIHOODS = st.integers(0, 100)
CODES = st.dictionaries(
    st.sampled_from(["IMI", "ASMI", "POSSIBLE", "NORM", "NDT"]),
    st.sampled_from([0.0, 15.0, 35.0, 50.0, 80.0, 100.0]),
)


def judged(codes: dict[str, float], rule: LabelRule) -> Label | LeftOut:
    return judge(codes, rule, infarction=INFARCTION, possible=("POSSIBLE",), normal="NORM" in codes)


@pytest.mark.parametrize(
    ("codes", "likelihood", "expected"),
    [
        ({"IMI": 35.0}, 0, Label(mi=True, norm=False)),
        ({"IMI": 0.0}, 0, Label(mi=True, norm=False)),
        ({"IMI": 35.0}, 50, LeftOut(UNSURE)),
        ({"IMI": 0.0, "NORM": 100.0}, 50, LeftOut(UNSURE)),
        ({"IMI": 35.0, "ASMI": 50.0}, 50, Label(mi=True, norm=False)),
        ({"POSSIBLE": 100.0}, 0, LeftOut(UNSURE)),
        ({"POSSIBLE": 100.0, "IMI": 100.0}, 0, Label(mi=True, norm=False)),
        ({"NORM": 80.0}, 100, Label(mi=False, norm=True)),
        ({"NDT": 100.0}, 0, Label(mi=False, norm=False)),
        ({}, 0, Label(mi=False, norm=False)),
    ],
)
def test_the_rule_by_example(codes: dict[str, float], likelihood: float, expected: Label | LeftOut) -> None:
    assert judged(codes, LabelRule(likelihood=likelihood)) == expected


def test_with_normal_negatives_the_abnormal_rest_is_left_out() -> None:
    rule = LabelRule(negatives="norm")
    assert judged({"NDT": 100.0}, rule) == LeftOut(NOT_NORMAL)
    assert judged({"NORM": 100.0}, rule) == Label(mi=False, norm=True)


@given(CODES, LIKELIHOODS, LIKELIHOODS, st.sampled_from(["all", "norm"]))
def test_a_higher_threshold_only_leaves_positives_out(
    codes: dict[str, float], one: int, other: int, negatives: str
) -> None:
    low, high = sorted((one, other))
    before = judged(codes, LabelRule(likelihood=low, negatives=negatives))
    after = judged(codes, LabelRule(likelihood=high, negatives=negatives))
    assert after == before or (before == Label(mi=True, norm=False) and after == LeftOut(UNSURE))


@given(CODES, LIKELIHOODS)
def test_the_choice_of_negatives_never_touches_a_positive(codes: dict[str, float], likelihood: float) -> None:
    every = judged(codes, LabelRule(likelihood=likelihood))
    normal = judged(codes, LabelRule(likelihood=likelihood, negatives="norm"))
    assert normal == every or (every == Label(mi=False, norm=False) and normal == LeftOut(NOT_NORMAL))


@given(CODES, LIKELIHOODS)
def test_no_record_is_both(codes: dict[str, float], likelihood: float) -> None:
    found = judged(codes, LabelRule(likelihood=likelihood))
    assert not (isinstance(found, Label) and found.mi and found.norm)


@pytest.mark.parametrize("likelihood", [-1, 101, float("nan")])
def test_a_likelihood_is_a_percentage(likelihood: float) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 100"):
        LabelRule(likelihood=likelihood)


def test_negatives_are_all_or_norm() -> None:
    with pytest.raises(ConfigError, match="'some'; expected all or norm"):
        LabelRule(negatives="some")  # type: ignore[arg-type]


def test_every_rule_has_a_sentence_of_its_own() -> None:
    rules = [LabelRule(likelihood=x, negatives=n) for x in (0, 50, 100) for n in ("all", "norm")]
    sentences = {describe(rule, infarction="a code", normal="NORM") for rule in rules}
    assert len(sentences) == len(rules)
    assert all("\n" not in sentence for sentence in sentences)


def test_the_sentence_says_what_is_left_out() -> None:
    sentence = describe(
        LabelRule(likelihood=50, negatives="norm"), infarction="a code", normal="NORM", possible="a doubt"
    )
    assert "at a likelihood of 50 % or more" in sentence
    assert "left out, where nothing else says mi: a doubt and such a statement below that" in sentence
    assert "negatives: norm only" in sentence
