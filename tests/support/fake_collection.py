"""A collection in memory, or rather out of nothing: records follow from their number, and faults can be planted."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from edge_mi.train.data.collection import CollectionInfo, ListedRecord
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.store import StoredRecord


@dataclass
class FakeCollection:
    """`n` records of two leads at `rate_hz`; a file `faults`/<number> of a word plants a fault in that record.

    Words: damaged, short, gap, gone (a lead that is missing), rate, exit (the process ends) and wait (for ever).
    """

    n: int
    faults: Path | None = None
    rate_hz: int = 100
    leads: tuple[str, ...] = ("I", "II")
    name: str = "fake"
    straddling: int | None = None  # this record's patient is in another fold too
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def info(self) -> CollectionInfo:
        return CollectionInfo(
            name=self.name, version="1", licence="none", leads=self.leads, label_rule="mi: every third"
        )

    def records(self) -> Iterator[ListedRecord]:
        self.left_out.clear()
        for i in range(self.n):
            if i % 50 == 49:
                self.left_out["no file here"] += 1
                continue
            patient = i // 2
            yield ListedRecord(
                record=StoredRecord(
                    record_id=f"{i:05d}",
                    patient_id=f"{self.name}/é{patient}",
                    fold=1 + (patient + (i == self.straddling)) % 9,
                    mi=i % 3 == 0,
                    norm=i % 3 == 1,
                    codes={"IMI": 100.0, f"X{i % 5}": 0.0} if i % 3 == 0 else {},
                    age_years=None if i % 7 == 0 else float(i % 90),
                    female=None if i % 11 == 0 else i % 2 == 0,
                    stage="recent" if i % 6 == 0 else None,
                ),
                path=Path(f"{i}.dat"),
            )

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        number = int(listed.path.stem)
        samples = np.random.default_rng(number).normal(size=(len(self.leads), 10 * self.rate_hz))
        fault = self._fault(number)
        if fault == "damaged":
            raise RecordError(f"{listed.path} is cut short")
        if fault == "short":
            samples = samples[:, : 9 * self.rate_hz]
        if fault == "gap":
            samples[1, 4 * self.rate_hz : 5 * self.rate_hz] = np.nan
        if fault == "gone":
            samples[1] = np.nan
        if fault == "exit":
            os._exit(1)
        if fault == "wait":
            signal.pause()
        return samples, 7.0 if fault == "rate" else float(self.rate_hz)

    def _fault(self, number: int) -> str:
        file = None if self.faults is None else self.faults / str(number)
        return file.read_text() if file is not None and file.is_file() else ""
