"""What alignment is worth on these data, said in one sentence, from the cross-validation."""

from __future__ import annotations

from typing import Any, Final

from edge_mi.figure_names import question
from edge_mi.markdown import interval

from .rival_figures import find_figure

Json = dict[str, Any]

TASKS: Final = ("mi_vs_all", "mi_vs_other_abnormal")
_SUBJECT: Final = "lead_i minus lead_i_from_scratch"
_NOT_MEASURED: Final = "What alignment gives was not measured (`edge-mi train cv --scratch` does)."
_CONTROLS: Final = {  # trial -> how it is said; the trial's outcome is its own AUROC minus that of what it is compared with
    "labels": "the same pre-training with labels instead of alignment, minus aligned",
    "aligned-30-epochs": "aligned minus from scratch, both with 30 epochs of fine-tuning instead of 18",
}


def alignment_said(cv: Json, trials: Json) -> list[str]:
    """Whether the aligned network beats the same from scratch, then a list: differences with intervals, and controls."""
    found = [find_figure(cv, _SUBJECT, "auroc_difference", task) for task in TASKS]
    if found[0] is None:
        return [_NOT_MEASURED]
    said = [
        f"{question(each['task'])} {each['value']:+.4f} (patients drawn: {interval(each['interval'], signed=True)}; seeds too: "
        f"{interval(each['interval_with_seeds'], signed=True)})"
        for each in found
        if each is not None
    ]
    networks, task = len(trials["seeds"]), question(TASKS[0])
    return [
        _verdict(found[0], trials),
        "",
        f"* AUROC of the aligned network minus that of the same network with the same fine-tuning from scratch, {len(found[0]['each'])} "
        f"networks each, in pairs, n = {found[0]['n']}: {'; '.join(said)}.",
        *(
            f"* Control, {networks} networks each, {task}, seeds drawn too: {_control(trials, name)}."
            for name in _CONTROLS
        ),
        "* Every trial is in docs/figures.md, What else was tried; the other methods in SelfMIS and its rivals, there too.",
    ]


def alignment_in_short(cv: Json, trials: Json) -> str:
    """The same for who reads on: the difference, and what the controls make of it."""
    found = find_figure(cv, _SUBJECT, "auroc_difference", TASKS[0])
    if found is None:
        return _NOT_MEASURED
    own = f"{found['value']:+.4f} ({interval(found['interval_with_seeds'], signed=True)}, patients and seeds drawn)"
    controls = "; ".join(_control(trials, name) for name in _CONTROLS)
    return (
        f"{_verdict(found, trials)} AUROC of {question(TASKS[0])}, aligned with 12 leads first minus the same network from "
        f"scratch: {own}. Controls: {controls}."
    )


def _verdict(found: Json, trials: Json) -> str:
    """Whether pre-training helps, of a paired difference, and whether the alignment is why."""
    (low, high), (low_seeds, high_seeds) = found["interval"], found["interval_with_seeds"]
    verdict = (
        "Pre-training by alignment helps on these data" if low_seeds > 0
        else "Pre-training by alignment hurts on these data" if high_seeds < 0
        else "Pre-training by alignment helps these networks, but another seed may not gain" if low > 0
        else "Pre-training by alignment hurts these networks, but another seed may not lose" if high < 0
        else "Pre-training by alignment is not shown to help on these data"
    )  # fmt: skip
    return f"{verdict}{_cause(trials)}."


def _cause(trials: Json) -> str:
    """What the controls say of the cause."""
    labels, longer = (_minus(trials, name)["patients_and_seeds"] for name in _CONTROLS)
    if labels[1] < 0 and longer[0] > 0:
        return ""
    doubts = []
    if labels[1] >= 0:
        doubts.append("labels on the same segments of every lead are not told apart from it")
    if longer[0] <= 0:
        doubts.append("with a longer fine-tuning no gain is shown")
    return f"; that the alignment is the cause is not shown: {', and '.join(doubts)}"


def _control(trials: Json, name: str) -> str:
    minus = _minus(trials, name)
    return f"{_CONTROLS[name]}, {minus['value']:+.4f} ({interval(minus['patients_and_seeds'], signed=True)})"


def _minus(trials: Json, name: str) -> Json:
    trial = next(each for each in trials["trials"] if each["name"] == name)
    outcome = next(each for each in trial["outcomes"] if each["task"] == TASKS[0])
    found: Json = outcome["minus"]
    return found
