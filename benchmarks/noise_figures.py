"""The part of docs/figures.md on noise and long streams, and the plot of AUROC against the signal-to-noise ratio."""

from __future__ import annotations

from math import ceil, floor
from typing import Any, Final

from edge_mi.markdown import interval, table

from .measured_on import labels_of
from .svg import line, opening, text, value_grid

Json = dict[str, Any]

_NAMES: Final = {
    "none": "none",
    "bw": "baseline wander",
    "ma": "muscle artefact",
    "em": "electrode motion",
    "patch": "a whole patch",
}
_PANELS: Final = ("bw", "ma", "em")
_WIDTH, _HEIGHT = 960, 440
_TOP, _BOTTOM, _LEFT = 112, 74, 74
_PANEL, _GAP = 262, 32
_STYLE: Final = """
  .ground { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .axis { stroke: #59636e; stroke-width: 1 }
  .quiet { fill: #59636e } .title { font-weight: 600; font-size: 15px }
  .m0 { stroke: #0969da; fill: #0969da } .m1 { stroke: #bc4c00; fill: #bc4c00 }
  .line { stroke-width: 2; fill: none } .open { stroke-dasharray: 4 4 } .bar { stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #f0f6fc } .quiet { fill: #9198a1 }
    .grid { stroke: #3d444d } .axis { stroke: #9198a1 }
    .m0 { stroke: #4493f8; fill: #4493f8 } .m1 { stroke: #f0883e; fill: #f0883e }
    .line { fill: none }
  }
"""


def noise_figures(noise: Json, spliced: Json) -> list[str]:
    """Lines of the section, from results/noise.json and results/spliced.json."""
    return ["", "## Noise and long streams", "", *_noise(noise), "", *_spliced(spliced)]


def _noise(document: Json) -> list[str]:
    names = [model["name"] for model in document["models"]]
    rows, differences = [], []
    for condition in document["conditions"]:
        for name in names:
            found = condition["models"][name]
            rows.append(
                [
                    _NAMES[condition["noise"]], _ratio(condition["snr_db"]), name,
                    f"{1 - found['windows_answered'] / found['windows']:.1%}",
                    f"{found['records_answered']} / {document['n']}",
                    _auroc(found["auroc_answered"]), _ends(found["auroc_answered"]),
                    _auroc(found["auroc_ungated"]), _ends(found["auroc_ungated"]),
                ]
            )  # fmt: skip
        differences += [
            [
                _NAMES[condition["noise"]], _ratio(condition["snr_db"]), f"{each['of']} minus {each['minus']}",
                _auroc(each["answered"], "+.4f"), _ends(each["answered"], signed=True),
                _auroc(each["ungated"], "+.4f"), _ends(each["ungated"], signed=True),
            ]
            for each in condition["differences"]
        ]  # fmt: skip
    lines = [
        f"{document['data']}; n = {document['n']}, {document['n_positive']} with MI, {document['patients']} patients, which no model saw. "
        f"Noise is added before the chain at the ratio of `nst` of the WFDB package, for each record by itself (a median of {document['beats']:g} beats; "
        f"{document['records_without_a_beat']} records without one), the same crop for every model and every ratio: "
        + ", ".join(f"{_NAMES[kind]} from {origin}" for kind, origin in document["noise"].items())
        + ". Refused: windows that the quality rules leave undetermined; the AUROC beside it is that of the records with an answer, the other one ignores the rules. "
        f"Intervals are bootstraps over patients. Made by `{document['command']}`.{labels_of(document)}",
        "",
        *(f"`{m['name']}`: `{m['model_id']}`, `{m['trained_by']}`.  " for m in document["models"]),
        "",
        *table(
            ["noise", "SNR, dB", "model", "refused", "records answered", "AUROC answered", "95 %", "AUROC, rules ignored", "95 %"],
            rows,
        ),
    ]  # fmt: skip
    if differences:
        lines += [
            "",
            "In pairs, on the records that both answered, and on all with the rules ignored.",
            "",
            *table(["noise", "SNR, dB", "difference", "answered", "95 %", "rules ignored", "95 %"], differences),
        ]  # fmt: skip
    return [*lines, "", "![AUROC against the signal-to-noise ratio](noise.svg)"]


def _spliced(document: Json) -> list[str]:
    rows = [
        [
            stream["model"], stream["joint"], f"{stream['answered_in_stream']} / {document['n']}",
            _auroc(stream["auroc_alone"]), _auroc(stream["auroc_in_stream"]), _ends(stream["auroc_in_stream"]),
            _auroc(stream["difference"], "+.4f"), _ends(stream["difference"], signed=True),
            f"{stream['logit_moved']['median']:.3f}", f"{stream['logit_moved']['max']:.3f}", f"{stream['logit_sd']:.2f}",
            str(stream["decisions_changed"]),
        ]
        for stream in document["streams"]
    ]  # fmt: skip
    return [
        f"{document['data']}: n = {document['n']}, {document['n_positive']} with MI. Each window that lies wholly within a record is compared with the record alone, "
        "whose ends the chain extends; in the stream the heart of another patient stands there. `level`: joined where the last record ended; `raw`: with the step between baselines. "
        f"Made by `{document['command']}`.{labels_of(document)}",
        "",
        *table(
            ["model", "joint", "answered", "AUROC alone", "AUROC in the stream", "95 %", "difference", "95 %", "logit moved, median", "most", "sd of logits", "decisions changed"],
            rows,
        ),
    ]  # fmt: skip


def noise_svg(document: Json) -> str:
    """AUROC with the rules ignored against the ratio, a panel for each kind of noise; the first two models."""
    names = [model["name"] for model in document["models"]][:2]
    ends = [
        end
        for condition in document["conditions"]
        for name in names
        for end in condition["models"][name]["auroc_ungated"]["interval"]
    ]
    low, high = floor(20 * min(ends)) / 20, ceil(20 * max(ends)) / 20
    parts = [
        *opening(_WIDTH, _HEIGHT, "AUROC against the signal-to-noise ratio for three kinds of noise", _STYLE),
        text(_LEFT, 26, "AUROC in noise, MI against all others", "title"),
        text(
            _LEFT, 47,
            f"PTB-XL fold {document['fold']}, n = {document['n']} ({document['n_positive']} with MI), int8 through the stream, "
            "quality rules ignored, 95 % over patients",
            "quiet",
        ),
        text(
            _LEFT, 66, "Dashed: share of windows that the rules let through, none at the bottom and all at the top", "quiet"
        ),
    ]  # fmt: skip
    for i, name in enumerate(names):
        at = _LEFT + 200 * i
        parts += [f'<path class="line m{i}" d="M{at} 84h24"/>', text(at + 32, 88, name)]
    for i, kind in enumerate(_PANELS):
        parts += _panel(document, names, kind, _LEFT + i * (_PANEL + _GAP), low, high, first=i == 0)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    document: Json, names: list[str], kind: str, left: float, low: float, high: float, *, first: bool
) -> list[str]:
    clean = [c for c in document["conditions"] if c["noise"] == "none"]
    noisy = [c for c in document["conditions"] if c["noise"] == kind]
    shown = [*clean, *sorted(noisy, key=lambda c: -float(c["snr_db"]))]
    bottom = _HEIGHT - _BOTTOM

    def x(k: int) -> float:
        return round(left + 18 + (_PANEL - 36) * k / max(len(shown) - 1, 1), 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * (value - low) / (high - low), 1)

    parts = value_grid(y, low, high, 0.05, left=left, width=_PANEL, named=first)
    parts.append(line("axis", left, bottom, left + _PANEL, bottom))
    for k, condition in enumerate(shown):
        label = "clean" if condition["snr_db"] is None else f"{condition['snr_db']:g}"
        parts.append(text(x(k), bottom + 20, label, "quiet", anchor="middle"))
    parts.append(text(left + _PANEL / 2, bottom + 42, f"SNR in dB, {_NAMES[kind]}", anchor="middle"))
    for i, name in enumerate(names):
        found = [condition["models"][name] for condition in shown]
        aside = 4 * (2 * i - len(names) + 1)
        route = " ".join(f"{x(k) + aside:g},{y(f['auroc_ungated']['value'])}" for k, f in enumerate(found))
        parts.append(f'<polyline class="line m{i}" points="{route}"/>')
        for k, each in enumerate(found):
            ends = each["auroc_ungated"]["interval"]
            parts.append(line(f"bar m{i}", x(k) + aside, y(ends[0]), x(k) + aside, y(ends[1])))
            parts.append(
                f'<circle class="m{i}" cx="{x(k) + aside:g}" cy="{y(each["auroc_ungated"]["value"])}" r="3.5"/>'
            )
    answered = [c["models"][names[0]]["windows_answered"] / c["models"][names[0]]["windows"] for c in shown]
    # the whole height of the panel stands for all windows
    route = " ".join(f"{x(k):g},{bottom - (bottom - _TOP) * share:g}" for k, share in enumerate(answered))
    return [*parts, f'<polyline class="axis line open" points="{route}"/>']


def _ratio(snr_db: float | None) -> str:
    return "-" if snr_db is None else f"{snr_db:g}"


def _auroc(found: Json | None, form: str = ".3f") -> str:
    return "-" if found is None else f"{found['value']:{form}}"


def _ends(found: Json | None, *, signed: bool = False) -> str:
    return "-" if found is None else interval(found["interval"], signed=signed)
