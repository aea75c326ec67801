"""From a record's statements to positive, negative or left out: one rule for every collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from edge_mi.store import Stage

from .collection import LabelRule

STATED: Final = 100.0  # the likelihood of a statement whose source gives it outright
UNSURE: Final = "infarction stated as a possibility only, or below the likelihood asked for"
NOT_NORMAL: Final = "neither infarction nor normal"
UNLABELLED: Final = "none: what the source says of infarction is not used, and mi and norm are unknown"


@dataclass(frozen=True, slots=True)
class Label:
    """A record that is kept: whether it shows an infarction, and whether it is normal."""

    mi: bool
    norm: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record that the rule leaves out, and why."""

    reason: str


def judge(
    codes: Mapping[str, float],
    rule: LabelRule,
    *,
    infarction: Iterable[str],
    possible: Iterable[str] = (),
    normal: bool,
) -> Label | LeftOut:
    """What `rule` makes of a record with `codes` (statement -> likelihood in percent, 0 where unknown).

    infarction: statements of an infarction; possible: those that name it as one of several possibilities.
    normal: whether the source calls the record normal, which counts only where nothing speaks of infarction.
    """
    stated = [codes[code] for code in infarction if code in codes]
    if any(likelihood >= rule.likelihood for likelihood in stated):
        return Label(mi=True, norm=False)
    if stated or any(code in codes for code in possible):
        return LeftOut(UNSURE)
    if rule.negatives == "norm" and not normal:
        return LeftOut(NOT_NORMAL)
    return Label(mi=False, norm=normal)


def stage_of(*, recent: bool, old: bool) -> Stage | None:
    """The age of an infarction that a source calls recent, old, or both or neither, which says nothing."""
    if recent == old:
        return None
    return "recent" if recent else "old"


def describe(
    rule: LabelRule, *, infarction: str, normal: str, possible: str | None = None, likelihoods: bool = True
) -> str:
    """The rule in one sentence, for a store and for every result made of it.

    infarction, normal, possible: the statements of a collection in words. likelihoods: whether it has any.
    """
    parts = [f"mi: {infarction}"]
    unsure = [] if possible is None else [possible]
    if not likelihoods:
        parts[0] += " (the source gives no likelihoods)"
    elif rule.likelihood == 0:
        parts[0] += ", at any likelihood (0 means unknown)"
    else:
        parts[0] += f", at a likelihood of {rule.likelihood:g} % or more"
        unsure.append("such a statement below that (0 means unknown)")
    if unsure:
        parts.append(f"left out, where nothing else says mi: {' and '.join(unsure)}")
    parts.append(f"norm: {normal}, and no statement of infarction")
    negatives = {"all": "every other record", "norm": "norm only, other records are left out"}
    parts.append(f"negatives: {negatives[rule.negatives]}")
    return "; ".join(parts)
