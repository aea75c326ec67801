"""The documents say what the results say, and no more than can be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from edge_mi.benchmarks.aims import aims_said
from edge_mi.benchmarks.alignment_figures import alignment_said
from edge_mi.benchmarks.documents import render_documents
from edge_mi.benchmarks.measured_on import labels_of, sample_of
from edge_mi.benchmarks.rival_figures import no_better, rival_figures

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/data.md",
    "docs/data-fetch.md",
    "docs/pretraining.md",
    "docs/figures.md",
    "docs/signing.md",
    "docs/patch-protocol.md",
    "docs/bluetooth.md",
    "docs/bluetooth-states.md",
    "docs/emulator.md",
)


def test_generated_documents_are_up_to_date() -> None:
    for path, text in render_documents(ROOT).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, (
            f"python -m edge_mi.benchmarks.documents ({path})"
        )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_files_that_the_documents_name_exist() -> None:
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(
            r"`((?:edge_mi|export|train|firmware_bridge|benchmarks|tests)/[\w/]+\.py)`", text
        ):
            assert (ROOT / target).exists(), f"{name}: {target}"


def figure(subject: str, task: str, value: float, low: float, high: float) -> dict[str, Any]:
    name = "auroc_difference" if "minus" in subject else "auroc"
    return {
        "subject": subject, "name": name, "task": task, "value": value, "interval": [low, high], "n": 9, "n_positive": 3,
    }  # fmt: skip


def test_a_band_in_which_age_is_as_good_is_said() -> None:
    young, old = "mi_vs_all_age_below_60", "mi_vs_all_age_75_and_over"
    cv = {
        "figures": [
            figure("lead_i", "mi_vs_all", 0.8, 0.7, 0.9),
            figure("age_alone", "mi_vs_all", 0.7, 0.6, 0.8),
            figure("lead_i minus age_alone", "mi_vs_all", 0.1, 0.05, 0.15),
            figure("lead_i", young, 0.77, 0.7, 0.8),
            figure("age_alone", young, 0.76, 0.7, 0.8),
            figure("lead_i minus age_alone", young, 0.01, -0.03, 0.05),
            figure("lead_i", old, 0.6, 0.5, 0.7),
            figure("age_alone", old, 0.5, 0.4, 0.6),
        ]
    }
    assert no_better(cv) == [
        "",
        "It is not shown to be better than age alone in: MI against all others, age below 60 "
        "(AUROC 0.770 against 0.760, in pairs +0.0100 (-0.0300 to +0.0500)).",
    ]
    table = rival_figures(cv)
    assert table[0] == "| question | lead I | 95 % | age alone | 95 % | lead I minus it | MI / n of lead I |"
    assert table[2].endswith("| +0.1000 (+0.0500 to +0.1500) | 3 / 9 |")
    assert table[4].endswith("| - | 3 / 9 |")


def test_a_network_that_age_beats_is_said_without_pairs_too() -> None:
    cv = {
        "figures": [
            figure("lead_i", "mi_vs_all", 0.7, 0.6, 0.8),
            figure("age_alone", "mi_vs_all", 0.72, 0.6, 0.8),
        ]
    }
    assert no_better(cv)[1].endswith("MI against all others (AUROC 0.700 against 0.720).")


def test_labels_and_sample_are_said_where_they_are_known() -> None:
    assert labels_of({"label_rule": "MI at any likelihood"}) == " Labels: MI at any likelihood."
    assert labels_of({}) == ""
    assert "not a random sample" in sample_of(1732)
    assert sample_of(19_600) == ""


def test_the_readme_begins_with_its_two_commands() -> None:
    head = (ROOT / "README.md").read_text(encoding="utf-8").partition("```")[2].partition("```")[0]
    assert [line.split("#")[0].strip() for line in head.strip().splitlines()] == ["make demo", "make test"]


def trials(labels: tuple[float, float], longer: tuple[float, float]) -> dict[str, Any]:
    def trial(name: str, ends: tuple[float, float]) -> dict[str, Any]:
        minus = {"value": sum(ends) / 2, "patients": ends, "patients_and_seeds": ends}
        return {"name": name, "outcomes": [{"task": "mi_vs_all", "minus": minus}]}

    return {"seeds": [0, 1, 2], "trials": [trial("labels", labels), trial("aligned-30-epochs", longer)]}


def aligned_minus_scratch(low: float, high: float, low_seeds: float, high_seeds: float) -> dict[str, Any]:
    found = figure("lead_i minus lead_i_from_scratch", "mi_vs_all", (low + high) / 2, low, high)
    return {"figures": [{**found, "each": [0.0] * 6, "interval_with_seeds": [low_seeds, high_seeds]}]}


BETTER = aligned_minus_scratch(0.01, 0.03, 0.005, 0.04)


@pytest.mark.parametrize(
    ("cv", "controls", "said"),
    [
        (BETTER, trials((-0.03, -0.01), (0.01, 0.03)), "Pre-training by alignment helps on these data.\n"),
        (BETTER, trials((-0.01, 0.01), (0.01, 0.03)), "labels on the same segments of every lead are not told"),
        (BETTER, trials((-0.03, -0.01), (-0.01, 0.03)), "is not shown: with a longer fine-tuning no gain is shown.\n"),
        (aligned_minus_scratch(0.01, 0.03, -0.01, 0.04), trials((-1, 1), (-1, 1)), "another seed may not gain; that the"),
        (aligned_minus_scratch(-0.01, 0.03, -0.02, 0.04), trials((-1, 1), (-1, 1)), "is not shown to help on these data"),
    ],
)  # fmt: skip
def test_alignment_is_said_to_help_no_more_than_its_controls_show(
    cv: dict[str, Any], controls: dict[str, Any], said: str
) -> None:
    assert said in "\n".join(alignment_said(cv, controls))


@pytest.mark.parametrize(
    ("all_others", "other_abnormal", "int8", "missed"),
    [
        (0.83, 0.71, -0.004, "**Missed: none.**"),
        (0.80, 0.71, -0.006, "**Missed: 0.82 in MI against all others (0.800); that of int8 (-0.0060).**"),
        (0.83, 0.65, 0.001, "**Missed: 0.70 in MI against other abnormal ECGs (0.650).**"),
    ],
)
def test_an_aim_that_was_missed_is_said(
    all_others: float, other_abnormal: float, int8: float, missed: str
) -> None:
    cv = [
        figure("lead_i", task, value, 0.5, 0.9)
        for task, value in (("mi_vs_all", all_others), ("mi_vs_other_abnormal", other_abnormal))
    ]
    lost = figure("lead_i_int8 minus lead_i", "mi_vs_all", int8, -0.01, 0.01)
    assert missed in aims_said({"figures": cv}, {"figures": [lost]})
