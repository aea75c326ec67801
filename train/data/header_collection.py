"""What collections share whose records are WFDB headers in a folder: each given once, folds 1 to 9, as pieces of 10 s."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.records.wfdb_header import Header
from edge_mi.store import Stage, StoredRecord

from .collection import ABSENT, HELD_BACK, NO_DIAGNOSIS, REPEATED, SHORT, LabelRule, ListedRecord
from .folds import FOLDS, fold_of
from .headers import list_headers, open_header
from .labels import Label, LeftOut
from .pieces import pieces_of, read_piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a source says of one record; label: None where it says nothing of infarction, LeftOut by its rule."""

    codes: dict[str, float]
    label: Label | LeftOut | None
    age_years: float | None = None
    female: bool | None = None
    stage: Stage | None = None


_NOTHING: Final = Said(codes={}, label=None)


class HeaderCollection(ABC):
    """The listing and the reading of a Collection; a subclass says what headers mean.

    leads: the rows of what `read` returns.
    """

    leads: tuple[str, ...] = TWELVE_LEADS

    def __init__(self, folder: Path, rule: LabelRule | None = None) -> None:
        self._folder = folder
        self._rule = rule or LabelRule()
        self.left_out: Counter[str] = Counter()

    def records(self) -> Iterator[ListedRecord]:
        """The pieces of every record with a diagnosis, folds 1 to 9, in the order of RECORDS or of their names.

        A record whose header cannot be used is given without a diagnosis, and `read` says what is wrong with it.
        """
        self.left_out.clear()
        self._begin()
        seen = set[str]()
        for path in list_headers(self._folder):
            name = self._name(path)
            if name in seen:
                self.left_out[REPEATED] += 1
                continue
            seen.add(name)
            found = self._patient(path)
            if found is None:
                continue
            patient_id, fold = found
            if fold not in FOLDS:
                self.left_out[HELD_BACK] += 1
            elif not path.is_file():
                self.left_out[ABSENT] += 1
            else:
                yield from self._pieces(path, patient_id, fold)

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """The leads of a piece, millivolts float64 (leads, samples), and the rate."""
        if not listed.record.codes:
            raise _refusal(listed.path)
        return read_piece(listed.path, listed.start_s, self.leads)

    @abstractmethod
    def _said(self, path: Path, header: Header) -> Said:
        """What the source says of the record; without `codes` it is left out."""

    @abstractmethod
    def _patient_id(self, path: Path) -> str:
        """`<source>/<patient>`."""

    def _begin(self) -> None:  # noqa: B027  most collections have no tables beside their headers
        """Read what the whole listing needs."""

    def _name(self, path: Path) -> str:
        """The id of the record at `path`; two of one name are one record."""
        return path.stem

    def _patient(self, path: Path) -> tuple[str, int] | None:
        """Patient and fold; None, counted, where the patient is not known."""
        patient_id = self._patient_id(path)
        return patient_id, fold_of(patient_id)

    def _pieces(self, path: Path, patient_id: str, fold: int) -> Iterator[ListedRecord]:
        try:
            pieces = self._listed(path, patient_id, fold)
        except RecordError:
            # given all the same, so that it is counted where it is read, beside those of damaged signals
            pieces = (ListedRecord(record=self._record(path, patient_id, fold, _NOTHING), path=path),)
        yield from pieces

    def _listed(self, path: Path, patient_id: str, fold: int) -> tuple[ListedRecord, ...]:
        """The pieces of a record; none, counted, where it is left out. Raises RecordError for its header."""
        header = open_header(path)
        said = self._said(path, header)
        if not said.codes:
            self.left_out[NO_DIAGNOSIS] += 1
            return ()
        if isinstance(said.label, LeftOut):
            self.left_out[said.label.reason] += 1
            return ()
        pieces = pieces_of(path, header, self._record(path, patient_id, fold, said))
        if not pieces:
            self.left_out[SHORT] += 1
        return pieces

    def _record(self, path: Path, patient_id: str, fold: int, said: Said) -> StoredRecord:
        label = said.label if isinstance(said.label, Label) else None
        return StoredRecord(
            record_id=self._name(path),
            patient_id=patient_id,
            fold=fold,
            mi=None if label is None else label.mi,
            norm=None if label is None else label.norm,
            codes=said.codes,
            age_years=said.age_years,
            female=said.female,
            stage=said.stage,
        )


def _refusal(path: Path) -> RecordError:
    """Why the header at `path` could not be listed."""
    try:
        header = open_header(path)
        reason = "it states no length" if header.n_samples is None else "it was changed since it was listed"
    except RecordError as exc:
        reason = str(exc)
    return RecordError(f"the header {path} cannot be used ({reason})")
