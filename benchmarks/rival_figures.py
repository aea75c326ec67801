"""The network beside what age and sex alone give, in every comparison, and where it is no better."""

from __future__ import annotations

from typing import Any, Final

from edge_mi.figure_names import question
from edge_mi.markdown import interval, table

Json = dict[str, Any]

TASKS: Final = (
    "mi_vs_all", "mi_vs_norm", "mi_vs_other_abnormal",
    "mi_vs_all_age_below_60", "mi_vs_all_age_60_to_74", "mi_vs_all_age_75_and_over",
)  # fmt: skip
RIVALS: Final = {"age_alone": "age alone", "age_and_sex": "age and sex"}


def find_figure(cv: Json, subject: str, name: str, task: str) -> Json | None:
    """A figure of a cross-validation, None where it was not measured."""
    return next(
        (f for f in cv["figures"] if (f["subject"], f["name"], f["task"]) == (subject, name, task)), None
    )


def rival_figures(cv: Json) -> list[str]:
    """A table of the network and its rivals without an ECG, and a sentence for each rival that it does not beat."""
    rivals = {name: words for name, words in RIVALS.items() if find_figure(cv, name, "auroc", "mi_vs_all")}
    rows = []
    for task in TASKS:
        own = find_figure(cv, "lead_i", "auroc", task)
        if own is None:
            continue
        row = [question(task), *_cell(own)]
        for name in rivals:
            row += _cell(find_figure(cv, name, "auroc", task))
            row.append(_difference(find_figure(cv, f"lead_i minus {name}", "auroc_difference", task)))
        rows.append([*row, f"{own['n_positive']} / {own['n']}"])
    header = ["question", "lead I", "95 %"]
    for words in rivals.values():
        header += [words, "95 %", "lead I minus it"]
    return [*table([*header, "MI / n of lead I"], rows), *no_better(cv)]


def no_better(cv: Json) -> list[str]:
    """A paragraph for each rival that the network is not shown to beat somewhere, an empty line before it."""
    lines = []
    for name, words in RIVALS.items():
        found = [text for task in TASKS if (text := _not_beaten(cv, name, task))]
        if found:
            lines += ["", f"It is not shown to be better than {words} in: {'; '.join(found)}."]
    return lines


def _not_beaten(cv: Json, rival: str, task: str) -> str:
    own, other = find_figure(cv, "lead_i", "auroc", task), find_figure(cv, rival, "auroc", task)
    if own is None or other is None:
        return ""
    compared = f"{question(task)} (AUROC {own['value']:.3f} against {other['value']:.3f}"
    paired = find_figure(cv, f"lead_i minus {rival}", "auroc_difference", task)
    if paired is not None and paired["interval"] is not None:
        return "" if paired["interval"][0] > 0 else f"{compared}, in pairs {_difference(paired)})"
    # a result without pairs shows no more than which is higher
    return "" if own["value"] > other["value"] else f"{compared})"


def _cell(figure: Json | None) -> list[str]:
    return ["-", "-"] if figure is None else [f"{figure['value']:.3f}", interval(figure["interval"])]


def _difference(figure: Json | None) -> str:
    return "-" if figure is None else f"{figure['value']:+.4f} ({interval(figure['interval'], signed=True)})"
