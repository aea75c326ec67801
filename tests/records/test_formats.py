"""Signal files of every format that is read, against the `wfdb` package."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from wfdb_oracle import compare

from edge_mi.errors import RecordError
from edge_mi.records import read_signals
from edge_mi.records.wfdb_codes import INVALID, bytes_of, codes_in, pack, unpack


@pytest.mark.parametrize("number", ["16", "24", "32", "212"])
@pytest.mark.parametrize("n_signals", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 501])
def test_what_wfdb_writes_is_read_as_wfdb_reads_it(
    tmp_path: Path, number: str, n_signals: int, n: int
) -> None:
    low = INVALID[int(number)]
    rng = np.random.default_rng(n)
    codes = rng.integers(low, -low, (n, n_signals))
    codes[0], codes[-1] = low + 1, low if n > 1 else -low - 1
    wfdb.wrsamp("a", fs=250, units=["mV"] * n_signals, sig_name=["I", "II", "III"][:n_signals],
                d_signal=codes.astype(np.int64), fmt=[number] * n_signals, adc_gain=[200.0] * n_signals,
                baseline=[0] * n_signals, write_dir=str(tmp_path))  # fmt: skip
    compare(tmp_path / "a.hea")
    found = read_signals(tmp_path / "a.hea").codes
    assert found is not None
    assert np.array_equal(found, codes.T)


@pytest.mark.parametrize("number", [24, 32])
def test_a_header_without_a_length_is_as_long_as_its_file(tmp_path: Path, number: int) -> None:
    width = number // 8
    (tmp_path / "a.dat").write_bytes(pack(np.arange(-50, 50, dtype=np.int32), number) + b"\7" * (width - 1))
    (tmp_path / "a.hea").write_text(f"a 1 130\na.dat {number} 1000(0)/mV {number} 0 0 0 0 I\n")
    compare(tmp_path / "a.hea")
    assert read_signals(tmp_path / "a.hea").samples_mv.shape == (1, 100)


@pytest.mark.parametrize("number", [24, 32])
def test_a_changed_byte_is_seen_by_the_checksum(tmp_path: Path, number: int) -> None:
    codes = np.arange(100, dtype=np.int32)
    content = bytearray(pack(codes, number))
    header = f"a 1 130 100\na.dat {number} 1000(0)/mV {number} 0 0 {int(codes.sum())} 0 I\n"
    (tmp_path / "a.hea").write_text(header)
    (tmp_path / "a.dat").write_bytes(content)
    read_signals(tmp_path / "a.hea")
    content[0] ^= 1
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(RecordError, match=r"a\.dat was changed or damaged"):
        read_signals(tmp_path / "a.hea")


@given(st.sampled_from([16, 24, 32]), st.data())
@settings(deadline=None)
def test_packed_codes_come_back_and_are_what_wfdb_writes(number: int, data: st.DataObject) -> None:
    low = INVALID[number]
    codes = np.array(data.draw(st.lists(st.integers(low, -low - 1), min_size=1, max_size=20)), dtype=np.int32)
    raw = pack(codes, number)
    assert len(raw) == bytes_of(len(codes), number)
    assert codes_in(len(raw), number) == len(codes)
    bytes_found = np.frombuffer(raw, dtype=np.uint8)
    assert unpack(bytes_found, number, len(codes)).tolist() == codes.tolist()
    assert unpack(bytes_found[:-1], number, len(codes)).tolist() == codes[:-1].tolist()
    with tempfile.TemporaryDirectory() as work:
        wfdb.wrsamp("a", fs=130, units=["mV"], sig_name=["I"], d_signal=codes[:, None].astype(np.int64),
                    fmt=[str(number)], adc_gain=[1.0], baseline=[0], write_dir=work)  # fmt: skip
        assert (Path(work) / "a.dat").read_bytes() == raw


@pytest.mark.parametrize("number", [16, 24])
def test_codes_that_do_not_fit_are_refused(number: int) -> None:
    for code in (INVALID[number] - 1, -INVALID[number]):
        with pytest.raises(ValueError, match=f"do not fit into format {number}"):
            pack(np.array([code], dtype=np.int32), number)
    with pytest.raises(ValueError, match="expected 16, 24 or 32"):
        pack(np.array([1], dtype=np.int32), 212)
