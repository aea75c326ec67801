"""Docs from results: README's figures, docs/figures.md, the table of docs/bluetooth.md and the model card are written here, never by hand.

`python -m edge_mi.benchmarks.documents` from a checkout writes them; with --check it only compares.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from edge_mi.bundle import Bundle
from edge_mi.checkpoint import Metric
from edge_mi.errors import CheckFailed
from edge_mi.figure_names import figure_name, question
from edge_mi.files import write_file
from edge_mi.markdown import interval as _interval
from edge_mi.markdown import table as _table
from edge_mi.notice import NOTICE

from .aims import AIMS, aims_said, int8_said
from .alignment_figures import alignment_in_short, alignment_said
from .ble_vm_figures import ble_vm_figures
from .bridge_figures import bridge_figures
from .bridge_states import bridge_states
from .converter_figures import converter_figures
from .device_figures import arm_figures, mcu_figures
from .measured_on import labels_of, sample_of
from .noise_figures import noise_figures, noise_svg
from .pareto import pareto_svg
from .polarity_figures import polarity_figures
from .quantisation_figures import quantisation_figures
from .reproduction_figures import reproduction_documents, reproduction_figures
from .rival_figures import find_figure, no_better, rival_figures
from .scale_figures import scale_figures
from .size_figures import size_figures
from .trial_figures import trial_figures

ROOT: Final = Path(__file__).resolve().parents[1]
SHIPPED: Final = Path("edge_mi/shipped")
RESULTS: Final = Path("benchmarks/results")
BEGIN, END = "<!-- figures: written by python -m edge_mi.benchmarks.documents -->", "<!-- end of figures -->"

Json = dict[str, Any]


def main() -> int:
    """Write the documents, or compare them with `--check` (exit code 1 where they differ)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        try:
            check_documents(ROOT)
        except CheckFailed as exc:
            print(f"edge-mi: {exc}", file=sys.stderr)
            return 1
        return 0
    write_documents(ROOT)
    return 0


def write_documents(root: Path) -> None:
    """Write every generated document below `root`."""
    for path, text in render_documents(root).items():
        write_file(root / path, text.encode())


def check_documents(root: Path) -> None:
    """Raises CheckFailed where a document is not what the results say."""
    for path, text in render_documents(root).items():
        if (root / path).read_text(encoding="utf-8") != text:
            raise CheckFailed(
                f"{path} does not say what the results say: python -m edge_mi.benchmarks.documents"
            )


def render_documents(root: Path) -> dict[Path, str]:
    """Path below `root` -> text of every generated document."""
    bundle = Bundle.load(root / SHIPPED / "bundle")
    results = {path.stem: _load(path) for path in (root / RESULTS).glob("*.json")}
    return {
        Path("README.md"): _filled(root / "README.md", _headline(bundle, results)),
        Path("docs/figures.md"): "\n".join(
            [
                *_figures(bundle, results),
                *reproduction_figures(root),
                *trial_figures(results["trials"]),
                *noise_figures(results["noise"], results["spliced"]),
                *polarity_figures(results["polarity"]),
                *size_figures(results["sizes"]),
                *scale_figures(results["store_growth"], results["training_speed"]),
                *quantisation_figures(results["ranges"], results["qat"]),
                *converter_figures(results["converters"]),
                *mcu_figures(results["mcu"]),
                *arm_figures(results["arm"]),
            ]
        )
        + "\n",
        Path("docs/bluetooth.md"): _filled(root / "docs/bluetooth.md", ble_vm_figures(results["ble_vm"])),
        Path("docs/bluetooth-states.md"): bridge_states(),
        Path("docs/noise.svg"): noise_svg(results["noise"]),
        Path("docs/sizes.svg"): pareto_svg(results["sizes"]),
        SHIPPED / "MODEL_CARD.md": "\n".join(_card(bundle, results)) + "\n",
        **reproduction_documents(root),
    }


def _filled(path: Path, lines: list[str]) -> str:
    """The text of the document at `path` with `lines` between its two marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + "\n".join([BEGIN, "", *lines, "", END]) + after


def _headline(bundle: Bundle, results: dict[str, Json]) -> list[str]:
    cv, int8_cross = results["cross_validation"], results["int8_cross"]
    metrics = bundle.info.metrics
    lost = _metric(metrics, "auroc_int8_minus_float", "mi_vs_all", "int8")
    int8 = _metric(metrics, "auroc", "mi_vs_all", "int8")
    float_ = _metric(metrics, "auroc", "mi_vs_all", "float")
    rows = [
        _row("fold 9, int8, streamed from the files", "MI against all others", int8),
        _row("", "MI against other abnormal ECGs", _metric(metrics, "auroc", "mi_vs_other_abnormal", "int8")),
        _row("", "MI against normal ECGs", _metric(metrics, "auroc", "mi_vs_norm", "int8")),
        _row("fold 9, float", "MI against all others", float_),
        _row("fold 9, age alone, no ECG", "MI against all others", _metric(metrics, "auroc_age_alone", "mi_vs_all", "none")),
    ]  # fmt: skip
    for task in ("mi_vs_all", "mi_vs_other_abnormal", "mi_vs_norm"):
        found = _figure(cv, "lead_i", "auroc", task)
        rows.append(
            _cv_row(
                "folds 1 to 9, three groups, one network" if task == "mi_vs_all" else "",
                question(task),
                found,
            )
        )
    for task in AIMS:
        words = "folds 1 to 9, the same in int8, streamed from the files" if task == "mi_vs_all" else ""
        rows.append(_cv_row(words, question(task), _figure(int8_cross, "lead_i_int8", "auroc", task)))
    rows.append(
        _cv_row(
            "folds 1 to 9, age alone, no ECG",
            question("mi_vs_all"),
            _figure(cv, "age_alone", "auroc", "mi_vs_all"),
        )
    )
    rows.append(
        _cv_row(
            "folds 1 to 9, 12-lead teacher",
            question("mi_vs_all"),
            _figure(cv, "teacher_12_leads", "auroc", "mi_vs_all"),
        )
    )
    return [
        "MI: myocardial infarction. AUROC: how often a record with it gets a higher probability than one without (0.5 is a guess, 1 is "
        "perfect). Folds are the ten parts of PTB-XL; *three groups*: networks that saw six of folds 1 to 9, judged on the other three.",
        "",
        *_table(["PTB-XL, lead I", "question", "AUROC", "95 %", "MI / n"], rows),
        "",
        f"Weights, thresholds and calibration saw nothing of fold 9; the architecture and the recipe were chosen by cross-validation over folds 1 to 9. int8 minus float, in pairs: {lost.value:+.4f} ({_interval(lost.interval, signed=True)}), n = {lost.n}; {int8_said(int8_cross)}. "
        "n is smaller where records were withheld. Intervals are bootstraps over patients. "
        f"Made by `make model` and `edge-mi train cv`; everything else is in [docs/figures.md](docs/figures.md).{sample_of(cv['records'])}",
        "",
        alignment_in_short(cv, results["trials"]),
        "",
        aims_said(cv, int8_cross),
        "",
        "Beside what age and sex say without any ECG, folds 1 to 9:",
        "",
        *rival_figures(cv),
    ]


def _figures(bundle: Bundle, results: dict[str, Json]) -> list[str]:
    cv, latency, install, startup = (
        results[name] for name in ("cross_validation", "latency", "install_size", "startup")
    )
    lines = ["# Figures", "", "Written from results by `python -m edge_mi.benchmarks.documents`.", ""]
    lines += ["## The model that ships", "", f"`{bundle.model_id}`, {bundle.info.net.parameters:,} parameters, "
              f"{bundle.info.net.macs_window:,} MACs a window of {bundle.info.net.window_s:.2f} s.", ""]  # fmt: skip
    files = bundle.info.files
    lines += _table(["file", "bytes"], [[name, f"{entry.bytes:,}"] for name, entry in files.items()])
    for source in dict.fromkeys(metric.source for metric in bundle.info.metrics):
        group = [metric for metric in bundle.info.metrics if metric.source == source]
        lines += ["", f"{source}. Made by `{group[0].command}`.", ""]
        lines += _table(
            ["figure", "arithmetic", "question", "value", "95 %", "MI / n"],
            [
                [
                    figure_name(m.name),
                    m.arithmetic,
                    question(m.task),
                    f"{m.value:.3f}",
                    _interval(m.interval),
                    f"{m.n_positive} / {m.n}",
                ]
                for m in group
            ],
        )
    lines += ["", "## Cross-validation", "", f"{cv['data']}; {cv['records']} records of {cv['patients']} patients. "
              f"{cv['protocol'][0].upper()}{cv['protocol'][1:]}. Made by `{cv['command']}`.{labels_of(cv)}{sample_of(cv['records'])}", ""]  # fmt: skip
    lines += [
        *alignment_said(cv, results["trials"]),
        "",
        int8_said(results["int8_cross"], in_full=True),
        "",
        aims_said(cv, results["int8_cross"]),
        "",
    ]
    lines += [*rival_figures(cv), ""]
    lines += _table(
        ["subject", "figure", "question", "mean", "sd of networks", "95 %", "MI / n"],
        [
            [f["subject"], figure_name(f["name"]), question(f["task"]), f"{f['value']:+.4f}" if "difference" in f["name"] else f"{f['value']:.3f}",
             "-" if f["sd"] is None else f"{f['sd']:.3f}", _interval(f["interval"], signed="difference" in f["name"]), f"{f['n_positive']} / {f['n']}"]
            for f in cv["figures"]
        ],
    )  # fmt: skip
    machine = latency["machine"]
    lines += ["", "## Latency", "", f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; "
              + ", ".join(f"{name} {number}" for name, number in latency["versions"].items())
              + ". Microseconds, runners interleaved in one run. Made by `edge-mi bench`. No Raspberry Pi has been measured yet.", ""]  # fmt: skip
    columns = ("p50", "p90", "p99", "p999", "max", "n")
    timed = {name: runner["window_us"] for name, runner in latency["runners"].items()}
    lines += _table(
        ["one window", *columns], [[name, *(f"{t[c]:g}" for c in columns)] for name, t in timed.items()]
    )
    hops = {name: runner["hop_us"] for name, runner in latency["runners"].items() if runner["hop_us"]}
    lines += [
        "",
        *_table(
            ["one hop of 1 s", *columns],
            [[name, *(f"{t[c]:g}" for c in columns)] for name, t in hops.items()],
        ),
    ]
    lines += [
        "",
        f"A hop takes {latency['macs_hop']:,} MACs, {latency['macs_hop'] / latency['macs_window']:.1%} of a whole window.",
    ]
    fp32, int8 = timed["ort-fp32"]["p50"], timed["litert"]["p50"]
    lines += [
        "",
        f"int8 on LiteRT takes {int8 / fp32:.2f} of the time of fp32 on ONNX Runtime (p50 of both, the same run).",
        "",
    ]
    lines += _table(
        ["one second of stream", *columns],
        [[name, *(f"{t[c]:g}" for c in columns)] for name, t in latency["pipeline_us"].items()],
    )
    lines += ["", f"The whole detector runs at {latency['realtime_factor']:g} times real time on one core; "
              f"peak memory of the benchmark {latency['rss_mb']:g} MB.", ""]  # fmt: skip
    lines += bridge_figures(results["stream"], results["soak"], results["sensor_clock"])
    lines += ["## Install", "", f"`edge-mi[{install['extras']}]` takes {install['mib']:g} MiB on disk ({install['architecture']}, Python "
              f"{install['python']}), of it " + ", ".join(f"{name} {mib:g}" for name, mib in install["largest_mib"].items())
              + f". Made by `{install['command']}`.", ""]  # fmt: skip
    lines.append(
        f"`edge-mi --help` takes {startup['help_s']['p50']:g} s (median of {startup['n']}, at most {startup['help_s']['max']:g} s)."
    )
    return lines


def _card(bundle: Bundle, results: dict[str, Json]) -> list[str]:
    cv, int8_cross = results["cross_validation"], results["int8_cross"]
    info = bundle.info
    data, point = info.provenance.data[0], bundle.operating_point()
    teacher = _figure(cv, "teacher_12_leads", "auroc", "mi_vs_other_abnormal")
    own = _figure(cv, "lead_i", "auroc", "mi_vs_other_abnormal")
    ece = _figure(cv, "lead_i", "expected_calibration_error", "mi_vs_all")
    lost = _metric(info.metrics, "auroc_int8_minus_float", "mi_vs_all", "int8")
    shown = [m for m in info.metrics if m.arithmetic == "int8" and m is not lost]
    return [
        f"# Model card: {info.net.name}",
        "",
        f"> {NOTICE}",
        "",
        f"`{bundle.model_id}`, made by `make model` (training: `{info.provenance.command}`, commit {info.provenance.commit[:12]}).",
        "",
        "## What it is",
        "",
        f"A network of {info.net.parameters:,} parameters that reads {info.net.window_s:.2f} s of lead I at {info.net.rate_hz} Hz, in int8, "
        "and gives the probability that the ECG shows a pattern of myocardial infarction, old or new.",
        "",
        *alignment_said(cv, results["trials"]),
        "",
        "## What it was trained on",
        "",
        f"{data.records:,} records of {data.patients:,} patients from {data.name} {data.version} ({data.licence}), {data.selection}. "
        f"Labels: {info.provenance.labels}. Taught by those labels, by the out-of-fold answers of 12-lead networks, and by "
        "other statements, age and sex as side targets. Hospital ECGs at rest; most of the infarctions are old."
        f"{sample_of(data.records)}",
        "",
        "## How well",
        "",
        *_table(
            ["figure", "question", "value", "95 %", "MI / n"],
            [
                [
                    figure_name(m.name),
                    question(m.task),
                    f"{m.value:.3f}",
                    _interval(m.interval),
                    f"{m.n_positive} / {m.n}",
                ]
                for m in shown
            ],
        ),
        "",
        f"int8, {shown[0].source}. Weights, thresholds and calibration saw nothing of this fold; the architecture and the recipe were chosen by "
        f"cross-validation over folds 1 to 9. int8 minus float on the windows of the same fold, in pairs: {lost.value:+.4f} "
        f"({_interval(lost.interval, signed=True)}), n = {lost.n}; {int8_said(int8_cross)}.",
        "",
        "## How badly",
        "",
        f"- It mostly tells normal and young hearts from abnormal ones. Against *other abnormal* ECGs its cross-validated AUROC is "
        f"{own['value']:.3f} ({_interval(own['interval'])}); twelve leads reach {teacher['value']:.3f}. Age alone, without any ECG, has "
        f"{_figure(cv, 'age_alone', 'auroc', 'mi_vs_all')['value']:.3f} against all others.",
        f"- {aims_said(cv, int8_cross)}",
        *(f"- {line}" for line in no_better(cv) if line),
        f"- At its default threshold ({point.threshold:.3f}, {point.name}) it found {point.sensitivity:.0%} of the infarctions and raised "
        f"{1 - point.specificity:.0%} of the others among the records that the threshold was chosen on.{_held_out(cv, point.name)}",
        "- It never saw an ambulance, a wrist, a chest strap, or a heart attack in its first minutes.",
        "- Electrodes that are swapped turn its answer round. Such a lead I is withheld as upside down where the check sees it, which it "
        "often does not in a heart whose QRS points down by itself (docs/figures.md). A strap worn on the chest is not lead I and is not judged.",
        "",
        "## At which prevalence its probability holds",
        "",
        f"{info.calibration.prevalence:.1%}, that of the records it was fitted on ({info.calibration.fitted_on}). Where infarctions are rarer, "
        f"the true probability is lower. Cross-validated expected calibration error: {ece['value']:.3f}, as {_map(cv)}.",
        "",
        "## Beside age and sex",
        "",
        "AUROC, cross-validated over folds 1 to 9; age and sex see no ECG.",
        "",
        *rival_figures(cv),
    ]


def _held_out(cv: Json, point: str) -> str:
    """What a threshold gave on records that it was not chosen on, where that was measured."""
    shares = [
        find_figure(cv, "lead_i", f"{what}_of_{point}", "mi_vs_all")
        for what in ("sensitivity", "specificity")
    ]
    said = [
        f"{share['name'].partition('_')[0]} {share['value']:.0%} ({_interval(share['interval'])})"
        for share in shares
        if share is not None
    ]
    return f" Cross-validated, on records that it was not chosen on: {', '.join(said)}." if said else ""


def _map(cv: Json) -> str:
    if cv["schema"] == 1:
        return "the maps of the other groups give it"
    return "maps fitted inside the training folds give it, which is how this one was made"


def _metric(metrics: Iterable[Metric], name: str, task: str, arithmetic: str) -> Metric:
    return next(m for m in metrics if (m.name, m.task, m.arithmetic) == (name, task, arithmetic))


def _figure(cv: Json, subject: str, name: str, task: str) -> Json:
    found = find_figure(cv, subject, name, task)
    if found is None:
        raise CheckFailed(f"results/cross_validation.json has no {name} of {subject}, {task}")
    return found


def _row(subject: str, asked: str, metric: Metric) -> list[str]:
    return [
        subject,
        asked,
        f"{metric.value:.3f}",
        _interval(metric.interval),
        f"{metric.n_positive} / {metric.n}",
    ]


def _cv_row(subject: str, asked: str, figure: Json) -> list[str]:
    return [
        subject,
        asked,
        f"{figure['value']:.3f}",
        _interval(figure["interval"]),
        f"{figure['n_positive']} / {figure['n']}",
    ]


def _load(path: Path) -> Json:
    document: Json = json.loads(path.read_text(encoding="utf-8"))
    return document


if __name__ == "__main__":
    raise SystemExit(main())
