"""PTBDB: patients by folder, infarct site and age from the comments, long records in pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.collection import ABSENT, HELD_BACK, NO_DIAGNOSIS, REPEATED, SHORT, LabelRule
from edge_mi.train.data.folds import fold_of
from edge_mi.train.data.headers import fields
from edge_mi.train.data.labels import NOT_NORMAL, UNSURE
from edge_mi.train.data.ptbdb import PtbDb, infarction_type, stage, statements
from layouts import ptbdb_comments, ptbdb_record
from real_data import real_data

from edge_mi.errors import RecordError
from edge_mi.records import read_signals

KEPT = [name for name in (f"patient{i:03d}" for i in range(1, 60)) if fold_of(f"ptbdb/{name}") != 10]
HELD = next(name for name in (f"patient{i:03d}" for i in range(1, 60)) if fold_of(f"ptbdb/{name}") == 10)


def said(*args: str, **kwargs: str) -> dict[str, str]:
    return fields(line.lstrip("# ") for line in ptbdb_comments(*args, **kwargs))


def test_a_record_of_25_s_is_two_pieces_of_one_patient(tmp_path: Path) -> None:
    header = ptbdb_record(
        tmp_path / KEPT[0],
        "s0001_re",
        n=25_000,
        comments=ptbdb_comments("Myocardial infarction", acute="infero-latera", infarcted="29-Sep-90"),
    )
    collection = PtbDb(tmp_path)
    pieces = list(collection.records())
    assert [piece.record.record_id for piece in pieces] == [f"{KEPT[0]}/s0001_re", f"{KEPT[0]}/s0001_re@10"]
    assert {piece.record.patient_id for piece in pieces} == {f"ptbdb/{KEPT[0]}"}
    first = pieces[0].record
    assert (first.mi, first.norm, first.stage, first.age_years, first.female) == (
        True,
        False,
        "recent",
        81.0,
        True,
    )
    assert set(first.codes) == {"myocardial infarction", "MI", "ILMI"}
    whole = read_signals(header).samples_mv
    signals_mv, rate_hz = collection.read(pieces[1])
    assert rate_hz == 1000
    np.testing.assert_array_equal(
        signals_mv, whole[:12, 10_000:20_000]
    )  # the Frank leads, rows 12 to 14, are not used


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    ptbdb_record(tmp_path / KEPT[0], "s0001_re", n=9_999, comments=ptbdb_comments("Healthy control"))
    ptbdb_record(tmp_path / KEPT[1], "s0002_re", comments=ptbdb_comments("n/a"))
    ptbdb_record(tmp_path / KEPT[1], "s0003_re")
    ptbdb_record(tmp_path / HELD, "s0004_re", comments=ptbdb_comments("Healthy control"))
    ptbdb_record(
        tmp_path / KEPT[2], "s0005_re", comments=ptbdb_comments("Dysrhythmia", additional="Old infarction")
    )
    folders = [KEPT[0], KEPT[1], KEPT[1], HELD, KEPT[2], KEPT[3]]
    again = f"{KEPT[0]}/s0001_re\n"
    (tmp_path / "RECORDS").write_text(
        "".join(f"{folder}/s{i:04d}_re\n" for i, folder in enumerate(folders, start=1)) + again
    )
    collection = PtbDb(tmp_path)
    assert list(collection.records()) == []
    assert collection.left_out == {SHORT: 1, NO_DIAGNOSIS: 2, HELD_BACK: 1, UNSURE: 1, ABSENT: 1, REPEATED: 1}


@pytest.mark.parametrize(
    ("fields_of", "codes"),
    [
        (said("Healthy control"), {"healthy control"}),
        (said("Myocardial infarction", acute="no", former="unknown"), {"myocardial infarction", "MI"}),
        (said("Unstable angina", former="anterior"), {"unstable angina", "MI", "AMI"}),
        (said("Myocardial infarction", acute="inferior", former="antero-septo-lateral"),
         {"myocardial infarction", "MI", "IMI"}),
        (said("Heart failure (NYHA 4)", additional="Myocardial infarction 1985"),
         {"heart failure (nyha 4)", "MI, mentioned"}),
        (said("n/a", former="inferior"), {"MI", "IMI"}),
        (said("n/a"), set()),
        ({}, set()),
    ],
)  # fmt: skip
def test_statements(fields_of: dict[str, str], codes: set[str]) -> None:
    assert set(statements(fields_of)) == codes


@pytest.mark.parametrize(
    ("site", "code"),
    [("anterior", "AMI"), ("antero-septal", "ASMI"), ("antero-lateral", "ALMI"), ("inferior", "IMI"),
     ("infero-latera", "ILMI"), ("infero-lateral", "ILMI"), ("infero-posterior", "IPMI"),
     ("infero-poster-lateral", "IPLMI"), ("infero-postero-lateral", "IPLMI"), ("lateral", "LMI"),
     ("posterior", "PMI"), ("postero-lateral", None), ("antero-septo-lateral", None), ("septal", None),
     ("apical", None), ("no", None)],
)  # fmt: skip
def test_sites_are_the_types_of_ptbxl_where_it_has_one(site: str, code: str | None) -> None:
    assert infarction_type(site) == code


@pytest.mark.parametrize(
    ("infarcted", "expected"),
    [("29-Sep-90", "recent"), ("01/10/1990", "recent"), ("03-Sep-90", "recent"), ("02-Sep-90", "old"),
     ("02-Oct-90", None), ("n/a", None), ("31-Feb-90", None), ("29-Xyz-90", None)],
)  # fmt: skip
def test_an_infarction_is_recent_for_28_days(infarcted: str, expected: str | None) -> None:
    assert stage(said("Myocardial infarction", acute="inferior", infarcted=infarcted)) == expected


def test_a_former_infarction_alone_is_old() -> None:
    assert stage(said("Stable angina", former="inferior")) == "old"


def test_healthy_controls_are_normal_and_other_patients_negative(tmp_path: Path) -> None:
    ptbdb_record(tmp_path / KEPT[0], "s0001_re", comments=ptbdb_comments("Healthy control"))
    ptbdb_record(tmp_path / KEPT[1], "s0002_re", comments=ptbdb_comments("Bundle branch block"))
    assert [(p.record.mi, p.record.norm) for p in PtbDb(tmp_path).records()] == [
        (False, True),
        (False, False),
    ]
    normal = PtbDb(tmp_path, LabelRule(negatives="norm"))
    assert [p.record.norm for p in normal.records()] == [True]
    assert normal.left_out == {NOT_NORMAL: 1}


def test_a_record_outside_a_patients_folder_is_refused(tmp_path: Path) -> None:
    ptbdb_record(tmp_path, "s0001_re", comments=ptbdb_comments("Healthy control"))
    with pytest.raises(RecordError, match="in no folder of a patient"):
        list(PtbDb(tmp_path).records())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(" 1000 10000\n", " 1000\n", 1), "it states no length"),
        (lambda text: text.replace(" 15 ", " 14 ", 1), "announces 14 signals and describes 15"),
        (lambda text: "", "s0001_re.hea is empty"),
    ],
)
def test_a_header_that_cannot_be_used_is_a_damaged_record_of_its_patient_and_stops_no_other(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    header = ptbdb_record(tmp_path / KEPT[0], "s0001_re", comments=ptbdb_comments("Healthy control"))
    ptbdb_record(tmp_path / KEPT[1], "s0002_re", comments=ptbdb_comments("Healthy control"))
    whole = header.read_text()
    header.write_text(change(whole))
    collection = PtbDb(tmp_path)
    damaged, good = collection.records()
    assert (damaged.record.record_id, damaged.record.patient_id) == (
        f"{KEPT[0]}/s0001_re",
        f"ptbdb/{KEPT[0]}",
    )
    assert (damaged.record.mi, damaged.record.norm, good.record.norm) == (None, None, True)
    assert collection.read(good)[0].shape == (12, 10_000)
    with pytest.raises(RecordError, match=message) as caught:
        collection.read(damaged)
    assert str(header) in str(caught.value)
    header.write_text(whole)  # mended since, it still is no record of unknown diagnosis
    with pytest.raises(RecordError, match="changed since it was listed"):
        collection.read(damaged)


def test_without_its_frank_leads_a_record_is_refused_with_the_file_that_is_missing(tmp_path: Path) -> None:
    header = ptbdb_record(tmp_path / KEPT[0], "s0001_re", comments=ptbdb_comments("Healthy control"))
    header.with_suffix(".xyz").unlink()
    collection = PtbDb(tmp_path)
    (piece,) = collection.records()
    with pytest.raises(RecordError, match=r"names the file s0001_re\.xyz, which is not there"):
        collection.read(piece)


@pytest.mark.parametrize("ending", [".dat", ".xyz"])
def test_either_signal_file_may_be_damaged(tmp_path: Path, ending: str) -> None:
    header = ptbdb_record(tmp_path / KEPT[0], "s0001_re", comments=ptbdb_comments("Healthy control"))
    collection = PtbDb(tmp_path)
    (piece,) = collection.records()
    data = header.with_suffix(ending)
    data.write_bytes(data.read_bytes()[:-2])
    with pytest.raises(RecordError, match="cut short"):
        collection.read(piece)


def test_a_record_shortened_after_it_was_listed_is_refused(tmp_path: Path) -> None:
    folder, comments = tmp_path / KEPT[0], ptbdb_comments("Healthy control")
    ptbdb_record(folder, "s0001_re", n=20_000, comments=comments)
    collection = PtbDb(tmp_path)
    last = list(collection.records())[-1]
    ptbdb_record(folder, "s0001_re", n=10_000, comments=comments)
    with pytest.raises(RecordError, match="10000 samples, a piece from 10 s on needs 20000"):
        collection.read(last)


def test_the_patient_at_hand() -> None:
    collection = PtbDb(real_data("ptbdb"))
    pieces = list(collection.records())
    assert len(pieces) == 3 + 11  # 38.4 s and 115.2 s
    assert {(p.record.patient_id, p.record.mi, p.record.stage) for p in pieces} == {
        ("ptbdb/patient001", True, "recent")
    }
    assert {"ILMI", "MI"} <= set(pieces[0].record.codes)
    assert collection.read(pieces[-1])[0].shape == (12, 10_000)
