"""How many windows a second `edge-mi train pretrain` takes in, and how much of its time it waits for data.

Run by `make training-speed`; prints one JSON document. The records are noise in a store on disk, so that anybody
can run it: speed does not depend on what a window shows. What is timed are the steps of a whole run, and the pass of
the teacher before them by itself. The store is small enough for the page cache: reading it tells nothing about a
disk. Nothing that is learned is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import StoredRecord, StoreSource, WindowStore, write_store

from .machine import describe_machine

SCHEMA: Final = 1
RECORDS, SAMPLES, CUT, RATE_HZ = 256, 1000, 800, 100
# network -> records in a batch
NETS: Final = {"67k": 64, "net1d-small": 64}
TEACHER: Final = "net1d-small"
EPOCHS, WARM_UP, ROUNDS = 4, 2, 3
LOADED_BATCHES: Final = 100


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"runs of each network (default: {ROUNDS})"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of each run (default: {EPOCHS})")
    args = parser.parse_args()
    shorter = args.rounds != ROUNDS or args.epochs != EPOCHS
    command = f"python -m edge_mi.benchmarks.training_speed --rounds {args.rounds} --epochs {args.epochs}"
    import_module("edge_mi.train.fit").prepare_torch(1)
    with tempfile.TemporaryDirectory() as folder:
        store = noise_store(Path(folder) / "store")
        teacher = save_teacher(Path(folder) / "teacher.pth")
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in NETS}
        for turn in range(args.rounds):  # in turns, so that a busy moment meets all
            for name, batch in NETS.items():
                out = Path(folder) / f"{name}-{turn}"
                rounds[name].append(train(store, name, batch, args.epochs, teacher, out))
        loading = load(store, batch=64)
    print(
        json.dumps({
            "schema": SCHEMA,
            "machine": describe_machine(),
            "threads": 1,
            "readers": 1,
            "window_s": CUT / RATE_HZ,
            "leads_read": len(TWELVE_LEADS),
            "n": sum(int(found["steps"]) for found in rounds[next(iter(NETS))]),
            "teacher": {
                "net": TEACHER,
                "records": RECORDS,
                "records_per_s": round(
                    float(np.median([found["taught_per_s"] for each in rounds.values() for found in each])), 1
                ),
            },
            "page_cache": True,
            "nets": {name: summary(name, found) for name, found in rounds.items()},
            "loading_alone_windows_per_s": round(loading),
            "command": command if shorter else "make training-speed",
        })
    )  # fmt: skip
    return 0


def train(
    store: WindowStore, name: str, batch: int, epochs: int, teacher: Path, out: Path
) -> dict[str, float]:
    """One run that aligns `name` with the teacher.

    Windows a second and the share of the time that was spent waiting, after the first steps; records a second of the
    teacher's pass, its file written and hashed.
    """
    work: Any = import_module("edge_mi.train.pretrain")
    settings: Any = import_module("edge_mi.train.pretrain_config")
    config: Any = import_module("edge_mi.train.config")
    distributed: Any = import_module("edge_mi.train.distributed")
    handed: dict[str, list[tuple[float, float]]] = {}

    def on_batch(stage: str, waited_s: float) -> None:
        handed.setdefault(stage, []).append((time.perf_counter(), waited_s))

    fit = config.FitConfig(epochs=epochs, batch=batch)
    work.pretrain(
        store,
        settings.PretrainConfig(net=name, teacher_net=TEACHER, cut_s=CUT / RATE_HZ, fit=fit),
        settings.PretrainPlan(out=out, teacher=teacher, readers=1, on_batch=on_batch),
        distributed.ALONE,
    )
    steps = handed["student-I"]
    (start_s, waited_s), (end_s, waited_in_all_s) = steps[WARM_UP], steps[-1]
    timed = len(steps) - 1 - WARM_UP
    return {
        "steps": timed,
        "windows_per_s": batch * timed / (end_s - start_s),
        "waiting": (waited_in_all_s - waited_s) / (end_s - start_s),
        "taught_per_s": RECORDS / (steps[0][0] - handed["aims"][0][0]),
    }


def save_teacher(path: Path) -> Path:
    """A teacher of twelve leads with random weights: its speed is that of any other."""
    nets: Any = import_module("edge_mi.train.pretrain_nets")
    torch: Any = import_module("torch")
    torch.save(nets.make_encoder(TEACHER, leads=len(TWELVE_LEADS)).state_dict(), path)
    return path


def load(store: WindowStore, batch: int) -> float:
    """Windows a second where nothing is done with them."""
    start_s = time.perf_counter()
    for cuts in make_feed(store)(batches(batch, LOADED_BATCHES), 0):
        cuts.cuts_mv(CUT, lead=0)
    return batch * LOADED_BATCHES / (time.perf_counter() - start_s)


def summary(name: str, rounds: list[dict[str, float]]) -> dict[str, float | int]:
    """The middle round, and the worst wait."""
    return {
        "batch": NETS[name],
        "windows_per_s": round(float(np.median([found["windows_per_s"] for found in rounds])), 1),
        "waiting_share": round(float(np.median([found["waiting"] for found in rounds])), 4),
        "waiting_share_max": round(max(found["waiting"] for found in rounds), 4),
    }


def make_feed(store: WindowStore) -> Any:
    """The loader of training at scale, with one thread."""
    feed: Any = import_module("edge_mi.train.pretrain_feed").CutFeed
    return feed(store, TWELVE_LEADS, cut_samples=CUT, seed=0, readers=1)


def batches(size: int, count: int) -> list[Any]:
    """Batches of random rows."""
    torch: Any = import_module("torch")
    return [torch.randint(0, RECORDS, (size,)) for _ in range(count)]


def noise_store(path: Path) -> WindowStore:
    """A store of noise, 24 kB a record like any store of twelve leads."""
    rng = np.random.default_rng(0)
    design = import_module("edge_mi.train.filters").design_signal_chain(RATE_HZ)
    records = tuple(
        StoredRecord(
            record_id=str(i),
            patient_id=str(i),
            fold=1,
            mi=None,
            norm=None,
            codes={},
            age_years=None,
            female=None,
        )
        for i in range(RECORDS)
    )
    write_store(
        path,
        design=design,
        source=StoreSource(
            name="noise", version="1", licence="none", selection="all", source_rate_hz=RATE_HZ,
            label_rule="none", records_absent=0,
        ),
        leads=TWELVE_LEADS,
        records=records,
        signals_mv=(rng.normal(scale=0.3, size=(len(TWELVE_LEADS), SAMPLES)) for _ in range(RECORDS)),
        samples_per_record=SAMPLES,
    )  # fmt: skip
    return WindowStore.open(path)


if __name__ == "__main__":
    sys.exit(main())
