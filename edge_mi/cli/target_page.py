"""What `edge-mi export --target` prints: does it fit, what each layer costs, and what a decision would."""

from __future__ import annotations

import textwrap
from typing import Any

from edge_mi.terminal import table

_ESTIMATES = {
    "window": "network, a whole window",
    "hop": "network, one hop",
    "decision of the C code": "C code, one decision",
}


def target_lines(target: dict[str, Any]) -> list[str]:
    """The page of a target report, as its document says it."""
    layers = [
        [layer["name"], f"{layer['bytes']:,}", f"{layer['macs_window']:,}", f"{layer['macs_hop']:,}"]
        for layer in target["layers"]
    ]
    graphs = [
        [
            graph["file"],
            f"{graph['file_bytes']:,}",
            "-" if graph["arena_bytes"] is None else f"{graph['arena_bytes']:,}",
            f"{graph['activations_bytes']:,}",
            graph["peak_layer"],
        ]
        for graph in target["graphs"]
    ]
    clock = "" if target["clock_hz"] is None else f", {target['clock_hz'] / 1e6:g} MHz"
    return [
        f"target {target['name']}: {target['title']} ({target['core']}{clock})",
        f"  flash {_budget(target['flash'])}",
        f"  RAM   {_budget(target['ram'])}",
        "",
        table(layers, header=["layer", "bytes", "MACs a window", "MACs a hop"]),
        "",
        table(graphs, header=["graph", "bytes", "TFLM arena", "activations", "peak in"]),
        *_wrapped([f"arena: {target['arena_source']}"]),
        *_code(target["firmware"]),
        "",
        *_estimates(target),
        *_wrapped(target["sources"]),
    ]


def _estimates(target: dict[str, Any]) -> list[str]:
    if all(estimate["instructions"] is None for estimate in target["estimates"]):
        return []
    rows = [
        [
            _ESTIMATES.get(estimate["decision"], estimate["decision"]),
            f"{estimate['macs']:,}",
            _number(estimate["instructions"]),
            _number(estimate["time_ms"]),
            _number(estimate["energy_uj"]),
        ]
        for estimate in target["estimates"]
    ]
    header = [target["estimates_are"], "MACs", "instructions", "ms", "µJ"]
    return [table(rows, header=header), *_wrapped([target["formula"]])]


def _wrapped(lines: list[str]) -> list[str]:
    """Paragraphs that a terminal of 100 columns shows whole."""
    return [part for line in lines for part in textwrap.wrap(line, 100, subsequent_indent="  ")]


def _code(code: dict[str, Any] | None) -> list[str]:
    if code is None:
        return []
    return _wrapped(
        [
            f"C code: {code['tables_bytes']:,} bytes of tables and at most {code['code_bytes']:,} of code; "
            f"{code['state_bytes']:,} bytes of state and at most {code['stack_bytes']:,} of stack (as measured: make mcu)"
        ]
    )


def _budget(budget: dict[str, Any]) -> str:
    needed = f"{budget['needed_bytes']:,} bytes ({budget['by']})"
    if budget["allowed_bytes"] is None:
        return f"{needed}, no limit"
    return f"{needed} of {budget['allowed_bytes']:,} allowed ({budget['share']:.0%} of {budget['total_bytes']:,})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}".removesuffix(".0")
