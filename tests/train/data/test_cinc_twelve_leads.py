"""The challenges of 2020 and 2021: SNOMED codes, copies of other collections left out, patients by source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.cinc_twelve_leads import PTBXL_COPY, UNKNOWN_ECG, CincTwelveLeads
from edge_mi.train.data.collection import HELD_BACK, NO_DIAGNOSIS, REPEATED, SHORT, LabelRule
from edge_mi.train.data.folds import fold_of
from edge_mi.train.data.ptbxl import PtbXl
from edge_mi.train.splits import check_apart
from layouts import mat_record
from real_data import real_data

from edge_mi.errors import RecordError, StoreError
from edge_mi.records.leads import TWELVE_LEADS

KEPT = [name for name in (f"E{i:05d}" for i in range(1, 60)) if fold_of(f"georgia/{name}") != 10]
HELD = next(name for name in (f"E{i:05d}" for i in range(1, 60)) if fold_of(f"georgia/{name}") == 10)


def record(folder: Path, name: str, dx: str, *, n: int = 5000, sign: str = "# ", **kwargs: object) -> Path:
    comments = [f"{sign}Age: 78", f"{sign}Sex: Female", f"{sign}Dx: {dx}", f"{sign}Rx: Unknown"]
    return mat_record(folder, name, n=n, comments=comments, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dx", "label"),
    [
        ("164865005", (True, False, None)),
        ("54329005,426783006", (True, False, None)),
        ("57054005", (True, False, "recent")),
        ("426783006, 164867002", (True, False, "old")),
        ("57054005,164867002", (True, False, None)),
        ("426783006", (False, True, None)),
        ("426783006,55930002", (False, False, None)),
        ("164861001", (False, False, None)),  # ischaemia is no infarction
        ("413444003", (False, False, None)),  # nor is acute ischaemia
    ],
)
@pytest.mark.parametrize("sign", ["# ", "#"])
def test_labels(tmp_path: Path, dx: str, label: tuple[bool, bool, str | None], sign: str) -> None:
    record(tmp_path / "training" / "georgia" / "g1", KEPT[0], dx, sign=sign)
    (listed,) = CincTwelveLeads(tmp_path).records()
    found = listed.record
    assert (found.mi, found.norm, found.stage) == label
    assert (found.age_years, found.female, found.patient_id) == (78.0, True, f"georgia/{KEPT[0]}")


def test_copies_and_sources_without_patients_are_left_out_and_counted(tmp_path: Path) -> None:
    for name in (KEPT[0], HELD, "HR00001", "HR21837", "S0001", "I0001"):
        record(tmp_path / "g1", name, "426783006")
    record(tmp_path / "g2", KEPT[0], "164865005")
    record(tmp_path / "g2", KEPT[1], "Unknown")
    record(tmp_path / "g2", KEPT[2], "426783006", n=4999)
    collection = CincTwelveLeads(tmp_path)
    assert [listed.record.record_id for listed in collection.records()] == [KEPT[0]]
    reasons = dict(collection.left_out)
    assert reasons.pop(PTBXL_COPY) == 2
    assert [reasons.pop(reason) for reason in (HELD_BACK, REPEATED, NO_DIAGNOSIS, SHORT)] == [1, 1, 1, 1]
    assert sorted(reasons) == [
        "St Petersburg (I), several records of one patient and no name of the patient",
        "copy of PTBDB (S), whose patients the challenge does not name",
    ]


def test_both_editions_give_a_patient_the_same_name_and_fold(tmp_path: Path) -> None:
    for name in ("A0001", "Q0002", KEPT[0]):
        record(tmp_path, name, "426783006")
    found = [
        [(x.record.patient_id, x.record.fold) for x in CincTwelveLeads(tmp_path, year=year).records()]
        for year in (2020, 2021)
    ]
    assert found[0] == found[1] != []


@pytest.mark.parametrize(("name", "year"), [("JS00001", 2020), ("X0001", 2021), ("record", 2021)])
def test_a_record_of_no_source_is_refused(tmp_path: Path, name: str, year: int) -> None:
    record(tmp_path, name, "426783006")
    with pytest.raises(RecordError, match="is of no source of CinC"):
        list(CincTwelveLeads(tmp_path, year=year).records())


def test_copies_of_ptbxl_have_its_patients_and_folds_where_its_table_is_given(
    ptbxl: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cinc"
    for name in ("HR00002", "HR00007", "HR09999"):
        record(folder, name, "164865005", unit="mv")
    collection = CincTwelveLeads(folder, ptbxl=ptbxl)
    (listed,) = collection.records()
    assert (listed.record.patient_id, listed.record.fold) == ("ptbxl/12", 2)
    assert collection.left_out == {HELD_BACK: 1, UNKNOWN_ECG: 1}  # HR00007 is in fold 10 of PTB-XL


def test_a_split_over_ptbxl_and_its_copy_is_refused_with_the_patient(ptbxl: Path, tmp_path: Path) -> None:
    """Patient 12 has record 2 in the copy and records 2 and 3 in PTB-XL."""
    record(tmp_path / "cinc", "HR00002", "164865005")
    copies = [x.record.patient_id for x in CincTwelveLeads(tmp_path / "cinc", ptbxl=ptbxl).records()]
    with pytest.raises(StoreError, match="patient ptbxl/12 is in train and in test"):
        check_apart({"train": [x.record.patient_id for x in PtbXl(ptbxl).records()], "test": copies})


def test_leads_go_by_name(tmp_path: Path) -> None:
    order = (*TWELVE_LEADS[6:], *(lead.upper() for lead in TWELVE_LEADS[:6]))
    record(tmp_path, KEPT[0], "426783006", leads=order)
    collection = CincTwelveLeads(tmp_path)
    signals_mv, _ = collection.read(next(collection.records()))
    assert np.rint(signals_mv.mean(axis=1) * 10).tolist() == [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("year", [2020, 2021])
def test_the_rule_names_every_code(year: int) -> None:
    info = CincTwelveLeads(Path(), LabelRule(), year=year).info
    assert info.name == f"CinC {year}"
    assert all(
        code in info.label_rule for code in ("164865005", "54329005", "57054005", "164867002", "426783006")
    )


def test_the_records_at_hand() -> None:
    collection = CincTwelveLeads(real_data("cinc2021"))
    listed = list(collection.records())
    assert collection.left_out[PTBXL_COPY] == 5
    assert len(listed) + collection.left_out[HELD_BACK] == 20
    assert not any(x.record.mi for x in listed)
    assert {x.record.patient_id.partition("/")[0] for x in listed} == {"georgia", "chapman-shaoxing-ningbo"}
    assert all(collection.read(x)[0].shape == (12, 5000) for x in listed)
