"""Which records a folder has, and what their headers say of the patient."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_mi.train.data.headers import age_years, female, fields, list_headers
from layouts import wfdb_record

from edge_mi.errors import RecordError


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_headers(folder)]


def test_without_a_list_every_header_by_name(tmp_path: Path) -> None:
    for name in ("g2/B1", "g10/B2", "A2", "A10"):
        wfdb_record((tmp_path / name).parent, Path(name).name, n=10)
    assert names(tmp_path) == ["A10.hea", "A2.hea", "g10/B2.hea", "g2/B1.hea"]


def test_a_list_names_records_and_folders_there_or_not(tmp_path: Path) -> None:
    wfdb_record(tmp_path / "g1", "B2", n=10)
    wfdb_record(tmp_path / "g1", "B1", n=10)
    (tmp_path / "g1" / "RECORDS").write_text("B2\nB1\n")
    wfdb_record(tmp_path, "unlisted", n=10)
    (tmp_path / "RECORDS").write_text("\ng1/\ng2/\nmissing\n")
    assert names(tmp_path) == ["g1/B2.hea", "g1/B1.hea", "g2", "missing.hea"]


def test_headers_come_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "RECORDS").write_text("a\n../b\n")
    headers = list_headers(tmp_path)
    assert next(headers).name == "a.hea"
    with pytest.raises(RecordError, match=r"'\.\./b'; expected a path inside the collection"):
        next(headers)


@pytest.mark.parametrize("line", ["../a", "/etc/passwd", "a/../../b", ".", "a\\b"])
def test_a_list_cannot_lead_out_of_its_folder(tmp_path: Path, line: str) -> None:
    (tmp_path / "RECORDS").write_text(f"{line}\n")
    with pytest.raises(RecordError, match="expected a path inside"):
        names(tmp_path)


def test_folders_that_are_links_are_not_entered(tmp_path: Path) -> None:
    wfdb_record(tmp_path / "g1", "A1", n=10)
    (tmp_path / "g1" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["g1/A1.hea"]


def test_no_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        names(tmp_path / "nothing")
    (tmp_path / "RECORDS").write_bytes(b"\xff\xfe")
    with pytest.raises(RecordError, match="no text in UTF-8"):
        names(tmp_path)


def test_fields_of_comments_keep_the_first_of_a_name() -> None:
    said = fields(["<age>: 51", "Infarction date: 29-Sep-90", "Rhythm", "infarction date: 1", "a:b:c"])
    assert said == {"age": "51", "infarction date": "29-Sep-90", "a": "b:c"}


@pytest.mark.parametrize(
    ("text", "years"),
    [("51", 51.0), ("0", 0.0), ("89", 89.0), (">89", 90.0), ("> 89", 90.0), ("300", 90.0), ("NaN", None),
     ("n/a", None), ("", None), ("-1", None), ("inf", None), ("Unknown", None)],
)  # fmt: skip
def test_ages(text: str, years: float | None) -> None:
    assert age_years(text) == years


@pytest.mark.parametrize(
    ("text", "is_female"),
    [("F", True), ("female", True), (" Male", False), ("M", False), ("n/a", None), ("", None)],
)
def test_sexes(text: str, is_female: bool | None) -> None:
    assert female(text) is is_female
