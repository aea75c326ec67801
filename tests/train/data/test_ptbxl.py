"""The loader reads PTB-XL as published, a part alike, and never fold 10."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from edge_mi.train.data.ptbxl import read_table

from edge_mi.errors import RecordError, StoreError
from edge_mi.store import check_patients


def test_no_record_left_is_an_error(ptbxl: Path) -> None:
    shutil.rmtree(ptbxl / "records500")
    with pytest.raises(
        StoreError, match="lists 6 records of folds 1 to 9 and none of their 500 Hz files is here"
    ):
        read_table(ptbxl, 500)


def test_labels_follow_the_diagnostic_class_at_any_likelihood(ptbxl: Path) -> None:
    records = read_table(ptbxl).records
    assert [(r.record_id, r.mi, r.norm) for r in records] == [
        ("00001", False, True),
        ("00002", True, False),
        ("00003", True, False),
        ("00004", False, False),
        ("00005", True, False),
    ]
    assert records[1].codes == {"IMI": 35.0, "SR": 0.0}


def test_an_age_of_300_is_90_and_a_missing_one_is_none(ptbxl: Path) -> None:
    assert [r.age_years for r in read_table(ptbxl).records] == [56.0, 90.0, None, 61.0, 61.0]


def test_sex_may_be_unknown(ptbxl: Path) -> None:
    assert [r.female for r in read_table(ptbxl).records] == [True, False, False, None, True]


@pytest.mark.parametrize("file", ["ptbxl_database.csv", "scp_statements.csv"])
def test_a_missing_table_is_named(ptbxl: Path, file: str) -> None:
    (ptbxl / file).unlink()
    with pytest.raises(RecordError, match=f"{file} cannot be read"):
        read_table(ptbxl)


def test_a_table_of_another_kind_is_refused(ptbxl: Path) -> None:
    (ptbxl / "ptbxl_database.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RecordError, match="no column ecg_id"):
        read_table(ptbxl)


def test_codes_are_data_and_never_run(ptbxl: Path) -> None:
    table = ptbxl / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("{'NDT': 100.0}", "__import__('os').getcwd()"))
    with pytest.raises(RecordError, match="record 4 of the PTB-XL table cannot be parsed"):
        read_table(ptbxl)


def test_a_rate_that_ptbxl_has_not_is_refused(ptbxl: Path) -> None:
    with pytest.raises(RecordError, match="choose 100 or 500"):
        read_table(ptbxl, 250)


def test_the_part_at_hand_has_the_counts_of_its_readme() -> None:
    real_data = pytest.importorskip("real_data").real_data
    records = read_table(real_data("ptbxl")).records
    assert (len(records), sum(r.mi for r in records), sum(r.norm for r in records)) == (1732, 321, 912)
    assert len({r.patient_id for r in records}) == 1611
    assert Counter(r.fold for r in records)[9] == 242
    check_patients(records)
