"""Every real record at hand, read by us and by the `wfdb` package."""

from __future__ import annotations

import numpy as np
import pytest
from real_data import real_data
from wfdb_oracle import compare

from edge_mi.errors import RecordError
from edge_mi.records import list_records, read_record

FOLDERS = ("mitdb", "nstdb", "cinc2017", "cinc2021", "ludb", "ptbdb")


@pytest.mark.parametrize("folder", FOLDERS)
def test_records_are_as_the_wfdb_package_reads_them(folder: str) -> None:
    records = [path for _, path in list_records(real_data(folder)) if path.suffix == ".hea"]
    assert records
    for path in records:
        compare(path)


@pytest.mark.parametrize("rate_hz", [100, 500])
def test_ptbxl_is_as_the_wfdb_package_reads_it(rate_hz: int) -> None:
    records = list_records(real_data("ptbxl") / f"records{rate_hz}")
    for _, path in records[:: len(records) // 12]:
        compare(path)


def test_ptbxl_has_lead_i_of_ten_seconds() -> None:
    _, path = list_records(real_data("ptbxl") / "records100")[0]
    record = read_record(path)
    assert (record.lead, record.rate_hz, len(record.samples_mv), record.warnings) == ("I", 100.0, 1000, ())
    assert record.samples_mv.dtype == np.float32


def test_hand_held_lead_i_has_no_name_and_is_taken_with_a_warning() -> None:
    record = read_record(real_data("cinc2017") / "A00001.mat")
    assert record.rate_hz == 300
    assert "taken as lead I" in record.warnings[0]


def test_a_holter_without_lead_i_is_refused_with_what_it_has() -> None:
    with pytest.raises(RecordError, match="MLII, V5: choose one of them with --lead"):
        read_record(real_data("mitdb") / "100.hea")
    assert read_record(real_data("mitdb") / "100", lead="mlii").lead == "MLII"


def test_a_chest_strap_keeps_its_clock_and_its_microvolts() -> None:
    record = read_record(real_data("polar_h10") / "h10_part1.csv")
    assert record.rate_hz == 130
    assert np.rint(record.samples_mv[:4] * 1000).tolist() == [-98, -84, -72, -89]
