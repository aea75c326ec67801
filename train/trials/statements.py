"""Groups of PTB-XL's diagnostic statements, after `scp_statements.csv` of PTB-XL 1.0.3.

Superclasses: its column diagnostic_class. Places: what the abbreviation of an infarction or injury names; one that
names two is of both.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import WindowStore

SUPERCLASSES: Final[dict[str, tuple[str, ...]]] = {
    "NORM": ("NORM",),
    "MI": (
        "IMI", "ASMI", "ILMI", "AMI", "ALMI", "INJAS", "LMI", "INJAL", "IPLMI", "IPMI", "INJIN", "INJLA", "PMI", "INJIL",
    ),
    "STTC": (
        "NDT", "NST_", "DIG", "LNGQT", "ISC_", "ISCAL", "ISCIN", "ISCIL", "ISCAS", "ISCLA", "ANEUR", "EL", "ISCAN",
    ),
    "CD": ("LAFB", "IRBBB", "1AVB", "IVCD", "CRBBB", "CLBBB", "LPFB", "WPW", "ILBBB", "3AVB", "2AVB"),
    "HYP": ("LVH", "LAO/LAE", "RVH", "RAO/RAE", "SEHYP"),
}  # fmt: skip
PLACES: Final[dict[str, tuple[str, ...]]] = {
    "anterior": ("AMI", "ASMI", "ALMI", "INJAS", "INJAL"),
    "inferior": ("IMI", "ILMI", "IPMI", "IPLMI", "INJIN", "INJIL"),
    "lateral": ("LMI", "ALMI", "ILMI", "IPLMI", "INJAL", "INJLA", "INJIL"),
    "posterior": ("PMI", "IPMI", "IPLMI"),
}


def groups_of(store: WindowStore, groups: dict[str, tuple[str, ...]]) -> NDArray[np.float32]:
    """1 where a record has a statement of the group, else 0, float32 (records, groups)."""
    columns = [store.records.code_matrix(codes).any(axis=1) for codes in groups.values()]
    return np.column_stack(columns).astype(np.float32)
