"""What is told from what: any infarction in general and in the hard cases, its age, and nine types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import WindowStore

from ..evaluate import Task, tasks
from .outputs import output_labels
from .result import ANY_MI, OUTPUTS, TYPES

FEWEST_POSITIVES: Final = 20  # the half-width of an AUROC interval is .11 there, and grows fast below
STAGES: Final = ("recent", "old")
TYPE_RULE: Final = (
    "a type is its statement in a record that the label rule counts as infarction, against all other records, those "
    "with other infarctions included"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Positives against the rest of `rows` int64 (n,), by one output of a network; labels int64 (n,), 0 or 1."""

    task: str
    output: int
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    def among(self, known: NDArray[np.bool_]) -> Comparison:
        """The same among the records that are `known` (records,)."""
        kept = known[self.rows]
        return Comparison(self.task, self.output, self.rows[kept], self.labels[kept])

    @property
    def n_positive(self) -> int:
        """How many records are positive."""
        return int(self.labels.sum())

    @property
    def ranks(self) -> bool:
        """Whether there are both classes."""
        return 0 < self.n_positive < len(self.rows)

    @property
    def greyed(self) -> bool:
        """Whether there are too few positives for a rank among others."""
        return self.n_positive < FEWEST_POSITIVES


def type_task(name: str) -> str:
    """The comparison that belongs to a type."""
    return f"type_{name}"


def comparisons(store: WindowStore, rows: NDArray[np.int64]) -> tuple[Comparison, ...]:
    """Everything that a method is asked about `rows`; a stage or a type may have no positive at all."""
    labels = output_labels(store)
    mi = labels[:, OUTPUTS.index(ANY_MI)]
    asked = [_comparison(task, mi) for task in tasks(store, rows)]
    stages = np.array([record.stage or "" for record in store.records])
    for stage in STAGES:
        chosen = rows[(mi[rows] == 0) | (stages[rows] == stage)]
        asked.append(_comparison(Task(f"{stage}_mi_vs_no_mi", chosen), mi))
    for name in TYPES:
        output = OUTPUTS.index(name)
        asked.append(Comparison(type_task(name), output, rows, labels[rows, output]))
    return tuple(asked)


def _comparison(task: Task, labels: NDArray[np.int64]) -> Comparison:
    return Comparison(task.name, OUTPUTS.index(ANY_MI), task.rows, labels[task.rows])
