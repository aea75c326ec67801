"""The ten outputs of the protocol as labels, and which patients' labels a method may see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import LabelledRecords, WindowStore

from ..splits import Folds
from .result import TYPES


def output_labels(records: LabelledRecords) -> NDArray[np.int64]:
    """1 or 0 for each of OUTPUTS, int64 (records, outputs).

    A type is any statement of it in a record that the label rule of the store counts as an infarction; its
    negatives are all other records, those with other infarctions included.
    """
    mi = records.labels
    types = records.records.code_matrix(TYPES).astype(np.int64)
    return np.column_stack([mi, types * mi[:, None]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """The records of a `fraction` of the patients in `folds`, drawn by `seed`.

    Patients with and without infarction are drawn apart, at least one of each, so that something can be
    learned from any subset. Of two subsets with one seed the smaller lies in the larger.
    """

    folds: Folds
    fraction: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"a fraction lies in (0, 1], found {self.fraction}")

    def rows(self, store: WindowStore) -> NDArray[np.int64]:
        """Rows of the store, int64 (n,), ascending."""
        rows = store.rows_of(self.folds)
        if self.fraction == 1 or len(rows) == 0:
            return rows
        patients, labels = store.patients[rows], store.labels[rows]
        with_mi = set(patients[labels == 1])
        rng = np.random.default_rng((self.seed, *self.folds))
        chosen: set[str] = set()
        for stratum in (with_mi, set(patients) - with_mi):
            order = rng.permutation(sorted(stratum))
            chosen.update(order[: max(1, round(self.fraction * len(order)))])
        kept: NDArray[np.int64] = rows[np.array([patient in chosen for patient in patients])]
        return kept
