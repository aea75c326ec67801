"""The report as Markdown. The first line says what it ran on; a greyed figure stands in brackets and italics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from edge_mi.figure_names import figure_name
from edge_mi.markdown import table
from edge_mi.notice import NOTICE

from ..evaluate import ALL
from ..resamples import Ends
from .comparisons import type_task
from .entrants import SCRATCH
from .evidence import RETRIEVAL, RETRIEVAL_WITHOUT_I, RETRIEVALS, EvidenceFigure
from .figures import AUROC, MEANS, PLAIN_MEAN, WEIGHTED_MEAN, WITHIN_GROUPS, Figure
from .report import MethodLine, Report
from .result import TYPES

NONE: Final = "-"
_HARD: Final = ("mi_vs_norm", "mi_vs_other_abnormal")
_BANDS: Final = (
    ("mi_vs_all_age_below_60", "age below 60"),
    ("mi_vs_all_age_60_to_74", "60 to 74"),
    ("mi_vs_all_age_75_and_over", "75 and over"),
    ("recent_mi_vs_no_mi", "recent MI"),
    ("old_mi_vs_no_mi", "old MI"),
)
_REGIMES: Final = {
    "probe_1": "probe, 1 % of labels",
    "probe_10": "probe, 10 % of labels",
    "probe_100": "probe, all labels",
    "finetune": "fine-tuned",
}

_RETRIEVALS: Final = {
    RETRIEVAL: "Retrieval",
    RETRIEVAL_WITHOUT_I: (
        "The same with lead I hidden from the teacher (III, aVR, aVL and aVF are sums of I and II, so lead I is not gone "
        "from what it sees)"
    ),
}

Place = tuple[str, str]


def regime_name(regime: str) -> str:
    """A regime in words."""
    return _REGIMES.get(regime, regime)


def ran_on_line(report: Report) -> str:
    """What the report ran on, in one line."""
    it = report.ran_on
    folds = "; ".join(", ".join(map(str, group)) for group in it.groups)
    return (
        f"Ran on {it.data}: {it.records} records of {it.patients} patients, {it.positives} with MI; folds held out in "
        f"turn: {folds}; label rule: {it.label_rule}; negatives: {it.negatives}."
    )


def table_text(report: Report) -> str:
    """The whole document, beginning with the line that says what it ran on."""
    figures = {(f.method, f.regime, f.name, f.task): f for f in report.figures}
    places = list(dict.fromkeys((f.method, f.regime) for f in report.figures))

    def find(place: Place, name: str, task: str) -> Figure | None:
        return figures.get((*place, name, task))

    caveats = [line for caveat in report.caveats for line in ("", f"*{caveat}.*")]
    parts = [
        [ran_on_line(report), "", f"> {NOTICE}"],
        ["## Methods", "", *_methods(report, places, find), *caveats, "", *_descriptions(report)],
        [
            "## Nine types",
            "",
            f"AUROC; {report.ran_on.type_rule}.",
            "",
            *_types(report, places, find),
            *caveats,
        ],
        ["## Age, age of the infarction, precision", "", *_bands(places, find), *caveats],
        ["## Differences of AUROC", "", *_differences(report), *caveats],
        ["## Probabilities of any MI", "", *_probabilities(report), *caveats],
        ["## Operating points", "", *_points(report), *caveats],
        ["## What the single lead knows of the others", "", *_evidence(report.evidence), *caveats],
        ["## Learning curve", "", *_curve(report), *caveats] if report.curve else [],
        ["## How to read this", "", *_how(report), "", f"> {NOTICE}"],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def cell(figure: Figure | EvidenceFigure | None, *, signed: bool = False) -> str:
    """`0.789 [0.771, 0.806]`; greyed in brackets and italics; `-` for nothing."""
    if figure is None or figure.value is None:
        return NONE
    text = _number(figure.value, figure.interval, signed=signed)
    return f"*({text})*" if isinstance(figure, Figure) and figure.greyed else text


def _both(figure: Figure | EvidenceFigure | None) -> str:
    """A difference with its interval, and in brackets the one that the seeds are drawn for too."""
    text = cell(figure, signed=True)
    if figure is None or figure.interval_with_seeds is None:
        return text
    return f"{text} ({_ends(figure.interval_with_seeds)})"


def _number(value: float, interval: Ends | None, *, signed: bool = False) -> str:
    form = "+.4f" if signed else ".3f"
    ends = "" if interval is None else f" {_ends(interval, form)}"
    # an exact zero has no sign
    return f"{value + 0.0:{form}}{ends}"


def _ends(interval: Ends | None, form: str = "+.4f") -> str:
    return NONE if interval is None else f"[{interval[0] + 0.0:{form}}, {interval[1] + 0.0:{form}}]"


Find = Callable[[Place, str, str], Figure | None]


def _methods(report: Report, places: Sequence[Place], find: Find) -> list[str]:
    lines = {method.name: method for method in report.methods}
    to_scratch = {
        (d.method, d.regime): d
        for d in report.differences
        if (d.minus, d.name, d.task) == (SCRATCH, AUROC, ALL)
    }
    rows = []
    for place in places:
        plain = find(place, AUROC, PLAIN_MEAN)
        ranked = (
            "" if plain is None or plain.value is None else f" ({len(plain.types)} of {len(TYPES)} types)"
        )
        rows.append(
            [
                place[0],
                *_budget(lines.get(place[0]), place[1]),
                cell(find(place, AUROC, ALL)),
                cell(find(place, WITHIN_GROUPS, ALL)),
                *(cell(find(place, AUROC, task)) for task in _HARD),
                cell(plain) + ranked,
                cell(find(place, AUROC, WEIGHTED_MEAN)),
                _both(to_scratch.get(place)),
            ]
        )
    any_mi = next(f for f in report.figures if f.task == ALL)
    header = ["method", "parameters", "regime", "steps", "labels before probe"]
    header += [f"any MI ({any_mi.n_positive} of {any_mi.n})", "any MI, within groups", "against NORM"]
    header += ["against other abnormal", "types, plain mean", "types, weighted mean", "any MI minus scratch"]
    return table(header, rows)


def _budget(line: MethodLine | None, regime: str) -> list[str]:
    """Parameters, regime, the steps that a network took until it was asked, and the labels before a probe."""
    if line is None:
        return [NONE, regime_name(regime), NONE, NONE]
    steps = line.pretraining_steps + (line.finetuning_steps if regime == "finetune" else 0)
    return [f"{line.parameters:,}", regime_name(regime), f"{steps:,}", line.labels_before_probe]


def _descriptions(report: Report) -> list[str]:
    return [f"* `{method.name}`: {method.description}." for method in report.methods if method.description]


def _types(report: Report, places: Sequence[Place], find: Find) -> list[str]:
    counts = {
        name: max((f.n_positive for f in report.figures if f.task == type_task(name)), default=0)
        for name in TYPES
    }

    def one(place: Place, name: str) -> str:
        figure = find(place, AUROC, type_task(name))
        fewer = figure is not None and figure.value is not None and figure.n_positive < counts[name]
        return cell(figure) + (f" (n = {figure.n_positive})" if fewer and figure is not None else "")

    header = ["method", "regime", *(f"{name} (n = {counts[name]})" for name in TYPES)]
    return table(
        header, [[place[0], regime_name(place[1]), *(one(place, name) for name in TYPES)] for place in places]
    )


def _bands(places: Sequence[Place], find: Find) -> list[str]:
    extra = ("auprc", "sensitivity_at_specificity_90")
    some = {task: find(places[0], AUROC, task) for task, _ in _BANDS}
    header = ["method", "regime"]
    for task, words in _BANDS:
        figure = some[task]
        header.append(words if figure is None else f"{words} ({figure.n_positive} of {figure.n})")
    rows = [
        [
            place[0],
            regime_name(place[1]),
            *(cell(find(place, AUROC, task)) for task, _ in _BANDS),
            *(cell(find(place, name, ALL)) for name in extra),
        ]
        for place in places
    ]
    return table([*header, *map(figure_name, extra)], rows)


def _differences(report: Report) -> list[str]:
    by_pair: dict[tuple[str, str, str], dict[str, Figure]] = {}
    for each in report.differences:
        key = WITHIN_GROUPS if each.name == WITHIN_GROUPS else each.task
        by_pair.setdefault((each.method, each.minus or "", each.regime), {})[key] = each
    if not by_pair:
        return ["No two methods of one regime to compare."]
    rows = []
    for (first, second, regime), found in by_pair.items():
        main = found.get(ALL)
        rows.append(
            [
                f"{first} minus {second}",
                regime_name(regime),
                cell(main, signed=True),
                NONE if main is None else _ends(main.interval_with_seeds),
                NONE if main is None else ", ".join(f"{value + 0.0:+.4f}" for value in main.each),
                *(_both(found.get(task)) for task in (WITHIN_GROUPS, *_HARD, *MEANS)),
            ]
        )
    header = ["", "regime", "any MI", "with seeds drawn too", "seed by seed", "any MI, within groups"]
    return table(
        [*header, "against NORM", "against other abnormal", "types, plain mean", "types, weighted mean"], rows
    )


def _probabilities(report: Report) -> list[str]:
    rows = []
    for each in report.probabilities:
        maps = {found.calibration: found for found in each.maps}
        platt, bare, prevalence = maps["platt"], maps["none"], maps["prevalence"]
        rows.append(
            [
                each.method,
                regime_name(each.regime),
                each.chosen,
                *(
                    f"{maps[name].log_loss:.4f}"
                    for name in ("none", "platt", "temperature", "beta", "isotonic")
                ),
                f"{prevalence.log_loss:.4f}",
                _number(platt.brier, platt.brier_interval),
                f"{prevalence.brier:.3f}",
                f"{bare.ece_width:.3f}, {platt.ece_width:.3f}",
                f"{bare.ece_count:.3f}, {platt.ece_count:.3f}",
            ]
        )
    header = ["method", "regime", "chosen", "log loss: none", "Platt", "temperature", "beta", "isotonic"]
    header += ["prevalence alone", "Brier, Platt", "Brier, prevalence alone", "ECE, equal width: none, Platt"]
    lines = table([*header, "ECE, equal count: none, Platt"], rows)
    return [f"Out of fold, mean over seeds. Chosen: {report.choice_rule}.", "", *lines]


def _points(report: Report) -> list[str]:
    rows = [
        [
            each.method,
            regime_name(each.regime),
            point.name.replace("_90", " .90").replace("_", " "),
            f"{point.threshold:.3f}",
            _number(point.sensitivity, point.sensitivity_interval),
            _number(point.specificity, point.specificity_interval),
        ]
        for each in report.probabilities
        for point in each.points
        if each.regime == "finetune" or all(p.regime != "finetune" for p in report.probabilities)
    ]
    lines = table(["method", "regime", "point", "threshold", "sensitivity", "specificity"], rows)
    return ["Thresholds on Platt's probability, chosen on the other groups; mean over them.", "", *lines]


def _evidence(evidence: Iterable[EvidenceFigure]) -> list[str]:
    found = list(evidence)
    if not found:
        return ["No method left the features of a frozen encoder."]
    levels = [each for each in found if each.about not in RETRIEVALS]
    lines: list[str] = []
    for about in RETRIEVALS:
        retrieval = [each for each in found if each.about == about]
        if not retrieval:
            continue
        first = retrieval[0]
        sizes = ", ".join(map(str, first.candidates))
        lines += [
            *([""] if lines else []),
            f"{_RETRIEVALS[about]}: which of N 12-lead embeddings (N = {sizes} in the held-out groups) belongs to this lead "
            f"I; {first.n} records, two records of one patient count as different.",
            "",
            *_evidence_table(retrieval, [("top_1", about), ("top_5", about)], chance=True),
        ]
    if levels:
        leads = list(dict.fromkeys(each.about for each in levels))
        for name, words in (("r2", "R²"), ("correlation", "correlation")):
            lines += [
                "",
                f"ST level (J + 60 ms against PQ, mV) of unseen leads, {words} out of fold, {levels[0].n} records:",
                "",
                *_evidence_table(levels, [(name, lead) for lead in leads], chance=False),
            ]
    return lines


def _evidence_table(
    found: Sequence[EvidenceFigure], columns: Sequence[tuple[str, str]], *, chance: bool
) -> list[str]:
    by_place = {(each.method, each.minus, each.name, each.about): each for each in found}
    rows = [
        [
            method if minus is None else f"{method} minus {minus}",
            *(_compared(by_place.get((method, minus, *column))) for column in columns),
        ]
        for method, minus in dict.fromkeys((each.method, each.minus) for each in found)
    ]
    if chance:
        guessed = [next(e.chance for e in found if (e.name, e.about) == column) for column in columns]
        rows.append(["chance", *(NONE if value is None else f"{value:.4f}" for value in guessed)])
    names = [name.replace("_", " ") if about in RETRIEVALS else about for name, about in columns]
    return table(["", *names], rows)


def _compared(figure: EvidenceFigure | None) -> str:
    return cell(figure) if figure is None or figure.minus is None else _both(figure)


def _curve(report: Report) -> list[str]:
    rows = [
        [
            point.method,
            f"{point.records:.0f}",
            f"{point.patients:.0f}",
            _number(point.value, point.interval),
            ", ".join(f"{value:.3f}" for value in point.each),
        ]
        for point in report.curve
    ]
    lines = table(["method", "records", "patients", "any MI", "seed by seed"], rows)
    if not report.curve_differences:
        return lines
    differences = [
        [
            f"{point.method} minus {point.minus}",
            f"{point.records:.0f}",
            _number(point.value, point.interval, signed=True),
            _ends(point.interval_with_seeds),
            ", ".join(f"{value + 0.0:+.4f}" for value in point.each),
        ]
        for point in report.curve_differences
    ]
    header = ["", "records", "any MI", "with seeds drawn too", "seed by seed"]
    return [*lines, "", "Paired, on the draws of the tables above:", "", *table(header, differences)]


def _how(report: Report) -> list[str]:
    names = "edge-mi", "numpy", "torch"
    versions = ", ".join(f"{name} {report.versions[name]}" for name in names if name in report.versions)
    return [
        f"* AUROC with its 95 % interval, seeds {', '.join(map(str, report.seeds))}, {report.resamples} resamples of "
        "patients. *(In brackets and italics)*: fewer than 20 positives, not ranked and not in the plain mean. "
        "A second interval, in brackets, of a difference: seeds drawn too.",
        f"* {report.protocol[0].upper()}{report.protocol[1:]}.",
        f"* Command: `{report.command}`; commit {report.commit}; {versions}; store {report.ran_on.store_sha256}; "
        f"data under {report.ran_on.licence}.",
    ]
