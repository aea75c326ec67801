"""The documents say what the results say, and no more than can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from edge_mi.benchmarks.documents import render_documents

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


def test_the_readme_begins_with_its_two_commands() -> None:
    head = (ROOT / "README.md").read_text(encoding="utf-8").partition("```")[2].partition("```")[0]
    assert [line.split("#")[0].strip() for line in head.strip().splitlines()] == ["make demo", "make test"]
