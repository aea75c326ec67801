"""The challenge of 2017: one unnamed signal as lead I, pieces of 10 s, no label of infarction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.cinc2017 import Cinc2017
from edge_mi.train.data.collection import HELD_BACK, NO_DIAGNOSIS, REPEATED, SHORT
from edge_mi.train.data.folds import fold_of
from layouts import mat_record
from real_data import real_data

from edge_mi.errors import RecordError
from edge_mi.records import read_signals

KEPT = [name for name in (f"A{i:05d}" for i in range(1, 40)) if fold_of(f"cinc2017/{name}") != 10]


def test_a_record_is_one_patient_in_pieces(tmp_path: Path) -> None:
    header = mat_record(tmp_path / "training" / "A00", KEPT[0], leads=["ECG"], rate_hz=300, n=9_500)
    (tmp_path / "training" / "REFERENCE.csv").write_text(f"{KEPT[0]},~\n")
    collection = Cinc2017(tmp_path)
    pieces = list(collection.records())
    assert [p.record.record_id for p in pieces] == [KEPT[0], f"{KEPT[0]}@10", f"{KEPT[0]}@20"]
    assert {(p.record.patient_id, p.record.mi, p.record.norm) for p in pieces} == {
        (f"cinc2017/{KEPT[0]}", None, None)
    }
    assert pieces[0].record.codes == {"~": 100.0}
    signals_mv, rate_hz = collection.read(pieces[2])
    assert rate_hz == 300
    np.testing.assert_array_equal(signals_mv, read_signals(header).samples_mv[:, 6000:9000])
    assert collection.info.leads == ("I",)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    for folder in ("training", "validation"):
        mat_record(tmp_path / folder, KEPT[0], leads=["ECG"], rate_hz=300)
    mat_record(tmp_path / "training", KEPT[1], leads=["ECG"], rate_hz=300, n=2_999)
    mat_record(tmp_path / "training", KEPT[2], leads=["ECG"], rate_hz=300)
    (tmp_path / "REFERENCE-v3.csv").write_text(f"{KEPT[0]},N\n{KEPT[1]},A\n")
    (tmp_path / "REFERENCE.csv").write_text(f"{KEPT[0]},O\n{KEPT[1]},A\n")
    collection = Cinc2017(tmp_path)
    (only,) = collection.records()
    assert only.record.codes == {"N": 100.0}  # the corrected reference is read
    assert collection.left_out == {REPEATED: 1, SHORT: 1, NO_DIAGNOSIS: 1}


@pytest.mark.parametrize("line", ["A00001", "A00001,X", "A00001,N,1"])
def test_a_damaged_reference_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "REFERENCE.csv").write_text(f"{line}\n")
    with pytest.raises(RecordError, match="expected a record and one of N, A, O, ~"):
        list(Cinc2017(tmp_path).records())


def test_a_folder_without_a_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"has no REFERENCE\.csv"):
        list(Cinc2017(tmp_path).records())


def test_the_records_at_hand() -> None:
    collection = Cinc2017(real_data("cinc2017"))
    pieces = list(collection.records())
    assert len(pieces) == 3 * (3 - collection.left_out[HELD_BACK])  # 30 s each
    assert all(collection.read(piece)[0].shape == (1, 3000) for piece in pieces)
