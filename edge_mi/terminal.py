"""What a person reads in a terminal: one line a decision, and the page at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edge_mi.bundle import Bundle, LayerFigures
from edge_mi.bundle_rows import layer_rows
from edge_mi.checkpoint import Metric, OperatingPoint
from edge_mi.decision import REASONS, Decision
from edge_mi.figure_names import figure_name
from edge_mi.notice import FINDING
from edge_mi.samples import FloatArray, Gap
from edge_mi.stream_tally import StreamTally

_BAR = 20
_BLOCKS = " ▁▂▃▄▅▆▇█"


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] | None = None) -> str:
    """Rows in aligned columns; numbers to the right, words to the left, whatever stands beside empty cells."""
    all_rows = [list(header), *map(list, rows)] if header else list(map(list, rows))
    widths = [max(len(row[i]) for row in all_rows) for i in range(len(all_rows[0]))]
    filled = [[row[i] for row in rows if row[i] not in ("", "-")] for i in range(len(widths))]
    right = [bool(cells) and all(map(_numeric, cells)) for cells in filled]
    lines = ["  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
             for row in all_rows]  # fmt: skip
    if header:
        lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def layer_table(layers: Sequence[LayerFigures], more: Mapping[str, Sequence[str]] | None = None) -> str:
    """The layers of a network as text; more: further columns, header -> one cell for each layer."""
    header, rows = layer_rows(layers, more or {})
    return table(rows, header=header)


def _numeric(text: str) -> bool:
    return bool(text) and (text[0].isdigit() or text[0] in "-+.≤≥<>") and any(c.isdigit() for c in text)


def gap_line(gap: Gap) -> str:
    """What is missing, since when and why."""
    missing = "an unknown number of" if gap.n_samples is None else str(gap.n_samples)
    return f"gap at {gap.t_s:.2f} s: {missing} samples missing ({gap.cause})"


def probability_bar(probability: float, threshold: float) -> str:
    """A bar of the probability with a mark at the threshold."""
    cells = ["█" if i < round(probability * _BAR) else "·" for i in range(_BAR)]
    cells[min(_BAR - 1, int(threshold * _BAR))] = "|"
    return "".join(cells)


def decision_line(decision: Decision, point: OperatingPoint) -> str:
    """One line for one decision."""
    start = f"{decision.t_s:9.2f} s  {decision.state:<12}"
    heart = "" if decision.heart_rate_bpm is None else f"  {decision.heart_rate_bpm:5.1f} bpm"
    if decision.probability is None:
        return f"{start}  {REASONS[decision.reason] if decision.reason else ''}{heart}".rstrip()
    bar = probability_bar(decision.probability, point.threshold)
    return f"{start}  {decision.probability:5.3f} {bar}{heart}"


def sparkline(signal_mv: FloatArray, columns: int = 72) -> str:
    """Lead I on one row of text: for each column the largest value, from the lowest block to the highest."""
    if len(signal_mv) < columns:
        return ""
    parts = np.array_split(signal_mv, columns)
    peaks = np.array([part[np.argmax(np.abs(part))] for part in parts])
    low, high = float(peaks.min()), float(peaks.max())
    scaled = (peaks - low) / (high - low) if high > low else np.zeros(columns)
    return "".join(_BLOCKS[1 + min(7, int(value * 8))] for value in scaled)


def summary(tally: StreamTally, bundle: Bundle, point: OperatingPoint) -> str:
    """The page at the end of a stream: what was heard, what was found, and what that is worth."""
    lines = ["", "RESULT"]
    if tally.median_probability is None:
        lines.append("  No window could be judged.")
    else:
        found = f"in {tally.positive} of {tally.answered} windows"
        if tally.alarm:
            lines.append(f"  ALARM: {FINDING} {found}.")
        elif tally.positive:
            lines.append(f"  {FINDING[0].upper()}{FINDING[1:]} {found}; no alarm.")
        else:
            lines.append(
                f"  No {FINDING} in {tally.answered} windows. This does not rule out a heart attack."
            )
        lines.append(
            f"  Median probability {tally.median_probability:.3f}, threshold {point.threshold:.3f} ({point.name}), "
            f"at a prevalence of {bundle.info.calibration.prevalence:.1%}."
        )
        if tally.median_heart_rate_bpm is not None:
            lines.append(f"  Heart rate {tally.median_heart_rate_bpm:.0f} bpm.")
    lines += ["", f"WINDOWS  {tally.answered} judged, {tally.windows - tally.answered} withheld"]
    lines += [f"  {n:5d}  {REASONS[reason]}" for reason, n in tally.withheld.most_common()]
    lines += ["", "HOW MUCH THIS IS WORTH"]
    lines.append(
        f"  On the records it was chosen on, this threshold found {point.sensitivity:.0%} of the infarctions and "
        f"raised {1 - point.specificity:.0%} of the others."
    )
    best = headline_metric(bundle.info.metrics)
    if best is not None:
        lines.append(f"  {metric_line(best)}")
    lines.append("  Most infarctions that it learned from were old ones; it is no test for a heart attack.")
    return "\n".join(lines)


def headline_metric(metrics: Sequence[Metric]) -> Metric | None:
    """The AUROC of MI against all others that a reader should see first: int8 before float."""
    candidates = [m for m in metrics if m.name == "auroc" and m.task == "mi_vs_all"]
    return min(candidates, key=lambda m: m.arithmetic != "int8", default=None)


def metric_line(metric: Metric) -> str:
    """A metric with its interval, n and source."""
    interval = "" if metric.interval is None else f" ({metric.interval[0]:.3f} to {metric.interval[1]:.3f})"
    return (
        f"{figure_name(metric.name)} {metric.value:.3f}{interval}, {metric.arithmetic}, n = {metric.n} "
        f"({metric.n_positive} with MI), {metric.source}"
    )
