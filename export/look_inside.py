"""What is inside a bundle, as one page that needs nothing else: `edge-mi info --html FILE`.

Weights are read from `model.int8.onnx` and `model.fp32.onnx`, so the page tells of the files and not of the
checkpoint that they once came from; activations are those of the family `fast` on the synthetic check windows.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import Bundle
from edge_mi.bundle_rows import METRIC_HEADER, identity_rows, layer_rows, metric_row, metrics_by_source
from edge_mi.checkpoint import Metric
from edge_mi.golden import read_golden
from edge_mi.samples import FloatArray

from . import svg
from .bundle_reader import read_float, read_quantised
from .check_windows import layer_windows
from .layers import LayerReport, LayerRun, differ_columns, report_layers, run_layers, sqnr_db
from .page import Cell, Content, Html, charts, definitions, details, figure, page, paragraph, section, table
from .quantise import QuantisedLayer

_CODES_A_BIN = 4
_EDGES = np.arange(-128.0, 129.0, _CODES_A_BIN)
_CODE_TICKS = (-128, -64, 0, 64, 127)
_ERROR_BINS = 49
_MOST_STEPS = 12


def look_inside(bundle: Bundle) -> str:
    """The page as HTML.

    Raises BundleError where the files are of another network, MissingDependency without the extra `export`.
    """
    info = bundle.info
    net, weights = read_quantised(bundle), read_float(bundle)
    windows_mv = layer_windows(info.signal, info.net)
    reports = report_layers(net, weights, bundle.content, windows_mv)
    runs = run_layers(net, weights, windows_mv)
    parts = [
        section("Identity", definitions([*identity_rows(bundle)[1:], ("golden outputs", _golden(bundle))])),
        section("How well it does", *_metrics(info.metrics)),
        section("Layers", *_layers(bundle, reports)),
    ]
    for layer, run in zip((*net.convs, net.head), runs, strict=True):
        parts.append(section(layer.name, *_layer(layer, run), level=3))
    files: list[list[Content]] = [
        [name, Cell(f"{e.bytes:,}"), Cell(e.sha256, "hash")] for name, e in info.files.items()
    ]
    total = sum(entry.bytes for entry in info.files.values())
    parts.append(
        section("Files", table(["file", "bytes", "sha256"], files), paragraph(f"{total:,} bytes in all."))
    )
    return page(
        f"{bundle.model_id}: a look inside",
        bundle.model_id,
        "A look inside an EdgeMI bundle",
        info.notice,
        parts,
        f"Made by edge-mi info --html; the bundle was exported with edge-mi {info.versions.get('edge-mi', '?')}.",
    )


def _golden(bundle: Bundle) -> str:
    golden = read_golden(bundle)
    detail = "of every layer" if golden.layers else "of filter, window, input, embedding and logits"
    return f"{len(golden.signal_uv)} synthetic signals at {golden.rate_hz} Hz with the values {detail}"


def _metrics(metrics: tuple[Metric, ...]) -> list[Html]:
    shown = [metric for metric in metrics if metric.arithmetic == "int8"]
    others = [metric for metric in metrics if metric.arithmetic != "int8"]
    if not metrics:
        return [paragraph("The bundle carries no figures.")]
    parts: list[Html] = []
    for source, group in metrics_by_source(shown).items():
        parts += [
            paragraph(f"int8, {source}. Intervals: 95 %, bootstrap over patients."),
            _metric_table(group),
        ]
    if others:
        rows = [
            part
            for source, group in metrics_by_source(others).items()
            for part in (paragraph(f"{source}."), _metric_table(group))
        ]
        parts.append(details(f"{len(others)} more, of the float network and of age alone", *rows))
    return parts


def _metric_table(metrics: list[Metric]) -> Html:
    rows: list[list[Content]] = []
    for metric in metrics:
        name, asked, value, spread, n = metric_row(metric)
        chart = Html("")
        if metric.interval is not None and min(metric.interval) >= 0 and max(metric.interval) <= 1:
            chart = svg.interval(
                metric.interval[0], metric.value, metric.interval[1], title=f"{value}, {spread}"
            )
        rows.append([Cell(name, "words"), Cell(asked, "words"), Cell(value), Cell(spread), chart, Cell(n)])
    figure_head, question_head, value_head, interval_head, n_head = METRIC_HEADER
    header = [figure_head, question_head, value_head, interval_head, "0 to 1", n_head]
    return table(header, rows)


def _layers(bundle: Bundle, reports: tuple[LayerReport, ...]) -> list[Html]:
    figures = [report.figures for report in reports]
    n = figures[0].windows
    lines = [
        f"{n} synthetic windows, int8 of the family fast beside the float network. SQNR: power of the float output to "
        "that of the difference, as it arrives through all layers before. Saturated: outputs beyond the ends of int8 "
        "in float. Differ: values of the files that are not those of the integers; ONNX Runtime is unfused here, so that "
        "the layers between can be seen, adds in float and may miss an edge."
    ]
    if tuple(figures) != bundle.info.layers:
        lines.append(
            "The figures in model.json are others: another version of edge-mi wrote them, or the files are not its own."
        )
    header, cells = layer_rows(figures, differ_columns(reports))
    rows: list[list[Content]] = [
        [name, *(Cell(_minus(cell).replace(" x ", " × ")) for cell in others)] for name, *others in cells
    ]
    totals = [
        sum(f.macs_window for f in figures),
        sum(f.macs_hop for f in figures),
        sum(f.bytes for f in figures),
    ]
    rows.append(["sum", Cell(""), *(Cell(f"{total:,}") for total in totals), *[Cell("")] * (len(header) - 5)])
    drawn = [
        figure(
            "Signal to quantisation noise",
            svg.bars(
                [(f.name, f.sqnr_db, _decibels(f.sqnr_db)) for f in figures],
                unit="SQNR, dB",
                title="SQNR of each layer in decibels",
                kind="error",
            ),
        ),
        figure(
            "Work for one decision, computed by hops",
            svg.bars(
                [(f.name, f.macs_hop / 1000, f"{f.macs_hop / 1000:,.1f}") for f in figures],
                unit="thousand MACs a hop",
                title="multiply-accumulates of each layer for a hop, in thousands",
                kind="weight",
            ),
        ),
    ]
    return [*map(paragraph, lines), charts(*drawn), table(header, rows, sums=True)]


def _layer(layer: QuantisedLayer, run: LayerRun) -> list[Html]:
    figures, result = run.figures, run.figures.result
    out, into, kernel = layer.weight.shape
    facts = (
        f"{into} to {out} channels, kernel {kernel}, stride {layer.stride}{', ReLU' if layer.relu else ''}; "
        f"{layer.weight.size:,} weights; output {figures.shape[0]} × {figures.shape[1]}, {figures.values:,} values over "
        f"{figures.windows} windows, {result.low:.3f} to {result.high:.3f} in steps of {result.scale:.5f}; "
        f"SQNR {_decibels(figures.sqnr_db)} dB."
    )
    drawn = [_weights(layer), _outputs(layer, run), _errors(layer, run)]
    if out > 1:
        drawn.append(_channels(layer, run))
    return [paragraph(_minus(facts)), charts(*drawn)]


def _weights(layer: QuantisedLayer) -> Html:
    zero = float((layer.weight == 0).mean())
    chart = svg.histogram(
        _shares(layer.weight),
        _EDGES,
        ticks=_CODE_TICKS,
        label="int8 code",
        title=f"{layer.name}: weights",
        kind="weight",
    )
    low, high = float(layer.weight_scale.min()), float(layer.weight_scale.max())
    return figure("Weights", chart, f"A scale for each channel, {low:.2g} to {high:.2g}. Zero: {zero:.1%}.")


def _outputs(layer: QuantisedLayer, run: LayerRun) -> Html:
    zero_point = layer.result.zero_point
    zero = float((run.codes == zero_point).mean())
    codes = run.codes[run.codes != zero_point] if layer.relu else run.codes
    chart = svg.histogram(
        _shares(codes, run.codes.size),
        _EDGES,
        ticks=_CODE_TICKS,
        label="int8 code",
        title=f"{layer.name}: outputs",
        kind="output",
    )
    note = f"Zero, at code {zero_point}: {zero:.1%}{', not drawn' if layer.relu else ''}. "
    return figure("Outputs", chart, _minus(f"{note}Saturated: {run.figures.saturated:.3%}."))


def _errors(layer: QuantisedLayer, run: LayerRun) -> Html:
    silent = (run.exact == 0) & (run.real == 0)
    steps = ((run.real - run.exact) / layer.result.scale)[~silent]
    span = float(np.clip(np.ceil(np.percentile(np.abs(steps), 99.5)), 1, _MOST_STEPS)) if steps.size else 1.0
    edges = np.linspace(-span, span, _ERROR_BINS + 1)
    counts = np.histogram(steps, edges)[0] / max(steps.size, 1)
    chart = svg.histogram(
        counts,
        edges,
        ticks=[-span, -span / 2, 0, span / 2, span],
        label="int8 minus float, output steps",
        title=f"{layer.name}: error against float",
        kind="error",
    )
    beyond = float((np.abs(steps) > span).mean()) if steps.size else 0.0
    mean = float(steps.mean()) if steps.size else 0.0
    note = f"Mean {round(mean, 2) + 0.0:+.2f} steps; beyond the edges {beyond:.1%}."
    if silent.any():
        note += f" Left out: {silent.mean():.1%}, 0 in both."
    return figure("Error against float", chart, _minus(note))


def _channels(layer: QuantisedLayer, run: LayerRun) -> Html:
    values = [sqnr_db(run.exact[:, :, i], run.real[:, :, i]) for i in range(run.exact.shape[2])]
    known = [value for value in values if value is not None]
    chart = svg.columns(
        values, label="channel", unit="SQNR, dB", title=f"{layer.name}: SQNR by channel", kind="error"
    )
    note = f"{min(known):.1f} to {max(known):.1f} dB." if known else ""
    dead = int((~run.exact.any(axis=(0, 1))).sum())
    if dead:
        note += f" Always 0: {dead} of {len(values)} channels."
    return figure("SQNR by channel", chart, _minus(note))


def _shares(codes: NDArray[np.int8], n: int | None = None) -> FloatArray:
    shares: FloatArray = np.histogram(codes, _EDGES)[0] / max(codes.size if n is None else n, 1)
    return shares


def _decibels(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _minus(text: str | int) -> str:
    """With a minus sign in place of the hyphen before a number."""
    return re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", str(text))
