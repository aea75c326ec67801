"""The `wfdb` package as oracle for our reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import wfdb

from edge_mi.records import read_signals

_MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "v": 1e3}


def compare(path: Path) -> None:
    """Assert that rate, leads, millivolts, invalid samples and comments are as `wfdb` reads them."""
    oracle = wfdb.rdrecord(str(path.with_suffix("")))
    ours = read_signals(path)
    expected = np.asarray(oracle.p_signal, dtype=np.float64).T
    units = [unit.lower() for unit in oracle.units]
    kept = [i for i, unit in enumerate(units) if unit in _MV_PER_UNIT]
    expected = np.stack([expected[i] * _MV_PER_UNIT[units[i]] for i in kept])
    assert ours.rate_hz == oracle.fs
    assert [lead.lower() for lead in ours.leads] == [oracle.sig_name[i].lower() for i in kept]
    assert np.array_equal(np.isnan(ours.samples_mv), np.isnan(expected))
    np.testing.assert_allclose(ours.samples_mv, expected, rtol=1e-12, atol=1e-12)
    assert list(ours.comments) == oracle.comments
