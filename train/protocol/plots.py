"""The plots of a report, drawn from the document alone: the same document gives the same SVG.

Matplotlib is loaded here only, on use. Colours are Okabe and Ito's, which colour-blind readers tell apart; line
styles and markers say the same again.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final

from edge_mi.notice import NOTICE
from edge_mi.optional import require

from ..evaluate import ALL
from .comparisons import FEWEST_POSITIVES, type_task
from .entrants import AGE_SEX, LEAD_MASKING, SCRATCH, SELFMIS, TEACHER, UNALIGNED
from .figures import AUROC, Figure
from .probabilities import Probabilities
from .report import Report
from .result import REGIMES, TYPES
from .table import regime_name

PLOTS: Final = ("roc", "types", "calibration", "differences", "learning_curve")
_METADATA: Final = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
MAIN_METHODS: Final = 5  # more curves in one plot cannot be told apart
_FIRST: Final = (SCRATCH, SELFMIS, UNALIGNED, LEAD_MASKING, AGE_SEX)
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS: Final = "osD^vP*"
_DASHES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), "-")
_GREY, _FAINT, _INK = "#8a8f98", "#d8dbe0", "#1f2328"
_STYLE: Final = {
    "svg.fonttype": "none",  # text stays text: searchable, and set in the reader's font
    "svg.hashsalt": "edge-mi",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.6,
}
_CAPTION_SIZE: Final = 7.0
_CAPTION_LINE_IN: Final = 0.14


def require_plots() -> None:
    """Raises MissingDependency, with the line that installs it, where Matplotlib is not there."""
    require("matplotlib.figure", extra="train")


def plots(report: Report) -> dict[str, bytes]:
    """File name -> content, an SVG and a PNG of every plot that the report has something for."""
    there = {
        "calibration": bool(_calibrated(report)),
        "differences": bool(_forest_rows(report)),
        "learning_curve": bool(report.curve),
    }
    names = [name for name in PLOTS if there.get(name, True)]
    return {f"{name}.{ending}": plot(report, name, ending) for name in names for ending in _METADATA}


def plot(report: Report, name: str, ending: str = "svg") -> bytes:
    """One of PLOTS as `svg` or `png`, the same bytes for the same report."""
    draw = {
        "roc": _roc,
        "types": _types,
        "calibration": _calibration,
        "differences": _differences,
        "learning_curve": _learning_curve,
    }[name]
    content = BytesIO()
    with _style():
        draw(report).savefig(content, format=ending, dpi=150, metadata=_METADATA[ending])
    return content.getvalue()


def main_methods(report: Report) -> list[str]:
    """The methods that plots with one curve each show: the main rivals, then the configuration's order."""
    there = [method.name for method in report.methods]
    wanted = [name for name in _FIRST if name in there]
    return [*wanted, *(name for name in there if name not in wanted)][:MAIN_METHODS]


@contextmanager
def _style() -> Iterator[None]:
    matplotlib = require("matplotlib", extra="train")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc must not change a report
        matplotlib.rcParams.update(_STYLE)
        yield


def _canvas(
    report: Report, width_in: float, height_in: float, title: str, note: str = "", **layout: Any
) -> tuple[Any, Any]:
    """A figure with a title above and the caption below; `layout` goes to `subplots`."""
    figure = require("matplotlib.figure", extra="train").Figure(figsize=(width_in, height_in))
    lines = textwrap.wrap(_caption(report, note), int(width_in * 19))
    bottom = (len(lines) + 0.8) * _CAPTION_LINE_IN
    figure.set_layout_engine(
        "constrained", rect=(0.0, bottom / height_in, 1.0, 1 - (bottom + 0.34) / height_in)
    )
    figure.text(0.1 / width_in, 1 - 0.1 / height_in, title, fontsize=11, fontweight="bold", va="top")
    figure.text(
        0.1 / width_in,
        0.06 / height_in,
        "\n".join(lines),
        fontsize=_CAPTION_SIZE,
        color="#59636e",
        va="bottom",
    )
    return figure, figure.subplots(**layout)


def _caption(report: Report, note: str) -> str:
    it = report.ran_on
    return (
        f"{it.data.partition(',')[0]}: {it.records} records of {it.patients} patients, {it.positives} with MI; cross-"
        f"validated, mean of {len(report.seeds)} seed{'s' if len(report.seeds) != 1 else ''}, 95\u00a0% over patients. "
        f"{note}{' ' if note else ''}{NOTICE}"
    )


def _styles(report: Report, names: Sequence[str]) -> dict[str, tuple[str, str, Any]]:
    """Colour, marker and dash of each name: a main method has the same in every plot, others what is left."""
    main = main_methods(report)
    left = [place for place in range(len(_COLOURS)) if place >= len(main)]
    others = [name for name in names if name not in main and name != TEACHER]
    places = {name: place for place, name in enumerate(main)}
    places.update((name, left[number % len(left)]) for number, name in enumerate(others))
    styles = {name: (_COLOURS[place], _MARKERS[place], _DASHES[place]) for name, place in places.items()}
    return {**styles, TEACHER: (_GREY, "X", (0, (2, 2)))}


def _one_regime(report: Report) -> str:
    """Fine-tuning where there is any, else the probe with the most labels."""
    found = {figure.regime for figure in report.figures}
    return next(regime for regime in reversed(REGIMES) if regime in found)


def _find(figures: tuple[Figure, ...], **wanted: object) -> Figure | None:
    return next((f for f in figures if all(getattr(f, key) == value for key, value in wanted.items())), None)


def _interval_text(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return ""
    ends = "" if figure.interval is None else f" [{figure.interval[0]:.3f}, {figure.interval[1]:.3f}]"
    return f" {figure.value:.3f}{ends}"


def _roc(report: Report) -> Any:
    shown = [*main_methods(report), TEACHER]
    styles = _styles(report, shown)
    curves = {curve.method: curve for curve in report.roc if curve.method in shown}
    figure, axes = _canvas(
        report, 6.4, 6.6, "Any MI against all other records", "Bands: 95\u00a0% of the first two."
    )
    axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=1.2, zorder=1)
    for number, name in enumerate(name for name in shown if name in curves):
        curve = curves[name]
        colour, _, dash = styles[name]
        found = _find(report.figures, method=name, regime=curve.regime, name=AUROC, task=ALL)
        label = f"{name if name != TEACHER else 'teacher, 12 leads'}:{_interval_text(found)}"
        if curve.low and number < 2:
            axes.fill_between(
                curve.false_positive_rate, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0
            )
        axes.plot(curve.false_positive_rate, curve.sensitivity, color=colour, linestyle=dash, label=label)
    one = next(iter(curves.values()), None)
    counts = "" if one is None else f", n = {one.n} ({one.n_positive} with MI)"
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    title = f"AUROC, {regime_name(_one_regime(report))}{counts}"
    axes.legend(loc="lower right", title=title, title_fontsize=8.5, alignment="left")
    return figure


def _types(report: Report) -> Any:
    regime, shown = _one_regime(report), main_methods(report)
    styles = _styles(report, shown)
    groups = [
        [(name, _find(report.figures, method=name, regime=regime, task=type_task(kind))) for name in shown]
        for kind in TYPES
    ]
    note = f"Grey: fewer than {FEWEST_POSITIVES} positives, not ranked."
    figure, axes = _canvas(report, 7.4, 7.6, f"Nine types of MI, {regime_name(regime)}", note)
    step = 0.8 / max(1, len(shown))
    labels = []
    for row, (kind, members) in enumerate(zip(TYPES, groups, strict=True)):
        positives = max((f.n_positive for _, f in members if f is not None), default=0)
        labels.append(f"{kind}\nn = {positives}")
        if row % 2:
            axes.axhspan(row - 0.5, row + 0.5, color="#f4f5f7", linewidth=0, zorder=0)
        for place, (name, found) in enumerate(members):
            if found is None or found.value is None:
                continue
            colour, marker, _ = styles[name]
            _bar(axes, row - 0.4 + step * (place + 0.5), found, _GREY if found.greyed else colour, marker)
        if positives == 0:
            axes.text(0.505, row, "no positive record", va="center", fontsize=8, color=_GREY)
    axes.axvline(0.5, color=_GREY, linewidth=0.8)
    axes.set(yticks=range(len(TYPES)), ylim=(len(TYPES) - 0.5, -0.5), xlim=(0, 1), xlabel="AUROC")
    axes.set_yticklabels(labels)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    _legend_above(report, axes, shown)
    return figure


def _calibrated(report: Report) -> list[Probabilities]:
    regime = _one_regime(report)
    found = {each.method: each for each in report.probabilities if each.regime == regime}
    return [found[name] for name in main_methods(report) if name in found]


def _calibration(report: Report) -> Any:
    shown = _calibrated(report)
    styles = _styles(report, [each.method for each in shown])
    figure, grid = _canvas(
        report,
        max(5.2, 2.6 * len(shown) + 0.5),
        3.8,
        f"Probability of any MI, {regime_name(_one_regime(report))}",
        "Ten bins of equal count, each by a map of the other groups.",
        nrows=1,
        ncols=len(shown),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for each, axes in zip(shown, grid[0], strict=True):
        maps = {found.calibration: found for found in each.maps}
        axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=1.2, zorder=1)
        before = [(point.probability, point.frequency) for point in each.before]
        axes.plot(*zip(*before, strict=True), color=_GREY, marker="o", markerfacecolor="white", markersize=4.5,
                  linewidth=1, label=f"before: ECE {maps['none'].ece_width:.3f}")  # fmt: skip
        colour = styles[each.method][0]
        for point in each.after:
            if point.interval is not None:
                axes.plot([point.probability] * 2, point.interval, color=colour, linewidth=1.1)
        after = [(point.probability, point.frequency) for point in each.after]
        axes.plot(*zip(*after, strict=True), color=colour, marker="o", markersize=4.5, linewidth=1.2,
                  label=f"Platt: ECE {maps['platt'].ece_width:.3f}")  # fmt: skip
        axes.set_title(f"{each.method}, n = {each.n}")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", aspect="equal")
        axes.legend(loc="upper left", handlelength=1.4)
    grid[0][0].set_ylabel("share with MI")
    return figure


def _forest_rows(report: Report) -> list[tuple[str, str]]:
    """Pairs in the order of the plot; what is minus age and sex is in the table only."""
    found = [
        (f.method, f.minus)
        for f in report.differences
        if f.minus is not None and f.value is not None and (f.name, f.task) == (AUROC, ALL)
    ]
    unique = [pair for pair in dict.fromkeys(found) if pair[1] != AGE_SEX]
    return sorted(unique, key=lambda pair: pair[1] != SCRATCH)


def _differences(report: Report) -> Any:
    rows = _forest_rows(report)
    here = {f.regime for f in report.differences}
    regimes = [regime for regime in REGIMES if regime in here]
    figure, grid = _canvas(
        report,
        2.2 + 2.2 * len(regimes) + (1.4 if len(regimes) == 1 else 0.0),
        1.75 + 0.23 * len(rows),
        "Differences of AUROC, any MI against all other records",
        "Thick: patients drawn, networks fixed; thin: seeds drawn too. Filled: the thick interval excludes 0.",
        nrows=1,
        ncols=len(regimes),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    ends = [0.0]
    for regime, axes in zip(regimes, grid[0], strict=True):
        axes.axvline(0.0, color=_INK, linewidth=0.8)
        for row, (first, second) in enumerate(rows):
            found = _find(report.differences, method=first, minus=second, regime=regime, name=AUROC, task=ALL)
            if found is None or found.value is None:
                continue
            colour = _COLOURS[0] if second == SCRATCH else _COLOURS[1]
            for interval, width in ((found.interval_with_seeds, 0.9), (found.interval, 2.6)):
                if interval is not None:
                    axes.plot(interval, [row, row], color=colour, linewidth=width, solid_capstyle="butt")
                    ends += interval
            clear = found.interval is not None and (found.interval[0] > 0 or found.interval[1] < 0)
            axes.plot(
                found.value,
                row,
                "o",
                color=colour,
                markerfacecolor=colour if clear else "white",
                markersize=5,
            )
        axes.set_title(regime_name(regime))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    first_of_second = next((i for i, pair in enumerate(rows) if pair[1] != SCRATCH), 0)
    if 0 < first_of_second < len(rows):
        for axes in grid[0]:
            axes.axhline(first_of_second - 0.5, color=_FAINT, linewidth=1)
    reach = 1.08 * max(0.005, max(map(abs, ends)))
    grid[0][0].set(yticks=range(len(rows)), ylim=(len(rows) - 0.5, -0.5), xlim=(-reach, reach))
    grid[0][0].set_yticklabels([f"{first} minus {second}" for first, second in rows])
    for axes in grid[0]:
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel("difference of AUROC")
    return figure


def _learning_curve(report: Report) -> Any:
    methods = list(dict.fromkeys(point.method for point in report.curve))
    styles = _styles(report, methods)
    one = report.curve[0]
    figure, axes = _canvas(
        report,
        6.6,
        5.2,
        f"More records: AUROC of any MI, fine-tuned, n = {one.n} ({one.n_positive} with MI)",
        "Bars: patients drawn, networks fixed.",
    )
    for number, name in enumerate(methods):
        points = sorted((p for p in report.curve if p.method == name), key=lambda p: p.records)
        colour, marker, dash = styles[name]
        # bars that would hide each other stand beside each other
        shift = 1 + 0.025 * (number - (len(methods) - 1) / 2)
        x = [point.records * shift for point in points]
        axes.plot(x, [point.value for point in points], color=colour, linestyle=dash, marker=marker, markersize=5,
                  label=name)  # fmt: skip
        for at, point in zip(x, points, strict=True):
            if point.interval is not None:
                axes.plot([at, at], point.interval, color=colour, linewidth=1)
    axes.set_xscale("log")
    records = sorted({round(point.records) for point in report.curve})
    axes.set_xticks(records, labels=[f"{count:,}" for count in records])
    axes.minorticks_off()
    axes.set(xlabel="records trained on (mean over the groups)", ylabel="AUROC")
    axes.legend(loc="lower right")
    return figure


def _bar(axes: Any, y: float, found: Figure, colour: str, marker: str) -> None:
    if found.interval is not None:
        axes.plot(found.interval, [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
    axes.plot(found.value, y, marker=marker, color=colour, markersize=5, linestyle="none")


def _legend_above(report: Report, axes: Any, shown: list[str]) -> None:
    styles = _styles(report, shown)
    for name in shown:
        colour, marker, _ = styles[name]
        axes.plot([], [], color=colour, marker=marker, markersize=5, label=name)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(shown), borderaxespad=0.2)
