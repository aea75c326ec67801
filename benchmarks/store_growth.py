"""How the preprocessing pass grows: stores of more and more synthetic records, and opening one of 100,000.

    python -m edge_mi.benchmarks.store_growth --out benchmarks/results/store_growth.json

Records are twelve leads of 10 s at 500 Hz, read from WFDB files: a few files, listed again and again, so that
reading is measured and the disk hardly is. Each store is built in a process of its own, whose memory and whose
workers' is the largest that the system saw. Takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.train.data.build import build_store
from edge_mi.train.data.collection import CollectionInfo, ListedRecord
from edge_mi.train.data.pieces import read_piece
from edge_mi.train.filters import MODEL_RATE_HZ, design_signal_chain
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.files import write_file
from edge_mi.records import write_wfdb
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import (
    CODES_PER_MV,
    Manifest,
    RecordTable,
    StoredRecord,
    StoreSource,
    WindowStore,
    filter_sha256,
)
from edge_mi.store import SCHEMA as STORE_SCHEMA
from edge_mi.store.manifest import LABELS_FILE, MANIFEST_FILE, SIGNALS_FILE
from edge_mi.store.signals import BLOCK_RECORDS, npy_header
from edge_mi.synthetic import ecg

from .machine import describe_machine

SCHEMA: Final = 1
SIZES: Final = (500, 1000, 2000, 4000)
ARCHIVE: Final = 800_000
OPENED: Final = 100_000
FILES: Final = 32
RATE_HZ: Final = 500
SAMPLES: Final = 10 * MODEL_RATE_HZ
_NOTED_EVERY: Final = 50


@dataclass
class SyntheticCollection:
    """`n` records out of the files of `folder`; every reader notes there how much memory its process has used."""

    folder: Path
    n: int
    left_out: Counter[str] = field(default_factory=Counter)
    _read: int = 0

    @property
    def info(self) -> CollectionInfo:
        """Synthetic hearts without labels."""
        return CollectionInfo(
            name="synthetic", version="1", licence="none", leads=TWELVE_LEADS, label_rule="none"
        )

    def records(self) -> Iterator[ListedRecord]:
        """The files, again and again."""
        return (
            ListedRecord(record=_record(i), path=self.folder / f"heart{i % FILES}") for i in range(self.n)
        )

    def read(self, listed: ListedRecord) -> tuple[NDArray[np.float64], float]:
        """As the loaders of real collections do."""
        self._read += 1
        if self._read % _NOTED_EVERY == 0:
            (self.folder / f"{os.getpid()}.rss").write_text(str(_peak_mb()))
        piece: tuple[NDArray[np.float64], float] = read_piece(listed.path, listed.start_s, TWELVE_LEADS)
        return piece


def _record(i: int) -> StoredRecord:
    """Labels as long as those of a real archive, five records a patient."""
    return StoredRecord(
        record_id=f"{40_000_000 + i}",
        patient_id=f"synthetic/{10_000_000 + i // 5}",
        fold=1 + i // 5 % 9,
        mi=None,
        norm=None,
        codes={"SR": 100.0, f"code {i % 70}": 0.0},
        age_years=float(i % 90),
        female=i % 2 == 0,
    )


def write_hearts(folder: Path) -> None:
    """The files of the collection."""
    for i in range(FILES):
        heart = ecg(10, rate_hz=RATE_HZ, heart_rate_bpm=55.0 + i, noise_mv=0.02, seed=i)
        codes = np.rint(heart.samples_mv * 1000).astype(np.int16)
        write_wfdb(folder, f"heart{i}", heart.leads, codes, RATE_HZ, 1000)


def measure_build(folder: Path, n: int, jobs: int) -> dict[str, Any]:
    """Build one store in this process; wall and processor time, and memory at its peak."""
    start_s = time.perf_counter()
    build_store(
        SyntheticCollection(folder, n), folder / f"store{n}", design_signal_chain(MODEL_RATE_HZ), jobs=jobs
    )
    wall_s = time.perf_counter() - start_s
    cpu = os.times()
    workers = [float(file.read_text()) for file in folder.glob("*.rss")]
    return {
        "records": n,
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu.user + cpu.system + cpu.children_user + cpu.children_system, 2),
        "cpu_parent_s": round(cpu.user + cpu.system, 2),
        "peak_rss_mb": {"parent": _peak_mb(), "worker": max(workers)},
    }


def write_hollow_store(folder: Path, rows: int) -> None:
    """A store of `rows` records with labels and a file of signals that takes no room, to be opened only."""
    folder.mkdir()
    np.savez(folder / LABELS_FILE, **RecordTable.of(map(_record, range(rows))).columns())  # type: ignore[arg-type]
    manifest = Manifest(
        schema=STORE_SCHEMA,
        source=StoreSource(
            name="synthetic", version="1", licence="none", selection="all", source_rate_hz=RATE_HZ,
            label_rule="none", records_absent=0,
        ),
        rate_hz=MODEL_RATE_HZ,
        leads=TWELVE_LEADS,
        samples_per_record=SAMPLES,
        codes_per_mv=CODES_PER_MV,
        clipped_samples=0,
        missing_samples=0,
        left_out={},
        filter_sha256=filter_sha256(design_signal_chain(MODEL_RATE_HZ)),
        versions={},
        records=rows,
        block_records=BLOCK_RECORDS,
        signals_sha256=("0" * 64,) * -(-rows // BLOCK_RECORDS),
        files={LABELS_FILE: hashlib.sha256((folder / LABELS_FILE).read_bytes()).hexdigest()},
    )  # fmt: skip
    (folder / MANIFEST_FILE).write_text(strict.dumps(manifest))
    header = npy_header(manifest.shape)
    (folder / SIGNALS_FILE).write_bytes(header)
    os.truncate(folder / SIGNALS_FILE, len(header) + int(np.prod(manifest.shape)) * 2)


def measure_open(folder: Path) -> dict[str, Any]:
    """Open a store in this process; seconds, and what the memory grew by."""
    before_mb, start_s = _peak_mb(), time.perf_counter()
    store = WindowStore.open(folder)
    opened_s = time.perf_counter()
    rows = store.rows_of((1, 2, 3))
    patients, _ = store.patients[rows], store.ages_years[rows]
    return {
        "rows": len(store),
        "labels_mb": round((folder / "labels.npz").stat().st_size / 1e6, 1),
        "signals_mb": round(store.codes.nbytes / 1e6),
        "open_s": round(opened_s - start_s, 3),
        "first_use_s": round(time.perf_counter() - opened_s, 3),
        "patients": len(set(patients.tolist())),
        "memory_mb": round(_peak_mb() - before_mb, 1),
    }


def measure(jobs: int) -> dict[str, Any]:
    """The document: every size, what follows for an archive, and opening a large store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_hearts(folder)
        builds = [_apart("build", folder, n, jobs) for n in SIZES]
        write_hollow_store(folder / "hollow", OPENED)
        opened = _apart("open", folder / "hollow")
    for build in builds:
        build["records_per_s"] = round(build["records"] / build["wall_s"], 1)
        build["records_per_core_s"] = round(build["records"] / build["cpu_s"], 1)
    wall = _growth(builds, lambda build: build["wall_s"])
    cpu = _growth(builds, lambda build: build["cpu_s"])
    parent = _growth(builds, lambda build: build["cpu_parent_s"])
    memory = _growth(builds, lambda build: build["peak_rss_mb"]["parent"])
    return {
        "schema": SCHEMA,
        "command": "python -m edge_mi.benchmarks.store_growth --out benchmarks/results/store_growth.json",
        "machine": describe_machine(),
        "records": f"synthetic, 12 leads, 10 s at {RATE_HZ} Hz, WFDB format 16",
        "jobs": jobs,
        "builds": builds,
        "growth": {
            "wall_ms_per_record": round(wall[0] * 1e3, 3),
            "cpu_ms_per_record": round(cpu[0] * 1e3, 3),
            "cpu_ms_per_record_parent": round(parent[0] * 1e3, 3),
            "parent_rss_kb_per_record": round(memory[0] * 1e3, 3),
        },
        "extrapolated": {
            "records": ARCHIVE,
            "wall_h": round(_at(ARCHIVE, wall) / 3600, 2),
            "core_h": round(_at(ARCHIVE, cpu) / 3600, 2),
            # the parent's own work does not spread: no number of cores makes the pass shorter than this
            "parent_h": round(_at(ARCHIVE, parent) / 3600, 2),
            "parent_rss_mb": round(_at(ARCHIVE, memory)),
            "signals_gb": round(ARCHIVE * len(TWELVE_LEADS) * SAMPLES * 2 / 1e9, 1),
        },
        "open": opened,
    }


def _growth(builds: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> tuple[float, float]:
    """Slope a record and intercept of a straight line through the sizes, by least squares."""
    slope, start = np.polyfit([build["records"] for build in builds], [value(build) for build in builds], 1)
    return float(slope), float(start)


def _at(records: int, line: tuple[float, float]) -> float:
    return line[0] * records + line[1]


def _peak_mb() -> float:
    """The most memory that this process has held; of an interpreter that others started, its own alone."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError("this system does not say how much memory a process has held")


def _apart(*words: object) -> dict[str, Any]:
    """Measure in a new process, whose memory has no past."""
    call = [sys.executable, "-m", "edge_mi.benchmarks.store_growth", "--apart", *map(str, words)]
    found: dict[str, Any] = json.loads(subprocess.run(call, stdout=subprocess.PIPE, check=True).stdout)
    return found


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file to write")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--apart", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.apart is not None:
        what, folder, *numbers = args.apart
        found = (
            measure_open(Path(folder))
            if what == "open"
            else measure_build(Path(folder), *(int(number) for number in numbers))
        )
        print(json.dumps(found))
        return 0
    text = json.dumps(measure(args.jobs), indent=1) + "\n"
    if args.out is None:
        print(text, end="")
    else:
        write_file(args.out, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
