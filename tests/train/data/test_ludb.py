"""LUDB: diagnoses from the header's sentences, one record a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_mi.train.data.collection import ABSENT, NO_DIAGNOSIS, REPEATED
from edge_mi.train.data.folds import fold_of
from edge_mi.train.data.labels import UNSURE
from edge_mi.train.data.ludb import Ludb, diagnoses
from layouts import wfdb_record
from real_data import real_data

from edge_mi.records.leads import TWELVE_LEADS

KEPT = [str(i) for i in range(1, 40) if fold_of(f"ludb/{i}") != 10]


def person(folder: Path, name: str, *sentences: str, age: str = "51", sex: str = "F") -> None:
    comments = [f"#<age>: {age}", f"#<sex>: {sex}", "#<diagnoses>:", *(f"#{s}. " for s in sentences)]
    wfdb_record(folder, name, leads=[lead.lower() for lead in TWELVE_LEADS], comments=comments)


@pytest.mark.parametrize(
    ("sentences", "label"),
    [
        (("Rhythm: Sinus rhythm", "Electric axis of the heart: normal"), (False, True, None)),
        (("Rhythm: Sinus rhythm", "Electric axis of the heart: vertical"), (False, True, None)),
        (("Rhythm: Sinus bradycardia", "Electric axis of the heart: normal"), (False, False, None)),
        (("Rhythm: Sinus rhythm", "Ischemia: lateral wall"), (False, False, None)),
        (("Rhythm: Sinus rhythm", "STEMI: anterior wall", "STEMI: septal"), (True, False, "recent")),
        (("Rhythm: Sinus rhythm", "Scar formation: inferior wall"), (True, False, "old")),
        (("STEMI: apical", "Scar formation: septal"), (True, False, None)),
        (("Undefined ischemia/scar/supp.NSTEMI: apical", "STEMI: apical"), (True, False, "recent")),
    ],
)
def test_labels(tmp_path: Path, sentences: tuple[str, ...], label: tuple[bool, bool, str | None]) -> None:
    person(tmp_path / "data", KEPT[0], *sentences)
    (tmp_path / "RECORDS").write_text(f"data/{KEPT[0]}\n")
    (listed,) = Ludb(tmp_path).records()
    assert (listed.record.mi, listed.record.norm, listed.record.stage) == label


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    person(tmp_path, KEPT[0], "Undefined ischemia/scar/supp.NSTEMI: apical")
    person(tmp_path, KEPT[1])
    (tmp_path / "RECORDS").write_text("".join(f"{name}\n" for name in (*KEPT[:3], KEPT[0])))
    collection = Ludb(tmp_path)
    assert list(collection.records()) == []
    assert collection.left_out == {UNSURE: 1, NO_DIAGNOSIS: 1, ABSENT: 1, REPEATED: 1}


def test_a_sentence_ends_where_its_line_or_its_full_stop_does() -> None:
    found = diagnoses(["<age>: 1", "<diagnoses>:", "A: b. C", "Undefined ischemia/scar/supp.NSTEMI: x.", ""])
    assert list(found) == ["a: b", "c", "undefined ischemia/scar/supp.nstemi: x"]
    assert diagnoses(["<age>: 1", "Rhythm: x."]) == {}


def test_the_record_at_hand() -> None:
    collection = Ludb(real_data("ludb"))
    (listed,) = collection.records()
    record = listed.record
    assert (record.record_id, record.patient_id, record.age_years, record.female) == (
        "1",
        "ludb/1",
        51.0,
        True,
    )
    assert (record.mi, record.norm) == (False, False)
    assert "left ventricular hypertrophy" in record.codes
    signals_mv, rate_hz = collection.read(listed)
    assert (signals_mv.shape, rate_hz) == ((12, 5000), 500)
