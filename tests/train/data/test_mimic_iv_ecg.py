"""MIMIC-IV-ECG: leads by name, patients by subject, no labels, and the list read row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.collection import ABSENT, HELD_BACK, REPEATED
from edge_mi.train.data.folds import fold_of
from edge_mi.train.data.mimic_iv_ecg import MimicIvEcg
from layouts import INVALID, noise, wfdb_record

from edge_mi.errors import RecordError
from edge_mi.records.leads import TWELVE_LEADS

ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
COLUMNS = "subject_id,study_id,file_name,ecg_time,path"
SUBJECTS = [subject for subject in range(10_000_000, 10_000_100) if fold_of(f"mimic-iv-ecg/{subject}") != 10]
HELD = next(subject for subject in range(10_000_000, 10_000_100) if fold_of(f"mimic-iv-ecg/{subject}") == 10)


def row(subject: int, study: int) -> str:
    path = f"files/p{str(subject)[:4]}/p{subject}/s{study}/{study}"
    return f"{subject},{study},{study},2180-07-23 08:44:00,{path}"


def write(folder: Path, rows: list[str]) -> MimicIvEcg:
    (folder / "record_list.csv").write_text("\n".join([COLUMNS, *rows]) + "\n")
    return MimicIvEcg(folder)


def record(folder: Path, subject: int, study: int) -> Path:
    codes = noise(12, 5000)
    codes[4, :250] = INVALID
    place = folder / "files" / f"p{str(subject)[:4]}" / f"p{subject}" / f"s{study}"
    return wfdb_record(place, str(study), leads=ORDER, codes=codes, gain_per_mv=200)


def test_a_record_has_its_subject_and_no_label(tmp_path: Path) -> None:
    record(tmp_path, SUBJECTS[0], 40689238)
    (listed,) = write(tmp_path, [row(SUBJECTS[0], 40689238)]).records()
    found = listed.record
    assert (found.record_id, found.patient_id) == ("40689238", f"mimic-iv-ecg/{SUBJECTS[0]}")
    assert (found.mi, found.norm, found.codes, found.age_years, found.female) == (None, None, {}, None, None)
    assert found.fold == fold_of(found.patient_id)


def test_leads_go_by_name_and_invalid_samples_are_not_numbers(tmp_path: Path) -> None:
    """In these files aVF stands before aVL."""
    record(tmp_path, SUBJECTS[0], 1)
    collection = write(tmp_path, [row(SUBJECTS[0], 1)])
    signals_mv, rate_hz = collection.read(next(collection.records()))
    assert (signals_mv.shape, rate_hz, collection.info.leads) == ((12, 5000), 500, TWELVE_LEADS)
    middles = [
        np.nanmean(signals_mv[i]) * 2 for i in (4, 5)
    ]  # 200 codes per mV, row i of the file around 100 * i
    assert np.rint(middles).tolist() == [5, 4]
    assert np.flatnonzero(np.isnan(signals_mv).any(axis=0)).tolist() == list(range(250))
    assert np.isnan(signals_mv[5]).sum() == 250


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    record(tmp_path, SUBJECTS[0], 1)
    rows = [row(SUBJECTS[0], 1), row(SUBJECTS[0], 1), row(SUBJECTS[1], 2), row(HELD, 3)]
    collection = write(tmp_path, rows)
    assert [listed.record.record_id for listed in collection.records()] == ["1"]
    assert collection.left_out == {REPEATED: 1, ABSENT: 1, HELD_BACK: 1}
    assert len(list(collection.records())) == 1
    assert sum(collection.left_out.values()) == 3


def test_the_list_is_read_as_it_is_needed(tmp_path: Path) -> None:
    record(tmp_path, SUBJECTS[0], 1)
    records = write(tmp_path, [row(SUBJECTS[0], 1), "damaged"]).records()
    assert next(records).record.record_id == "1"
    with pytest.raises(RecordError, match="line 3: found another number of columns"):
        next(records)


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (
            row(SUBJECTS[0], 1).replace(f"{SUBJECTS[0]},", "x,", 1),
            "has subject 'x' and study '1'; expected numbers",
        ),
        (
            row(SUBJECTS[0], 1).replace(f"{SUBJECTS[0]},", f"{SUBJECTS[1]},", 1),
            f"with p{SUBJECTS[1]} and s1 in it",
        ),
        (row(SUBJECTS[0], 1).replace("files/", "../files/"), "expected a path inside the collection"),
        (f"{row(SUBJECTS[0], 1)},more", "another number of columns"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, damaged: str, words: str) -> None:
    with pytest.raises(RecordError, match=r"record_list\.csv, line 2") as found:
        list(write(tmp_path, [damaged]).records())
    assert words in str(found.value)


def test_a_list_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "record_list.csv").write_text("subject_id,study_id\n1,2\n")
    with pytest.raises(RecordError, match=r"no column path; expected the record_list\.csv"):
        list(MimicIvEcg(tmp_path).records())
    with pytest.raises(RecordError, match=r"record_list\.csv cannot be read"):
        list(MimicIvEcg(tmp_path / "nothing").records())


def test_reports_are_never_opened(tmp_path: Path) -> None:
    """They may name an infarction."""
    record(tmp_path, SUBJECTS[0], 1)
    (tmp_path / "machine_measurements.csv").mkdir()
    assert len(list(write(tmp_path, [row(SUBJECTS[0], 1)]).records())) == 1


def test_a_record_without_one_of_the_leads_is_refused(tmp_path: Path) -> None:
    header = record(tmp_path, SUBJECTS[0], 1)
    header.write_text(header.read_text().replace(" aVL\n", " aVX\n"))
    collection = write(tmp_path, [row(SUBJECTS[0], 1)])
    with pytest.raises(RecordError, match="no lead aVL"):
        collection.read(next(collection.records()))
