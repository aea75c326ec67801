"""Writing WFDB records in format 16, for tools and fixtures."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_mi.files import write_file

_NAME = re.compile(r"[-\w]+", re.ASCII)


def write_wfdb(
    folder: Path,
    name: str,
    leads: Sequence[str],
    codes: NDArray[np.int16],
    rate_hz: float,
    gain_per_mv: float,
) -> Path:
    """Write `name`.hea and `name`.dat into `folder`; the header's path.

    codes: int16, shape (n_leads, n); -32768 marks an invalid sample. gain_per_mv: codes per millivolt.
    Raises ValueError for other shapes or names, OutputError where the folder cannot be written.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"a record's name has letters, digits, - and _ only, found {name!r}")
    if codes.ndim != 2 or codes.dtype != np.int16 or codes.shape[0] != len(leads) or codes.size == 0:
        raise ValueError(
            f"{len(leads)} leads need int16 codes ({len(leads)}, n), found {codes.dtype} {codes.shape}"
        )
    if any(not lead.isprintable() or lead != lead.strip() for lead in leads):
        raise ValueError(f"lead names are printable and without spaces around, found {list(leads)}")
    if not (math.isfinite(rate_hz) and rate_hz > 0 and math.isfinite(gain_per_mv) and gain_per_mv > 0):
        raise ValueError(f"rate and gain must be above 0, found {rate_hz:g} Hz and {gain_per_mv:g} per mV")
    sums = codes.sum(axis=1, dtype=np.int64) % 65536
    lines = [f"{name} {len(leads)} {rate_hz:.12g} {codes.shape[1]}"]
    lines += [
        f"{name}.dat 16 {gain_per_mv:.12g}(0)/mV 16 0 {codes[i, 0]} {_signed(int(sums[i]))} 0 {lead}".rstrip()
        for i, lead in enumerate(leads)
    ]
    # a recording is somebody's health: for its owner only
    write_file(folder / f"{name}.dat", np.ascontiguousarray(codes.T).astype("<i2").tobytes(), mode=0o600)
    header = folder / f"{name}.hea"
    write_file(header, ("\n".join(lines) + "\n").encode(), mode=0o600)
    return header


def _signed(checksum: int) -> int:
    return checksum - 65536 if checksum >= 32768 else checksum
