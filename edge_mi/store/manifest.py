"""The document of a store: where its records come from, what was done to them, and the hashes of its files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np

from edge_mi import strict
from edge_mi.signal_design import SignalDesign
from edge_mi.store.codes import CODES_PER_MV

SCHEMA: Final = 3
MANIFEST_FILE: Final = "manifest.json"
SIGNALS_FILE: Final = "signals.npy"
LABELS_FILE: Final = "labels.npz"
FILES: Final = (MANIFEST_FILE, SIGNALS_FILE, LABELS_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSource:
    """Where the records come from, and the rule that makes `mi` and `norm` of their codes.

    source_rate_hz: None where the records have several. records_absent: listed by the source and not on this
    machine.
    """

    name: str
    version: str
    licence: str
    selection: str
    source_rate_hz: int | None
    label_rule: str
    records_absent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The document of a store.

    clipped_samples: beyond what int16 holds (8 mV). missing_samples: the source has none there, or too few in a
    row to filter. left_out: reason -> records of the source that are not in the store for it. versions: of the
    software that filtered. block_records, signals_sha256: one hash for each `block_records` records of the
    signals. files: name -> sha256 of the other files.
    """

    schema: int
    source: StoreSource
    rate_hz: int
    leads: tuple[str, ...]
    samples_per_record: int
    codes_per_mv: int
    clipped_samples: int
    missing_samples: int
    left_out: dict[str, int]
    filter_sha256: str
    versions: dict[str, str]
    records: int
    block_records: int
    signals_sha256: tuple[str, ...]
    files: dict[str, str]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, this version of edge-mi reads schema {SCHEMA}")
        if self.codes_per_mv != CODES_PER_MV:
            raise ValueError(f"{self.codes_per_mv} codes per mV, expected {CODES_PER_MV}")
        if set(self.files) != {LABELS_FILE}:
            raise ValueError(f"files {sorted(self.files)}, expected {LABELS_FILE}")
        if self.records < 1 or self.block_records < 1 or self.samples_per_record < 1 or not self.leads:
            raise ValueError("a store holds one record, lead and sample at least")
        blocks = -(-self.records // self.block_records)
        if len(self.signals_sha256) != blocks:
            raise ValueError(f"{len(self.signals_sha256)} hashes of signals, expected {blocks}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Records, leads, samples."""
        return (self.records, len(self.leads), self.samples_per_record)

    @property
    def digest(self) -> str:
        """A hash of the whole content, files included through theirs."""
        return hashlib.sha256(strict.dumps(self).encode()).hexdigest()


def filter_sha256(design: SignalDesign) -> str:
    """The hash that stands for a filter design."""
    return hashlib.sha256(strict.dumps(design).encode()).hexdigest()


def software_versions() -> dict[str, str]:
    """What decides the bytes of a store beside its source and filter."""
    return {"edge-mi": version("edge-mi"), "numpy": np.__version__}
