"""The loader reads PTB-XL as published, a part alike, and never fold 10."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.build import build_store
from edge_mi.train.data.collection import ABSENT, HELD_BACK, REPEATED, LabelRule
from edge_mi.train.data.labels import NOT_NORMAL, UNSURE
from edge_mi.train.data.ptbxl import PtbXl, read_table
from real_data import real_data

from edge_mi.errors import RecordError, StoreError
from edge_mi.signal_design import SignalDesign
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


@pytest.mark.parametrize(
    ("rows", "version"),
    [(5, "1.0.1 to 1.0.3"), (21_837, "1.0.1 or 1.0.2"), (21_799, "1.0.3"), (21_800, "1.0.1 to 1.0.3")],
)
def test_the_version_is_what_the_number_of_records_tells_and_no_more(
    tmp_path: Path, rows: int, version: str
) -> None:
    """Fields that hold the end of a line are no records."""
    lines = "".join(f'{i},"a\nb"\n' for i in range(rows))
    (tmp_path / "ptbxl_database.csv").write_text(f"ecg_id,report\n{lines}")
    assert PtbXl(tmp_path).info.version == version


def test_a_part_of_the_table_says_every_version_that_is_read_and_so_does_its_store(
    ptbxl: Path, design: SignalDesign, tmp_path: Path
) -> None:
    manifest = build_store(PtbXl(ptbxl), tmp_path / "store", design, jobs=1)
    assert manifest.source.version == PtbXl(ptbxl).info.version == "1.0.1 to 1.0.3"


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"a,b\n1,2\n"])
def test_a_table_that_cannot_be_read_keeps_its_words_for_the_listing(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "ptbxl_database.csv").write_bytes(content)
    assert PtbXl(tmp_path).info.version == "1.0.1 to 1.0.3"


def test_the_part_at_hand_is_of_the_version_that_the_shipped_figures_name() -> None:
    assert PtbXl(real_data("ptbxl")).info.version == "1.0.3"


def test_the_part_at_hand_has_the_counts_of_its_readme() -> None:
    records = read_table(real_data("ptbxl")).records
    assert (len(records), sum(r.mi for r in records), sum(r.norm for r in records)) == (1732, 321, 912)
    assert len({r.patient_id for r in records}) == 1611
    assert Counter(r.fold for r in records)[9] == 242
    check_patients(records)


def test_a_threshold_leaves_doubtful_infarctions_out(ptbxl: Path) -> None:
    collection = PtbXl(ptbxl, LabelRule(likelihood=50))
    assert [(x.record.record_id, x.record.mi) for x in collection.records()] == [
        ("00001", False),
        ("00003", True),
        ("00004", False),
    ]
    assert collection.left_out == {UNSURE: 2, ABSENT: 1, HELD_BACK: 1}


def test_normal_negatives_leave_the_abnormal_rest_out(ptbxl: Path) -> None:
    collection = PtbXl(ptbxl, LabelRule(negatives="norm"))
    assert [x.record.record_id for x in collection.records()] == ["00001", "00002", "00003", "00005"]
    assert collection.left_out[NOT_NORMAL] == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",11.0,", ",x,", "has the patient_id 'x'; expected a whole number"),
        (",11.0,", ",11.5,", "has the patient_id '11.5'"),
        (",1,records100", ",0,records100", "is in fold 0; expected 1 to 10"),
        ("records100/00000/00001_lr", "../00001_lr", "expected a path inside the collection"),
        ("\n2,", "\nmore,2,", "line 3: found another number of columns"),
    ],
)
def test_a_damaged_row_is_named(ptbxl: Path, old: str, new: str, words: str) -> None:
    table = ptbxl / "ptbxl_database.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))
    with pytest.raises(RecordError) as found:
        list(PtbXl(ptbxl).records())
    assert words in str(found.value)


def test_counts_at_a_threshold_are_those_of_the_readme() -> None:
    folder = real_data("ptbxl")
    for likelihood, positives in ((50, 241), (100, 144)):
        collection = PtbXl(folder, LabelRule(likelihood=likelihood))
        records = [x.record for x in collection.records()]
        assert sum(bool(record.mi) for record in records) == positives
        assert collection.left_out == {UNSURE: 321 - positives}
        assert sum(bool(record.norm) for record in records) == 912


def test_a_record_that_stands_twice_in_the_table_is_given_once(ptbxl: Path) -> None:
    table = ptbxl / "ptbxl_database.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[1]]) + "\n")
    collection = PtbXl(ptbxl)
    assert len(list(collection.records())) == 5
    assert collection.left_out[REPEATED] == 1


def test_leads_go_by_name(ptbxl: Path) -> None:
    """The same record with its first two header lines swapped has other leads."""
    collection = PtbXl(ptbxl)
    listed = next(collection.records())
    before, _ = collection.read(listed)
    header = listed.path.with_suffix(".hea")
    text = header.read_text().replace(" I\n", " x\n").replace(" II\n", " I\n").replace(" x\n", " ii\n")
    header.write_text(text)
    after, _ = collection.read(listed)
    np.testing.assert_array_equal(after[[1, 0, *range(2, 12)]], before)
    header.write_text(text.replace(" V6\n", " V9\n"))
    with pytest.raises(RecordError, match="no lead V6"):
        collection.read(listed)
