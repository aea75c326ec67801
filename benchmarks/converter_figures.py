"""The part of docs/figures.md on other converters: the tables, and in words where ours is not the best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge_mi.markdown import interval, table

Json = dict[str, Any]
RUNTIMES: Final = {
    "litert": "LiteRT XNNPACK",
    "litert-ref": "LiteRT reference",
    "tflm": "TFLM",
    "ort": "ONNX Runtime",
    "ort-int8": "ONNX Runtime, int8 kept",
}
_OURS: Final = "ours"


def converter_figures(result: Json) -> list[str]:
    """Lines of the section, from the result."""
    rows: list[Json] = result["rows"]
    labels = result["records"] > 0
    judged = f"{result['measured_windows']} windows of {result['measured']}" + (
        f" ({result['positive']} of {result['records']} records with MI)" if labels else ""
    )
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    processes, calls = rows[0]["latency"]["processes"], rows[0]["latency"]["n"]
    lines = [
        "",
        "## Other converters",
        "",
        f"The float weights of {result['network']} through the converters that one would otherwise take. Every route is calibrated on the same "
        f"{result['calibrated']}, by its own defaults; ours{' is the file that ships' if result['ours_is_shipped'] else ' is written anew'} (percentiles), and once more with the minimum and "
        f"maximum that most of them use. SQNR and AUROC on {judged}, frames as the reference kernels and unfused ONNX nodes give them; decisions at {len(result['operating_points'])} operating points and equal values on these and on synthetic ECG, "
        f"{result['windows']:,} windows. {versions}. Made by `{result['command']}`.",
        "",
        *table(
            ["route", "judged by", "input and output", "operators", "in float", "SQNR of logits, dB", "SQNR of frames, dB", "decisions other than float's", "equal values between runtimes"],
            [
                [
                    _route(row), RUNTIMES[row["runtime"]], row["ends"], _count(row["operators"]), _count(row["float_operators"]) or "none",
                    _decibels(row["sqnr_db"]["logits"]), _decibels(row["sqnr_db"]["frames"]), _share(_decisions(row)),
                    "; ".join(_pair(pair) for pair in row["pairs"]),
                ]
                for row in rows
            ]
            + [[found["converter"], "failed", f"`{found['error']}`", *["-"] * 6] for found in result["failed"]],
        ),
        "",
        f"What they cost. Arena: the smallest in which TFLM runs the file (64-bit build). Time: p50 of one window on one thread over ours in the same runtime, {calls:,} calls each, interleaved in one run; "
        f"the median of {processes} processes and its 95 % interval. Ours, opened a second time, gives {_noise(result)}. {result['machine']['processor']}, {result['machine']['cores']} cores.",
        "",
        *table(
            ["route", "judged by", "bytes", "arena", "time, ours = 1", *(["AUROC int8", "int8 minus float", "minus ours"] if labels else [])],
            [
                [
                    _route(row), RUNTIMES[row["runtime"]], f"{row['bytes']:,}", _arena(row), _ratio(row["latency"]),
                    *([_figure(row["auroc"]), _difference(row["auroc_minus_float"]), _difference((row["minus_ours"] or {}).get("auroc"))] if labels else []),
                ]
                for row in rows
            ],
        ),
        "",
    ]  # fmt: skip
    cells = [cell for row in rows if not row["name"].startswith(_OURS) for cell in compared(row, result)]
    lost = [f"- {cell.where}: {cell.theirs}" for cell in cells if cell.ours_is == "worse"]
    lines += [
        f"Against the {len(cells)} cells of other converters ours is better beyond noise in {_number(cells, 'better')}, worse in {len(lost)}, and level in {_number(cells, 'level')} "
        f"(95 % interval of the paired difference; time: beyond the interval of ours, opened twice).{' Worse:' if lost else ''}",
        *(["", *lost] if lost else []),
    ]
    return lines + _option_cost(rows)


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of another converter beside ours in the same runtime; `theirs` says it in words."""

    where: str
    theirs: str
    ours_is: Literal["better", "worse", "level"]


def compared(row: Json, result: Json) -> list[Cell]:
    """Every figure that `row` and ours both have."""
    own = next(r for r in result["rows"] if (r["name"], r["runtime"]) == (_OURS, row["runtime"]))
    where = f"{row['converter']}, {RUNTIMES[row['runtime']]}"
    cells = []

    def add(theirs: str, low: float, high: float) -> None:
        """low, high: the ends of how much more ours costs or loses."""
        cells.append(Cell(where, theirs, "worse" if low > 0 else "better" if high < 0 else "level"))

    in_float = [sum(each["float_operators"].values()) for each in (own, row)]
    words = [_count(each["float_operators"]) or "nothing" for each in (row, own)]
    add(f"computes {words[0]} in float, ours {words[1]}", *[in_float[0] - in_float[1]] * 2)
    for name, text, sign, form in _DIFFERENCES:
        found = row["minus_ours"].get(name)
        if found:
            low, high = sorted(sign * end for end in found["interval"])
            ends = " to ".join(form(end) for end in found["interval"])
            add(f"{text} {form(found['value'])} from ours ({ends})", low, high)
    add(f"{row['bytes']:,} bytes, ours {own['bytes']:,}", *[own["bytes"] - row["bytes"]] * 2)
    arenas = [each.get("arena_bytes") for each in (own, row)]
    if arenas[0] is not None and arenas[1] is not None:
        add(f"arena of {arenas[1]:,} bytes, ours {arenas[0]:,}", *[arenas[0] - arenas[1]] * 2)
    time, noise = row["latency"], result["noise"][row["runtime"]]
    (low, high), (least, most) = time["interval"], noise["interval"]
    add(f"{_ratio(time)} of our time", least - high, most - low)
    return cells


_DIFFERENCES: Final[tuple[tuple[str, str, int, Callable[[float], str]], ...]] = (
    ("sqnr_logits_db", "SQNR of logits, dB,", 1, "{:+.1f}".format),
    ("sqnr_frames_db", "SQNR of frames, dB,", 1, "{:+.1f}".format),
    ("decisions_differ", "share of decisions other than float's", -1, "{:+.2%}".format),
    ("identical", "share of equal values between runtimes", 1, "{:+.1%}".format),
    ("auroc", "AUROC", 1, "{:+.4f}".format),
)


def _number(cells: list[Cell], verdict: str) -> int:
    return sum(cell.ours_is == verdict for cell in cells)


def _option_cost(rows: list[Json]) -> list[str]:
    """What `session.qdqisint8allowed`, with which EdgeMI opens its own file, does to the time."""
    p50 = {row["runtime"]: row["latency"]["p50_us"] for row in rows if row["name"] == _OURS}
    if not {"ort", "ort-int8"} <= set(p50):
        return []
    return [
        "",
        "*int8 kept* is how EdgeMI opens its own .onnx file (`session.qdqisint8allowed`): by default ONNX Runtime turns int8 into uint8 on x86, which "
        f"saturates on processors without VNNI. Here it takes {p50['ort-int8'] / p50['ort']:.1f} times as long as the default; LiteRT gives the same bits and needs no option.",
    ]


def _route(row: Json) -> str:
    return f"**{row['converter']}**" if row["name"].startswith(_OURS) else str(row["converter"])


def _count(operators: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in operators.items())


def _decisions(row: Json) -> float:
    shares = row["decisions_differ"].values()
    return float(sum(shares) / len(shares))


def _pair(pair: Json) -> str:
    names = f"{RUNTIMES[pair['a']]} and {RUNTIMES[pair['b']]}"
    return f"{names}: `{pair['error']}`" if "error" in pair else f"{names} {_share(pair['identical'])}"


def _share(value: float) -> str:
    """A share that reads 100 % only where it is all."""
    return "100 %" if value == 1 else f"{100 * min(value, 0.9999):.2f} %"


def _arena(row: Json) -> str:
    if row["format"] == "onnx":
        return "-"
    return f"{row['arena_bytes']:,}" if row["arena_bytes"] is not None else f"`{row['arena_error']}`"


def _ratio(latency: Json) -> str:
    return (
        "1" if latency["interval"] == [1, 1] else f"{latency['ratio']:.3f} ({interval(latency['interval'])})"
    )


def _noise(result: Json) -> str:
    return ", ".join(f"{_ratio(found)} on {RUNTIMES[name]}" for name, found in result["noise"].items())


def _decibels(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _figure(found: Json) -> str:
    return f"{found['value']:.3f} ({interval(found['interval'])})"


def _difference(found: Json | None) -> str:
    return "-" if found is None else f"{found['value']:+.4f} ({interval(found['interval'], signed=True)})"
