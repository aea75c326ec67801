"""The MATLAB v4 matrix that the CinC challenges put before their samples: 24 bytes, then int16 as format 16.

Source: "MAT-File Format", MathWorks, level 4: five int32 (type, rows, columns, imaginary, length of the name),
the name with its zero, then the elements column by column.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from edge_mi.errors import RecordError

HEADER_BYTES: Final = 24
_LITTLE_ENDIAN_INT16 = 30


def check_mat(path: Path, n_signals: int, n_samples: int) -> None:
    """Check that `path` is an int16 matrix (n_signals, n_samples) called `val`. Raises RecordError, OSError."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if head.startswith(b"MATLAB 5.0"):
        raise RecordError(
            f"{path.name} is a MATLAB v5 file; expected v4 as in the CinC challenges: save it with -v4"
        )
    if len(head) < HEADER_BYTES:
        raise RecordError(
            f"{path.name} has {len(head)} bytes; a MATLAB v4 matrix has {HEADER_BYTES} before its samples"
        )
    kind, rows, columns, imaginary, name_bytes = struct.unpack("<5i", head[:20])
    if (kind, imaginary, name_bytes) != (_LITTLE_ENDIAN_INT16, 0, 4):
        raise RecordError(f"{path.name} is not a MATLAB v4 matrix of int16 as in the CinC challenges")
    if (rows, columns) != (n_signals, n_samples):
        raise RecordError(
            f"{path.name} holds {rows} x {columns} samples, its header announces {n_signals} x {n_samples}"
        )
