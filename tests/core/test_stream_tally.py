"""What a stream comes to is counted without keeping its decisions."""

from __future__ import annotations

import statistics
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from edge_mi.decision import Decision, Reason
from edge_mi.stream_tally import StreamTally

REASONS: list[Reason] = list(get_args(Reason))


def answered(probability: float, state: Any, bpm: float | None) -> Decision:
    return Decision(
        t_s=10.0,
        probability=probability,
        state=state,
        reason=None,
        quality=1.0,
        heart_rate_bpm=bpm,
        model_id="m",
    )


def withheld(reason: Reason) -> Decision:
    return Decision(
        t_s=10.0,
        probability=None,
        state="undetermined",
        reason=reason,
        quality=None,
        heart_rate_bpm=70.0,
        model_id="m",
    )


DECISIONS = st.one_of(
    st.builds(
        answered,
        st.floats(0, 1),
        st.sampled_from(["negative", "positive", "alarm"]),
        st.none() | st.floats(20, 300),
    ),
    st.builds(withheld, st.sampled_from(REASONS)),
)


@given(st.lists(DECISIONS))
def test_it_says_what_the_list_of_them_says(decisions: list[Decision]) -> None:
    tally = StreamTally()
    for each in decisions:
        tally.add(each)
    found = [each for each in decisions if each.probability is not None]
    assert (tally.windows, tally.answered) == (len(decisions), len(found))
    assert tally.positive == sum(each.state != "negative" for each in found)
    assert tally.alarm == any(each.state == "alarm" for each in decisions)
    assert dict(tally.withheld) == {
        reason: n for reason in REASONS if (n := sum(each.reason == reason for each in decisions))
    }
    rates_bpm = [each.heart_rate_bpm for each in found if each.heart_rate_bpm is not None]
    for median, values, within in (
        (tally.median_probability, [each.probability for each in found], 0.5001e-4),
        (tally.median_heart_rate_bpm, rates_bpm, 0.05001),
    ):
        if values:
            assert median is not None
            assert abs(median - statistics.median(values)) <= within
        else:
            assert median is None


def test_a_day_of_decisions_takes_no_more_memory_than_its_values() -> None:
    tally = StreamTally()
    for i in range(86_400):
        tally.add(answered(i / 86_400, "negative", 40 + i % 1000 / 10))
    assert len(tally._probabilities) <= 10_001
    assert len(tally._rates_bpm) <= 1001
