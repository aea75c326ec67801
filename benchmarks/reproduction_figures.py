"""SelfMIS beside its rivals: the short table of docs/figures.md, and the whole report in docs/reproduction/."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edge_mi.figure_names import question
from edge_mi.markdown import interval, table

from .trial_figures import difference_cells

Json = dict[str, Any]

REPORT: Final = Path("docs/reproduction")
RESULTS: Final = "results.json"
_TASKS: Final = ("mi_vs_all", "mi_vs_other_abnormal")
_REGIMES: Final = {"finetune": "fine-tuned", "probe_100": "linear probe, all labels", "12 leads": "12 leads"}


def reproduction_documents(root: Path) -> dict[Path, str]:
    """The table and the plots of the report below `root`, as `edge-mi train reproduce` writes them; needs Matplotlib."""
    document: Any = import_module("edge_mi.train.protocol.document")
    table_of: Any = import_module("edge_mi.train.protocol.table")
    plots_of: Any = import_module("edge_mi.train.protocol.plots")
    report = document.read_report(root / REPORT)
    drawn = {name: content for name, content in plots_of.plots(report).items() if name.endswith(".svg")}
    return {
        REPORT / document.TABLE: table_of.table_text(report),
        **{REPORT / name: content.decode() for name, content in drawn.items()},
    }


def reproduction_figures(root: Path) -> list[str]:
    """The section, from the results of the report."""
    report: Json = json.loads((root / REPORT / RESULTS).read_text(encoding="utf-8"))
    ran_on = report["ran_on"]
    header = ["method", "parameters", "regime"]
    for task in _TASKS:
        header += [question(task), "95 %", "minus scratch", "95 %, patients", "95 %, patients and seeds"]
    rows = [
        [method, _parameters(report, method), _REGIMES[regime], *_cells(report, method, regime)]
        for method, regime in _places(report)
    ]
    return [
        "", "## SelfMIS and its rivals", "",
        f"{ran_on['data']}: {ran_on['records']} records of {ran_on['patients']} patients, {ran_on['positives']} with MI; three groups of folds held out in "
        f"turn, {len(report['seeds'])} seeds, one encoder and one fine-tuning for all; the steps before it differ (the table says how many). Fine-tuned, and linear probes with all labels. The paper's own numbers are of "
        "other data and are not repeated here. Methods, nine types, ages, probabilities, retrieval, ST levels and the learning curve are in "
        f"[reproduction/table.md](reproduction/table.md), everything as numbers in [{RESULTS}](reproduction/{RESULTS}). Made by `make reproduction`.", "",
        *table(header, rows), "",
        *(_told_apart(report, task) for task in _TASKS), "",
        *(f"![{words}](reproduction/{name}.svg)" for name, words in (
            ("differences", "Difference of every method to scratch, with its interval"),
            ("learning_curve", "AUROC against the number of training records"),
        )),
    ]  # fmt: skip


def _places(report: Json) -> list[tuple[str, str]]:
    """Methods and regimes of the short table, the probes after fine-tuning and the ceiling last."""
    places = list(dict.fromkeys((f["method"], f["regime"]) for f in report["figures"]))
    return [place for regime in _REGIMES for place in places if place[1] == regime]


def _told_apart(report: Json, task: str) -> str:
    """Which fine-tuned methods differ from scratch when patients and seeds are drawn, in words."""
    methods = [method for method, regime in _places(report) if regime == "finetune"]
    found = {method: _find(report["differences"], method, "scratch", "finetune", task) for method in methods}
    limits = {method: minus["interval_with_seeds"] for method, minus in found.items() if minus is not None}
    better = [method for method, (low, _) in limits.items() if low > 0]
    worse = [method for method, (_, high) in limits.items() if high < 0]
    return (
        f"Fine-tuned, {question(task)}, {len(limits)} methods against scratch with patients and seeds drawn: better "
        f"{', '.join(better) or 'none'}; worse {', '.join(worse) or 'none'}."
    )


def _parameters(report: Json, method: str) -> str:
    found = [each["parameters"] for each in report["methods"] if each["name"] == method]
    return f"{found[0]:,}" if found else "-"


def _cells(report: Json, method: str, regime: str) -> list[str]:
    cells = []
    for task in _TASKS:
        own = _find(report["figures"], method, None, regime, task)
        cells += ["-", "-"] if own is None else [f"{own['value']:.3f}", interval(own["interval"])]
        minus = _find(report["differences"], method, "scratch", regime, task)
        cells += difference_cells(minus, "interval", "interval_with_seeds")
    return cells


def _find(figures: list[Json], method: str, minus: str | None, regime: str, task: str) -> Json | None:
    wanted = (method, minus, regime, "auroc", task)
    return next(
        (f for f in figures if (f["method"], f["minus"], f["regime"], f["name"], f["task"]) == wanted), None
    )
