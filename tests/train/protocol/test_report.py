"""A report is whole or absent, says what it ran on, and is drawn from its document alone."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.ptbxl import read_table
from edge_mi.train.protocol.curve import CurvePoint
from edge_mi.train.protocol.document import FILES, read_report, write_report
from edge_mi.train.protocol.figures import WITHIN_GROUPS
from edge_mi.train.protocol.methods import CAVEATS
from edge_mi.train.protocol.plots import main_methods, plot, plots
from edge_mi.train.protocol.report import Report, make_report
from edge_mi.train.protocol.table import table_text
from label_store import infarct_store, label_store
from made_up_protocol import made_up_result
from real_data import real_data

from edge_mi import strict
from edge_mi.errors import ConfigError, MissingDependency, OutputError
from edge_mi.notice import NOTICE

STORE = infarct_store()
ST_MV = np.random.default_rng(2).normal(scale=0.1, size=(len(STORE), 12))
STRENGTHS = {"scratch": 1.0, "selfmis": 1.5, "unaligned": 0.5, "age-sex": 0.4, "infonce": 1.2}
RESULT = made_up_result(STORE, STRENGTHS, seeds=2, regimes=("probe_1", "finetune"))
COMMAND = "edge-mi train reproduce toy.toml"


def point(method: str, records: float, minus: str | None = None) -> CurvePoint:
    return CurvePoint(
        method=method,
        minus=minus,
        fraction=records / 180,
        records=records,
        patients=records / 2,
        value=0.6 + records / 1000,
        each=(0.6 + records / 1000,),
        interval=(0.6, 0.8),
        interval_with_seeds=(0.5, 0.9),
        n=270,
        n_positive=102,
    )


CURVE = [point(name, n) for name in ("scratch", "selfmis", "infonce") for n in (45.0, 90.0, 180.0)]
CURVE += [point("selfmis", n, "scratch") for n in (45.0, 90.0, 180.0)]


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report(
        RESULT,
        STORE,
        "seeds = [0, 1]",
        COMMAND,
        CURVE,
        descriptions={"scratch": "from nothing"},
        resamples=30,
        st_mv=ST_MV,
    )


@pytest.fixture(scope="module")
def lines(report: Report) -> list[str]:
    return table_text(report).splitlines()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a written report."""
    pytest.importorskip("matplotlib", reason="the plots need matplotlib")
    out = tmp_path_factory.mktemp("written") / "new" / "report"
    write_report(RESULT, STORE, "", out, COMMAND, CURVE, resamples=30, st_mv=ST_MV)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def row(lines: list[str], section: str, *cells: str) -> list[str]:
    start = lines.index(f"## {section}")
    wanted = "| " + " | ".join(cells) + " |"
    found = next(line for line in lines[start:] if line.startswith(wanted))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_first_line_says_what_it_ran_on(lines: list[str]) -> None:
    assert lines[0] == (
        "Ran on labels 1, all: 270 records of 135 patients, 102 with MI; folds held out in turn: 1, 2, 3; 4, 5, 6; "
        "7, 8, 9; label rule: by hand; negatives: all 168 records without infarction "
        f"({int(STORE.norms.sum())} normal, {168 - int(STORE.norms.sum())} otherwise abnormal)."
    )


def test_the_notice_stands_above_and_below(lines: list[str]) -> None:
    assert lines[2] == lines[-1] == f"> {NOTICE}"


def test_a_row_says_method_parameters_regime_and_figures(lines: list[str], report: Report) -> None:
    cells = row(lines, "Methods", "selfmis", "66,978", "fine-tuned")
    any_mi = next(f for f in report.figures if (f.method, f.regime) == ("selfmis", "finetune"))
    assert cells[3:5] == ["80", "all, by teacher"]
    assert cells[5].startswith(f"{any_mi.value:.3f} [")
    within = next(
        f for f in report.figures if (f.method, f.regime, f.name) == ("selfmis", "finetune", WITHIN_GROUPS)
    )
    assert cells[6].startswith(f"{within.value:.3f} [")
    assert cells[9].endswith("(2 of 9 types)")
    assert cells[11].startswith("+0.")
    assert row(lines, "Methods", "scratch", "66,977", "fine-tuned")[11] == "-"


def test_a_probe_has_the_steps_of_pretraining_alone(lines: list[str]) -> None:
    assert row(lines, "Methods", "selfmis", "66,978", "probe, 1 % of labels")[3] == "30"
    assert row(lines, "Methods", "scratch", "66,977", "probe, 1 % of labels")[3:5] == ["0", "none"]


def test_the_caveats_stand_under_every_table(lines: list[str]) -> None:
    sections = [line for line in lines if line.startswith("## ")]
    for caveat in CAVEATS:
        assert lines.count(f"*{caveat}.*") == len(sections) - 1  # the last one has no table


def test_differences_of_the_curve_have_their_interval_and_that_with_seeds(lines: list[str]) -> None:
    cells = row(lines, "Learning curve", "selfmis minus scratch", "45")
    assert cells[3:5] == ["[+0.5000, +0.9000]", "+0.6450"]
    assert cells[2] == "+0.6450 [+0.6000, +0.8000]"


def test_the_second_retrieval_hides_lead_i(lines: list[str]) -> None:
    start = next(i for i, line in enumerate(lines) if line.startswith("The same with lead I hidden"))
    assert "III, aVR, aVL and aVF are sums of I and II" in lines[start]
    assert next(line for line in lines[start:] if line.startswith("| selfmis minus infonce")).count("([") == 2


def test_the_teacher_is_the_ceiling_without_types_of_its_own(lines: list[str]) -> None:
    cells = row(lines, "Methods", "teacher", "-", "12 leads")
    assert cells[5].startswith("0.")
    assert cells[9:] == ["-", "-", "-"]


def test_greyed_types_stand_in_brackets_and_missing_ones_have_a_dash(lines: list[str]) -> None:
    header = [cell.strip() for cell in lines[lines.index("## Nine types") + 4].strip("|").split("|")]
    cells = dict(zip(header, row(lines, "Nine types", "selfmis", "fine-tuned"), strict=True))
    assert cells["AMI (n = 18)"].startswith("*(0.")
    assert cells["IMI (n = 54)"].startswith("0.")
    assert cells["PMI (n = 0)"] == cells["LMI (n = 0)"] == "-"


def test_stages_are_greyed_alike(lines: list[str]) -> None:
    cells = row(lines, "Age, age of the infarction, precision", "selfmis", "fine-tuned")
    assert [cell.startswith("*(") for cell in cells[5:7]] == [True, True]


def test_differences_stand_with_both_intervals_and_every_seed(lines: list[str]) -> None:
    cells = row(lines, "Differences of AUROC", "selfmis minus infonce", "fine-tuned")
    assert cells[2].count("[") == cells[3].count("[") == 1
    assert cells[4].count(",") == 1
    assert [cell.count("([") for cell in cells[5:8]] == [1, 1, 1]


def test_methods_are_described_where_somebody_describes_them(lines: list[str]) -> None:
    assert "* `scratch`: from nothing." in lines


def test_the_document_can_be_read_back(report: Report) -> None:
    assert strict.loads(strict.dumps(report), Report) == report


def test_the_same_result_gives_the_same_document(report: Report) -> None:
    again = make_report(
        RESULT, STORE, "seeds = [0, 1]", COMMAND, CURVE, descriptions={"scratch": "from nothing"}, resamples=30,
        st_mv=ST_MV,
    )  # fmt: skip
    assert strict.dumps(again) == strict.dumps(report)


def test_every_method_has_probabilities_and_a_curve(report: Report) -> None:
    assert {each.method for each in report.probabilities} == {*STRENGTHS, "teacher"}
    curve = next(curve for curve in report.roc if curve.method == "selfmis")
    assert list(curve.sensitivity) == sorted(curve.sensitivity)
    assert all(a <= b for a, b in zip(curve.low, curve.high, strict=True))
    assert (curve.sensitivity[-1], curve.n_positive) == (1.0, 102)


def test_the_area_under_the_curve_is_the_auroc(report: Report) -> None:
    figures = {(f.method, f.regime): f for f in report.figures if (f.name, f.task) == ("auroc", "mi_vs_all")}
    for curve in report.roc:
        area = np.trapezoid(curve.sensitivity, curve.false_positive_rate)
        assert area == pytest.approx(figures[curve.method, curve.regime].value, abs=0.01)


def test_one_seed_is_enough() -> None:
    result = made_up_result(STORE, {"scratch": 1.0, "selfmis": 1.0}, seeds=1, regimes=("finetune",))
    text = table_text(make_report(result, STORE, "", COMMAND, resamples=10, st_mv=ST_MV))
    assert "## Learning curve" not in text
    assert row(text.splitlines(), "Differences of AUROC", "selfmis minus scratch", "fine-tuned")[3] == "-"


def test_one_method_has_nobody_to_differ_from(monkeypatch: pytest.MonkeyPatch) -> None:
    result = made_up_result(STORE, {"infonce": 1.0}, seeds=1, regimes=("probe_100",))
    report = make_report(result, STORE, "", COMMAND, resamples=10, st_mv=ST_MV)
    assert "No two methods of one regime to compare." in table_text(report)
    monkeypatch.setattr("edge_mi.train.protocol.plots.plot", lambda *_: b"")
    assert set(plots(report)) == {
        f"{name}.{e}" for name in ("roc", "types", "calibration") for e in ("svg", "png")
    }


def test_a_result_of_another_store_is_refused() -> None:
    half = label_store(STORE.records[:200])
    with pytest.raises(ConfigError, match="logits of 270 records, the store has 200"):
        make_report(RESULT, half, "", COMMAND, resamples=5)


def test_records_of_one_class_are_refused() -> None:
    healthy = label_store([replace(record, mi=False) for record in STORE.records])
    with pytest.raises(ConfigError, match="0 of 270 held-out records"):
        make_report(RESULT, healthy, "", COMMAND, resamples=5)


def test_normal_negatives_are_called_so() -> None:
    rows = [i for i, record in enumerate(STORE.records) if record.mi or record.norm]
    store = label_store([STORE.records[i] for i in rows])
    result = made_up_result(store, {"scratch": 1.0}, seeds=1, regimes=("finetune",))
    report = make_report(result, store, "", COMMAND, resamples=5, st_mv=ST_MV[rows])
    assert report.ran_on.negatives.startswith("normal ECGs only")


def test_a_plot_is_the_same_bytes_again(report: Report, drawn: dict[str, bytes]) -> None:
    assert plot(report, "types") == drawn["types.svg"]


def test_text_in_a_plot_is_text_with_its_n_and_the_notice(drawn: dict[str, bytes]) -> None:
    words = {
        name: " ".join(re.findall(r"<text[^>]*>([^<]*)<", content.decode()))
        for name, content in drawn.items()
        if name.endswith("svg")
    }
    assert len(words) == 5
    for name, text in words.items():
        assert NOTICE in text, name
        assert "270 records of 135 patients, 102 with MI" in text, name
        assert b"<dc:date>" not in drawn[name], name
    assert "n = 270 (102 with MI)" in words["roc.svg"]
    assert "n = 18" in words["types.svg"]


def test_greyed_types_are_grey(report: Report, drawn: dict[str, bytes]) -> None:
    many = [replace(f, greyed=False) for f in report.figures]
    ranked = plot(replace(report, figures=tuple(many)), "types")
    assert drawn["types.svg"].count(b"#8a8f98") > ranked.count(b"#8a8f98")


def test_the_main_rivals_are_the_ones_in_the_plots(report: Report) -> None:
    assert main_methods(report) == ["scratch", "selfmis", "unaligned", "age-sex", "infonce"]


def test_a_folder_is_written_whole(drawn: dict[str, bytes], tmp_path: Path) -> None:
    assert set(drawn) == set(FILES)
    (tmp_path / "results.json").write_bytes(drawn["results.json"])
    assert drawn["table.md"].decode() == table_text(read_report(tmp_path))


def test_what_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="the plots need matplotlib")

    def full(_: Report) -> dict[str, bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_mi.train.protocol.document.plots", full)
    with pytest.raises(OutputError, match="No space left"):
        write_report(RESULT, STORE, "", tmp_path / "report", COMMAND, resamples=5, st_mv=ST_MV)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_found_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="the plots need matplotlib")
    monkeypatch.setattr("edge_mi.train.protocol.document.make_report", None)
    with pytest.raises(OutputError, match="exists"):
        write_report(RESULT, STORE, "", tmp_path, COMMAND)


def test_without_matplotlib_the_line_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependency, match=r"matplotlib is not installed: pip install '.\[train\]'"):
        write_report(RESULT, STORE, "", tmp_path / "report", COMMAND)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(ConfigError, match="missing key schema"):
        read_report(tmp_path)


def test_real_labels_rank_the_types_that_they_have_enough_of() -> None:
    records = read_table(real_data("ptbxl")).records
    store = label_store(records)
    result = made_up_result(store, {"scratch": 1.0, "selfmis": 1.1}, seeds=1, regimes=("finetune",))
    st_mv = np.random.default_rng(0).normal(size=(len(store), 12))
    report = make_report(result, store, "", COMMAND, resamples=20, st_mv=st_mv)
    counts = {name: sum(name in record.codes for record in records) for name in ("IMI", "ASMI", "PMI")}
    types = {f.task: f for f in report.figures if f.method == "selfmis" and f.task.startswith("type_")}
    assert {name: types[f"type_{name}"].n_positive for name in ("IMI", "ASMI")} == {
        name: counts[name] for name in ("IMI", "ASMI")
    }
    assert [types[f"type_{name}"].greyed for name in ("IMI", "ASMI", "PMI")] == [False, False, True]
    plain = next(f for f in report.figures if f.task == "types_plain_mean")
    assert plain.types == tuple(t.removeprefix("type_") for t, f in types.items() if not f.greyed)
