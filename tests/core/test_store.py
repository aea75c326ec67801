"""A window store is what was written, whole, private, and of one filter; anything else is an error."""

from __future__ import annotations

import hashlib
import json
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_source import made_up_source

from edge_mi.errors import OutputError, StoreError
from edge_mi.signal_design import SignalDesign
from edge_mi.store import (
    RecordTable,
    StoredRecord,
    WindowStore,
    check_patients,
    to_codes,
    window_store,
    write_store,
)
from edge_mi.store import write as write_module
from edge_mi.store.signals import BlockHashes

DESIGN = SignalDesign(rate_hz=100, band_hz=(0.5, 40.0), fir=(-1, 2, -1), resamplers=())
SOURCE = made_up_source("toy", "mi: by hand")
RECORDS = tuple(
    StoredRecord(
        record_id=f"{i:05d}",
        patient_id=str(i // 2),
        fold=1 + i // 2,
        mi=i == 0,
        norm=i == 1,
        codes={"IMI": 100.0} if i == 0 else {},
        age_years=None if i == 2 else 60.0 + i,
        female=None if i == 3 else bool(i % 2),
    )
    for i in range(4)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5)
# torch, where a test before has set it up for training, flushes subnormal numbers
RECORD = st.builds(
    StoredRecord,
    record_id=TEXT,
    patient_id=TEXT,
    fold=st.integers(1, 9),
    mi=st.none() | st.booleans(),
    norm=st.none() | st.booleans(),
    codes=st.dictionaries(TEXT, st.floats(0, 100, allow_subnormal=False), max_size=3),
    age_years=st.none() | st.floats(0, 90, allow_subnormal=False),
    female=st.none() | st.booleans(),
    stage=st.sampled_from([None, "recent", "old"]),
)
SIGNALS_MV = np.random.default_rng(0).normal(scale=0.5, size=(4, 2, 20))


def write(path: Path, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "design": DESIGN,
        "source": SOURCE,
        "leads": ("I", "aVR"),
        "records": RECORDS,
        "signals_mv": SIGNALS_MV,
        "samples_per_record": 20,
    }
    write_store(path, **{**arguments, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "store")
    return tmp_path / "store"


def test_what_is_read_is_what_was_written(path: Path) -> None:
    store = WindowStore.open(path)
    assert tuple(store.records) == RECORDS
    assert store.manifest.source == SOURCE
    np.testing.assert_allclose(store.signals_mv(np.arange(4), "I"), SIGNALS_MV[:, 0], atol=0.5 / 4096)


def test_signals_come_as_float32_of_the_rows_and_lead_asked_for(path: Path) -> None:
    signals = WindowStore.open(path).signals_mv(np.array([3, 1]), "AVR")
    assert (signals.dtype, signals.shape) == (np.float32, (2, 20))
    np.testing.assert_allclose(signals, SIGNALS_MV[[3, 1], 1], atol=0.5 / 4096)


def test_tables_are_columns_of_the_records(path: Path) -> None:
    store = WindowStore.open(path)
    assert store.folds.tolist() == [1, 1, 2, 2]
    assert store.labels.tolist() == [1, 0, 0, 0]
    assert store.patients.tolist() == ["0", "0", "1", "1"]
    assert np.isnan(store.ages_years).tolist() == [False, False, True, False]


def test_rows_of_folds(path: Path) -> None:
    assert WindowStore.open(path).rows_of([2]).tolist() == [2, 3]


def test_the_same_content_has_the_same_digest(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "again")
    assert WindowStore.open(path).digest == WindowStore.open(tmp_path / "again").digest


def test_folder_and_files_are_for_their_owner_only(path: Path) -> None:
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (path, *sorted(path.iterdir()))]
    assert modes == [0o700, 0o600, 0o600, 0o600]


def test_samples_beyond_int16_are_clipped_and_counted(tmp_path: Path) -> None:
    loud = SIGNALS_MV.copy()
    loud[0, 0, :3] = [9.0, -9.0, 7.9]
    write(tmp_path / "loud", signals_mv=loud)
    store = WindowStore.open(tmp_path / "loud")
    assert store.manifest.clipped_samples == 2
    assert np.abs(store.signals_mv(np.array([0]), "I")).max() == pytest.approx(32767 / 4096)


def test_a_missing_sample_is_nan_or_what_is_asked_for(tmp_path: Path) -> None:
    holed = SIGNALS_MV.copy()
    holed[1, 0, 3:5] = np.nan
    write(tmp_path / "holed", signals_mv=holed)
    store = WindowStore.open(tmp_path / "holed")
    assert store.manifest.missing_samples == 2
    assert np.argwhere(np.isnan(store.signals_mv(np.arange(4)))).tolist() == [[1, 3], [1, 4]]
    assert store.signals_mv(np.array([1]), missing_mv=0.0)[0, 3:5].tolist() == [0.0, 0.0]
    assert not np.isnan(store.signals_mv(np.arange(4), "aVR")).any()


def test_no_signal_is_taken_for_a_missing_sample() -> None:
    codes, clipped = to_codes(np.array([-1e6, np.nan, 1e6]))
    assert (codes.tolist(), clipped) == ([-32767, -32768, 32767], 2)


def test_an_infinite_sample_is_refused() -> None:
    with pytest.raises(StoreError, match="1 samples are infinite"):
        to_codes(np.array([np.inf, 0.0]))


def test_a_large_store_is_hashed_on_demand_and_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_module, "BLOCK_RECORDS", 3)
    monkeypatch.setattr(window_store, "VERIFIED_BYTES", 0)
    write(tmp_path / "store")
    store = WindowStore.open(tmp_path / "store")
    assert len(store.manifest.signals_sha256) == 2
    assert list(store.verify()) == [3, 1]
    file = tmp_path / "store" / "signals.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    found = WindowStore.open(tmp_path / "store").verify()
    assert next(found) == 3
    with pytest.raises(StoreError, match=r"signals\.npy was changed .* within records 3 to 3"):
        next(found)


@given(pieces=st.lists(st.binary(max_size=40), max_size=10), block=st.integers(1, 50))
def test_hashes_of_blocks_do_not_depend_on_the_pieces(pieces: list[bytes], block: int) -> None:
    hashes = BlockHashes(block)
    for piece in pieces:
        hashes.update(piece)
    whole = b"".join(pieces)
    expected = [hashlib.sha256(whole[i : i + block]).hexdigest() for i in range(0, len(whole), block)]
    assert list(hashes.digests()) == expected


@settings(deadline=None)
@given(records=st.lists(RECORD, max_size=6))
def test_columns_give_the_records_back(records: list[StoredRecord]) -> None:
    table = RecordTable.from_columns(RecordTable.of(records).columns())
    assert tuple(table) == tuple(records)
    names = sorted({code for record in records for code in record.codes})
    assert table.code_matrix(names).tolist() == [[n in record.codes for n in names] for record in records]
    counts = Counter(code for record in records[::2] for code in record.codes)
    assert table.code_counts(np.arange(0, len(records), 2)) == counts


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("folds", np.array([1, 2])),
        ("mi", np.array([0, 1, 0, 1])),
        ("patient", np.array([0, 0, 1, 2], dtype=np.int32)),
        ("code", np.array([1], dtype=np.int32)),
        ("id_ends", np.array([5, 10, 4, 20])),
        ("code_likelihoods", np.zeros(2)),
    ],
)
def test_columns_that_make_no_table_are_refused(column: str, value: np.ndarray) -> None:
    columns = RecordTable.of(RECORDS).columns()
    with pytest.raises(ValueError, match=r"column|statements"):
        RecordTable.from_columns({**columns, column: value})


def test_a_row_beyond_the_table_is_an_index_error() -> None:
    table = RecordTable.of(RECORDS)
    assert table[-1] == RECORDS[-1]
    assert table[1:3] == RECORDS[1:3]
    with pytest.raises(IndexError):
        table[4]


def test_codes_round_half_to_even() -> None:
    codes, clipped = to_codes(np.array([0.5, 1.5, -0.5, -1.5]) / 4096)
    assert (codes.tolist(), clipped) == ([0, 2, 0, -2], 0)


@pytest.mark.parametrize("name", ["signals.npy", "labels.npz"])
def test_a_changed_byte_is_found(path: Path, name: str) -> None:
    content = bytearray((path / name).read_bytes())
    content[-3] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name} was changed"):
        WindowStore.open(path)


@pytest.mark.parametrize("name", ["signals.npy", "labels.npz"])
def test_a_truncated_file_is_found(path: Path, name: str) -> None:
    (path / name).write_bytes((path / name).read_bytes()[:-10])
    with pytest.raises(StoreError, match=f"{name} was changed"):
        WindowStore.open(path)


@pytest.mark.parametrize("name", ["signals.npy", "labels.npz"])
def test_a_missing_file_is_named(path: Path, name: str) -> None:
    (path / name).unlink()
    with pytest.raises(StoreError, match=name):
        WindowStore.open(path)


def test_a_folder_without_manifest_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no window store; make one with edge-mi data build"):
        WindowStore.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"comment": "hello"}, "unknown key comment"),
        ({"schema": 2}, "schema 2"),
        ({"codes_per_mv": 1000}, "1000 codes per mV"),
        ({"records": 5}, "the manifest says"),
        ({"leads": ["I"]}, "the manifest says"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(path: Path, change: dict[str, Any], message: str) -> None:
    document = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(StoreError, match=message):
        WindowStore.open(path)


def test_the_filter_must_be_the_expected_one(path: Path) -> None:
    store = WindowStore.open(path)
    store.check_filter(DESIGN)
    with pytest.raises(StoreError, match="another design"):
        store.check_filter(replace(DESIGN, fir=(-2, 4, -2)))


def test_the_rate_must_be_the_expected_one(path: Path) -> None:
    with pytest.raises(StoreError, match="100 Hz, expected 128 Hz"):
        WindowStore.open(path).check_filter(replace(DESIGN, rate_hz=128))


def test_a_lead_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(StoreError, match="no lead V7 in this store; it has I, aVR"):
        WindowStore.open(path).lead_index("V7")


def test_a_patient_in_two_folds_is_refused_by_name(tmp_path: Path) -> None:
    moved = (*RECORDS[:3], replace(RECORDS[3], fold=5))
    with pytest.raises(StoreError, match="patient 1 is in folds 2 and 5"):
        write(tmp_path / "store", records=moved)
    with pytest.raises(StoreError, match="patient 1"):
        check_patients(moved)
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def signals() -> Iterator[np.ndarray]:
        yield SIGNALS_MV[0]
        raise StoreError("the reader failed")

    with pytest.raises(StoreError, match="the reader failed"):
        write(tmp_path / "store", signals_mv=signals())
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_another_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"record 00000 has shape \(2, 20\)"):
        write(tmp_path / "store", samples_per_record=30)


def test_a_store_is_replaced_only_with_force(path: Path) -> None:
    with pytest.raises(OutputError, match="--force"):
        write(path)
    write(path, force=True, records=RECORDS[:2], signals_mv=SIGNALS_MV[:2])
    assert len(WindowStore.open(path)) == 2
