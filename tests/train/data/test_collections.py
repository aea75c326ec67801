"""The collections by name: what all of them promise."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from edge_mi.train.data.cinc_twelve_leads import INFARCTION
from edge_mi.train.data.collection import LabelRule
from edge_mi.train.data.collections import COLLECTIONS, open_collection
from real_data import ROOT, real_data

from edge_mi.errors import ConfigError, RecordError
from edge_mi.store import check_patients

AT_HAND = {"ptbxl": "ptbxl", "ptbdb": "ptbdb", "ludb": "ludb", "cinc2017": "cinc2017", "cinc2021": "cinc2021"}


def test_the_names() -> None:
    assert list(COLLECTIONS) == ["ptbxl", "ptbdb", "ludb", "mimic-iv-ecg", "cinc2017", "cinc2020", "cinc2021"]


def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no collection 'ptb'; expected one of ptbxl, ptbdb, ludb"):
        open_collection("ptb", tmp_path)


def test_a_rate_is_for_ptbxl_alone(tmp_path: Path) -> None:
    open_collection("ptbxl", tmp_path, rate_hz=500)
    with pytest.raises(ConfigError, match="ludb is published at one rate only"):
        open_collection("ludb", tmp_path, rate_hz=500)
    with pytest.raises(RecordError, match="choose 100 or 500"):
        open_collection("ptbxl", tmp_path, rate_hz=250)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_folder_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    collection = open_collection(name, tmp_path / "nothing")
    with pytest.raises(RecordError, match="nothing"):
        list(collection.records())


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_collection_says_where_it_is_from_and_by_what_rule(name: str, tmp_path: Path) -> None:
    info = open_collection(name, tmp_path, LabelRule(negatives="norm")).info
    assert all((info.name, info.version, info.licence, info.leads, info.label_rule))
    assert "norm" in info.label_rule
    assert "\n" not in info.label_rule


@pytest.mark.parametrize("name", AT_HAND)
def test_records_at_hand_keep_the_promises(name: str) -> None:
    collection = open_collection(name, real_data(AT_HAND[name]))
    listed = list(collection.records())
    assert listed
    assert listed == list(collection.records())
    records = [x.record for x in listed]
    assert len({record.record_id for record in records}) == len(records)
    assert all(1 <= record.fold <= 9 and "/" in record.patient_id for record in records)
    check_patients(records)
    again = pickle.loads(pickle.dumps(collection))
    signals_mv, rate_hz = again.read(listed[0])
    assert signals_mv.shape == (len(collection.info.leads), round(10 * rate_hz))


def test_the_page_has_a_row_for_every_collection() -> None:
    rows = [line for line in (ROOT / "docs" / "data.md").read_text().splitlines() if line.startswith("| `")]
    for name in COLLECTIONS:
        info = open_collection(name, ROOT).info
        (row,) = [row for row in rows if f"`{name}`" in row.split("|")[1]]
        assert info.version in row
        assert info.licence in row


def test_the_page_names_every_code_of_an_infarction() -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    assert all(code in page for code in INFARCTION)
