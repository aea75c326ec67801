"""The documents say what the results say, and no more than can be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
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
