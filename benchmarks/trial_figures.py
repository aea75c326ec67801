"""What was tried and what it gave, in docs/figures.md."""

from __future__ import annotations

from typing import Any, Final

from edge_mi.figure_names import question
from edge_mi.markdown import interval, table

from .measured_on import labels_of

Json = dict[str, Any]

TASKS: Final = ("mi_vs_all", "mi_vs_other_abnormal")


def trial_figures(document: Json) -> list[str]:
    """The section, from results/trials.json."""
    trials = document["trials"]
    first = _outcome(trials[0], TASKS[0])
    header = ["tried", "compared with"]
    for task in TASKS:
        header += [question(task), "difference", "95 %, patients", "95 %, patients and seeds"]
    rows = [_row(trial) for trial in trials]
    helped = [trial["words"] for trial in trials if any(_apart(trial, task) > 0 for task in TASKS)]
    asked = sum(_outcome(trial, task)["minus"] is not None for trial in trials for task in TASKS)
    hurt = [trial["words"] for trial in trials if any(_apart(trial, task) < 0 for task in TASKS)]
    return [
        "", "## What else was tried", "",
        f"One change at a time of how the lead-I network is taught ({document['network']}, float), each cross-validated over folds 1 to 9 in three groups "
        f"with {len(document['seeds'])} seeds; {document['data']}, n = {first['n']}, {first['n_positive']} with MI.{labels_of(document)} "
        "AUROC is the mean over single networks. The first interval draws patients and keeps the networks, the second draws networks too: "
        f"it is that of the change, and not of these networks. Made by `{document['command']}`.", "",
        *table(header, rows), "",
        f"{asked} differences are looked at, of which chance alone sets {asked / 20:.1f} apart from 0 at 95 %.",
        _said("Apart from 0 with patients and seeds drawn, and better", helped),
        _said("Apart from 0 and worse", hurt),
        "Everything else is not told apart from what it changes. Masked reconstruction, synthesis of the other leads and the other rivals are "
        "methods of `edge-mi train reproduce`, above.",
    ]  # fmt: skip


def _row(trial: Json) -> list[str]:
    row = [f"{trial['words']} (`{trial['name']}`)", f"`{trial['against']}`" if trial["against"] else "-"]
    for task in TASKS:
        outcome = _outcome(trial, task)
        each, minus = outcome["each"], outcome["minus"]
        row.append(f"{sum(each) / len(each):.3f}")
        row += difference_cells(minus, "patients", "patients_and_seeds")
    return row


def difference_cells(found: Json | None, patients: str, seeds: str) -> list[str]:
    """A difference and its two intervals, which stand in `found` under these names; `-` for none."""
    if found is None:
        return ["-", "-", "-"]
    ends = (interval(found[name], signed=True) for name in (patients, seeds))
    return [f"{found['value']:+.4f}", *ends]


def _outcome(trial: Json, task: str) -> Json:
    found: Json = next(each for each in trial["outcomes"] if each["task"] == task)
    return found


def _apart(trial: Json, task: str) -> int:
    """1 or -1 where the interval over patients and seeds leaves out 0, on which side; else 0."""
    minus = _outcome(trial, task)["minus"]
    if minus is None or minus["patients_and_seeds"] is None:
        return 0
    low, high = minus["patients_and_seeds"]
    return int(low > 0) - int(high < 0)


def _said(what: str, words: list[str]) -> str:
    return f"{what}: {'; '.join(words) if words else 'nothing'}."
