"""Headers as collections write them are read as the `wfdb` package reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import INVALID, mat_record, noise, ptbdb_comments, ptbdb_record, wfdb_record
from wfdb_oracle import compare

from edge_mi.errors import RecordError
from edge_mi.records import read_signals
from edge_mi.records.leads import TWELVE_LEADS, lead_rows


def test_fifteen_leads_in_two_files(tmp_path: Path) -> None:
    header = ptbdb_record(tmp_path, "s0001_re", n=3000, comments=ptbdb_comments("Myocardial infarction"))
    compare(header)
    assert len(read_signals(header).leads) == 15


def test_comments_of_every_spelling(tmp_path: Path) -> None:
    comments = ["#Age: 74", "# Sex: Male", "#Dx: 1,2", "#<diagnoses>:", "#Rhythm: Sinus rhythm. ", "#"]
    compare(mat_record(tmp_path, "A0001", n=700, comments=comments, unit="mv"))


@pytest.mark.parametrize("unit", ["mV", "uV", "V"])
def test_units_other_than_millivolts(tmp_path: Path, unit: str) -> None:
    header = wfdb_record(tmp_path, "a", n=600)
    header.write_text(header.read_text().replace("/mV", f"/{unit}"))
    compare(header)


def test_invalid_codes_are_not_numbers_and_leads_differ_in_gain_and_offset(tmp_path: Path) -> None:
    codes = noise(12, 800)
    codes[3, 100:200] = INVALID
    codes[7] = INVALID
    header = wfdb_record(tmp_path, "a", codes=codes)
    lines = header.read_text().splitlines()
    lines[1:] = [line.replace("1000(0)", f"{700 + 31 * i}({i - 5})") for i, line in enumerate(lines[1:])]
    header.write_text("\n".join(lines))
    compare(header)
    assert np.isnan(read_signals(header).samples_mv).sum() == 100 + 800


def test_leads_are_found_by_name_in_any_order_and_case() -> None:
    leads = ("V6", "avf", "AVL", "avr", "iii", "ii", "Lead I", "v1", "v2", "v3", "v4", "v5", "vx")
    assert [leads[i].lower().removeprefix("lead ") for i in lead_rows("a", leads, TWELVE_LEADS)] == [
        lead.lower() for lead in TWELVE_LEADS
    ]


def test_missing_and_doubled_leads_are_named() -> None:
    with pytest.raises(RecordError, match="a: no lead aVF, V6; found I, II"):
        lead_rows("a", ("I", "II"), ("I", "II", "aVF", "V6"))
    with pytest.raises(RecordError, match="more than one signal called II"):
        lead_rows("a", ("I", "ii", "II"), ("I", "II"))
