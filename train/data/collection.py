"""What every loader gives: the records of a public collection, listed one by one and read one by one.

A collection may hold 800,000 records, so nothing here asks for all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError
from edge_mi.store import StoredRecord

Negatives: TypeAlias = Literal["all", "norm"]

# reasons that several collections share, as `left_out` counts them
ABSENT: Final = "no file here"
HELD_BACK: Final = "fold 10, which is left alone"
SHORT: Final = "shorter than 10 s"
NO_DIAGNOSIS: Final = "no diagnosis given"
REPEATED: Final = "listed before"


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

    def __post_init__(self) -> None:
        if not 0 <= self.likelihood <= 100:
            raise ConfigError(f"a likelihood of {self.likelihood:g} %; expected 0 to 100")
        if self.negatives not in get_args(Negatives):
            raise ConfigError(f"negatives {self.negatives!r}; expected {' or '.join(get_args(Negatives))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecord:
    """One record of a collection, or a piece of a long one: its labels, its file, and where the piece begins.

    `record.patient_id` is "<source>/<patient>", so that ids of two collections are equal only where the patient is.
    """

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
    """A public collection in its published layout; it can be sent to another process, to read there."""

    @property
    def info(self) -> CollectionInfo:
        """Name, licence and leads; `leads` are the rows of what `read` returns."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """Reason -> how many records the last pass of `records` did not give; complete when that pass has ended."""

    def records(self) -> Iterator[ListedRecord]:
        """Every usable record, in an order that is the same on every machine.

        Raises RecordError for a table or header that is not as published.
        """

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """Millivolts float64 (leads, samples), NaN where the source has none, and the rate in Hz.

        Raises RecordError for a file that is damaged.
        """
