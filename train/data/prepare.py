"""One record of a collection on its way into a store: read, filtered, and kept or left out with a reason."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.chain.chain import nominal_rate_hz
from edge_mi.chain.stretches import filter_leads
from edge_mi.errors import RecordError, SignalError, StoreError
from edge_mi.signal_design import SignalDesign
from edge_mi.store import MISSING_CODE, to_codes

from .collection import SHORT, Collection, ListedRecord
from .pieces import PIECE_S

MAX_MISSING_SHARE: Final = 0.2
MISSING: Final = f"more than {MAX_MISSING_SHARE:.0%} of a lead missing"
DAMAGED: Final = "damaged"
UNLISTED_RATE: Final = "a rate that is not listed"
NAMED_DAMAGED: Final = 10

Codes: TypeAlias = NDArray[np.int16]


@dataclass(slots=True)
class Counts:
    """What became of records: reason -> left out; nominal rate in Hz, as text -> kept; and samples that are special."""

    left_out: Counter[str] = field(default_factory=Counter)
    rates_hz: Counter[str] = field(default_factory=Counter)
    clipped: int = 0
    missing: int = 0
    damaged: list[str] = field(default_factory=list)  # the first ones, and why

    def add(self, other: Counts) -> None:
        """Count what `other` counted as well."""
        self.left_out.update(other.left_out)
        self.rates_hz.update(other.rates_hz)
        self.clipped += other.clipped
        self.missing += other.missing
        self.damaged += other.damaged[: NAMED_DAMAGED - len(self.damaged)]


@dataclass(frozen=True, slots=True)
class StorePart:
    """Records of a listing, next to each other, as they go into a store.

    listed_sha256: a hash of the listing. codes: int16 (kept, leads, samples). lines: labels of those, one JSON
    document a line.
    """

    listed: int
    listed_sha256: str
    codes: Codes
    lines: bytes
    counts: Counts


@dataclass(frozen=True, slots=True)
class Preparation:
    """What turns listed records of `collection` into the rows of a store; sent to every worker once."""

    collection: Collection
    design: SignalDesign

    @property
    def samples(self) -> int:
        """Samples of a stored record."""
        return PIECE_S * self.design.rate_hz

    def part(self, listing: Sequence[ListedRecord]) -> StorePart:
        """Prepare `listing`. Raises StoreError where the collection gives other leads than it says."""
        leads = self.collection.info.leads
        kept: list[Codes] = []
        lines: list[bytes] = []
        counts = Counts()
        for listed in listing:
            prepared = self._record(listed, len(leads), counts)
            if isinstance(prepared, str):
                counts.left_out[prepared] += 1
                continue
            kept.append(prepared)
            lines.append(f"{_text(listed.record)}\n".encode())
        codes = np.stack(kept) if kept else np.empty((0, len(leads), self.samples), dtype=np.int16)
        counts.missing = int((codes == MISSING_CODE).sum())
        return StorePart(len(listing), listing_sha256(listing), codes, b"".join(lines), counts)

    def _record(self, listed: ListedRecord, leads: int, counts: Counts) -> Codes | str:
        """The codes of one record, or why it is left out."""
        try:
            signals_mv, rate_hz = self.collection.read(listed)
        except (RecordError, SignalError) as exc:
            if len(counts.damaged) < NAMED_DAMAGED:
                counts.damaged.append(f"{listed.record.record_id}: {' '.join(str(exc).split())}")
            return DAMAGED
        if signals_mv.ndim != 2 or len(signals_mv) != leads:
            raise StoreError(
                f"record {listed.record.record_id} has shape {signals_mv.shape}, its collection says {leads} leads"
            )
        try:
            nominal_hz = nominal_rate_hz(self.design, rate_hz)
        except SignalError:
            return UNLISTED_RATE
        filtered = filter_leads(self.design, nominal_hz, signals_mv)[:, : self.samples]
        if filtered.shape[1] < self.samples:
            return SHORT
        if np.isnan(filtered).mean(axis=1).max() > MAX_MISSING_SHARE:
            return MISSING
        codes, clipped = to_codes(filtered)
        counts.clipped += clipped
        counts.rates_hz[str(nominal_hz)] += 1
        return codes


def listing_sha256(listing: Sequence[ListedRecord]) -> str:
    """A hash of what a collection lists: labels, files by name, starts; not of where the folder is."""
    digest = hashlib.sha256()
    for listed in listing:
        digest.update(f"{_text(listed.record)} {listed.path.name} {listed.start_s!r}\n".encode())
    return digest.hexdigest()


def _text(record: object) -> str:
    return json.dumps(strict.encode(record), allow_nan=False)
