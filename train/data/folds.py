"""Folds for collections that have none: by patient, the same on every machine, in every part and edition."""

from __future__ import annotations

import hashlib
from typing import Final

FOLDS: Final = range(1, 10)  # 10 is left alone (contract C12)


def fold_of(patient_id: str) -> int:
    """The fold, 1 to 10, of the patient "<source>/<patient>"; a patient cannot be in two, whatever is listed when.

    1 + the first 8 bytes of the id's SHA-256, as a big-endian number, modulo 10.
    """
    digest = hashlib.sha256(patient_id.encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % 10
