"""What every loader gives: the records of a public collection, listed one by one and read one by one.

A collection may hold 800,000 records, so nothing here asks for all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import StoredRecord

Negatives: TypeAlias = Literal["all", "norm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """Which records are positive, which negative, and which are left out.

    likelihood: the lowest likelihood in percent at which a statement of infarction counts, 0 for any (a
    likelihood of 0 means that the source does not know it); a record whose only statements of infarction lie
    below it is neither positive nor negative and is left out. negatives: "all" records without infarction, or
    the normal ones only ("norm", which is easier and flatters a figure).
    """

    likelihood: float = 0.0
    negatives: Negatives = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecord:
    """One record of a collection, or a piece of a long one: its labels, its file, and where the piece begins."""

    record: StoredRecord
    path: Path
    start_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a store says of the collection that it was made of."""

    name: str
    version: str
    licence: str
    leads: tuple[str, ...]
    label_rule: str


class Collection(Protocol):
    """A public collection in its published layout."""

    @property
    def info(self) -> CollectionInfo:
        """Name, licence and leads; `leads` are the rows of what `read` returns."""

    def records(self) -> Iterator[ListedRecord]:
        """Every usable record, in an order that is the same on every machine.

        Raises RecordError for a table or header that is not as published.
        """

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """Millivolts float64 (leads, samples), NaN where the source has none, and the rate in Hz.

        Raises RecordError for a file that is damaged.
        """
