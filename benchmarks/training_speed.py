"""How many windows a second training takes in, and how much of its time it waits for data.

Run by `make training-speed`; prints one JSON document. The records are noise in a store on disk, so that anybody
can run it: speed does not depend on what a window shows. Nothing that is learned is kept.
"""

from __future__ import annotations

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
RECORDS, SAMPLES, CUT, RATE_HZ = 2048, 1000, 800, 100
# network -> records in a batch
NETS: Final = {"67k": 64, "net1d-small": 64}
STEPS, WARM_UP, ROUNDS = 16, 2, 3
LOADED_BATCHES: Final = 200


def main() -> int:
    """Measure and print."""
    import_module("edge_mi.train.fit").prepare_torch(1)
    with tempfile.TemporaryDirectory() as folder:
        store = noise_store(Path(folder) / "store")
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in NETS}
        for _ in range(ROUNDS):  # in turns, so that a busy moment meets all
            for name, batch in NETS.items():
                rounds[name].append(train(store, name, batch))
        loading = load(store, batch=64)
    print(
        json.dumps({
            "schema": SCHEMA,
            "machine": describe_machine(),
            "threads": 1,
            "readers": 1,
            "window_s": CUT / RATE_HZ,
            "leads_read": len(TWELVE_LEADS),
            "n": ROUNDS * STEPS,
            "nets": {name: summary(name, found) for name, found in rounds.items()},
            "loading_alone_windows_per_s": round(loading),
            "command": "make training-speed",
        })
    )  # fmt: skip
    return 0


def train(store: WindowStore, name: str, batch: int) -> dict[str, float]:
    """Windows a second, and the share of the time that was spent waiting, of aligning `name` with fixed aims."""
    nets: Any = import_module("edge_mi.train.pretrain_nets")
    loss: Any = import_module("edge_mi.train.losses.pairwise_sigmoid")
    distributed: Any = import_module("edge_mi.train.distributed")
    torch: Any = import_module("torch")
    aligner = nets.SelfAligner(nets.make_encoder(name), 128, loss.PairwiseSigmoidLoss(), distributed.ALONE)
    optimiser = torch.optim.AdamW(aligner.parameters())
    aims = torch.randn(batch, 128)
    feed = make_feed(store)
    start_s = waited_s = 0.0
    for step, cuts in enumerate(feed(batches(batch, WARM_UP + STEPS), 0)):
        if step == WARM_UP:
            start_s, waited_s = time.perf_counter(), feed.waited_s
        value = aligner(cuts.cuts_mv(CUT, lead=0)[0], aims)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    elapsed_s = time.perf_counter() - start_s
    return {"windows_per_s": batch * STEPS / elapsed_s, "waiting": (feed.waited_s - waited_s) / elapsed_s}


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
