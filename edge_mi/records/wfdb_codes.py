"""Codes of WFDB signal files: formats 16, 24, 32 and 212 to integers, and whole bytes of them back.

Source: https://wfdb.io/spec/signal-files.html.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

INVALID: Final = {16: -(1 << 15), 24: -(1 << 23), 32: -(1 << 31), 212: -(1 << 11)}
FORMATS: Final = tuple(INVALID)
_BITS: Final = {16: 16, 24: 24, 32: 32, 212: 12}


def bytes_of(n_codes: int, number: int) -> int:
    """Bytes that `n_codes` codes of the format `number` take."""
    return (n_codes * _BITS[number] + 7) // 8


def codes_in(n_bytes: int, number: int) -> int:
    """Whole codes of the format `number` in `n_bytes` bytes."""
    return max(0, n_bytes) * 8 // _BITS[number]


def unpack(raw: NDArray[np.uint8], number: int, n_codes: int) -> NDArray[np.int32]:
    """Codes int32 (n,) of the format `number`: `n_codes` of them, or what whole ones `raw` uint8 (m,) holds."""
    n_codes = min(n_codes, codes_in(raw.size, number))
    raw = raw[: bytes_of(n_codes, number)]
    if number == 212:
        return _unpack_212(raw, n_codes)
    if number == 24:
        low, middle, high = raw.reshape(-1, 3).T
        return low | middle.astype(np.int32) << 8 | high.view(np.int8).astype(np.int32) << 16
    return np.ascontiguousarray(raw).view("<i2" if number == 16 else "<i4").astype(np.int32)


def pack(codes: NDArray[np.int32], number: int) -> bytes:
    """Bytes of `codes` int32 (n,) in format 16, 24 or 32. Raises ValueError for codes that do not fit."""
    if number not in (16, 24, 32):
        raise ValueError(f"format {number}; expected 16, 24 or 32")
    low = INVALID[number]
    if codes.size and not (low <= codes.min() and codes.max() < -low):
        raise ValueError(f"codes from {codes.min()} to {codes.max()} do not fit into format {number}")
    wide = np.ascontiguousarray(codes, dtype="<i4")
    return wide.view(np.uint8).reshape(-1, 4)[:, : number // 8].tobytes()


def _unpack_212(raw: NDArray[np.uint8], n_codes: int) -> NDArray[np.int32]:
    """Two codes of 12 bits in three bytes: low bytes first and last, the high halves share the middle one."""
    triples = np.zeros(((n_codes + 1) // 2, 3), dtype=np.int32)
    triples.reshape(-1)[: raw.size] = raw
    codes = np.empty((len(triples), 2), dtype=np.int32)
    codes[:, 0] = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
    codes[:, 1] = triples[:, 2] | (triples[:, 1] & 0xF0) << 4
    codes[codes >= 2048] -= 4096
    return codes.reshape(-1)[:n_codes]
