"""The paper's encoder, all 30.66 million parameters of it, learns from a few real records."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from edge_mi.train.config import FitConfig
from edge_mi.train.data.build import build_store
from edge_mi.train.data.ptbxl import PtbXl
from edge_mi.train.distributed import ALONE
from edge_mi.train.fit import fit, seed_torch
from edge_mi.train.losses.pairwise_sigmoid import PairwiseSigmoidLoss
from edge_mi.train.pretrain_feed import CutBatch, CutFeed
from edge_mi.train.pretrain_nets import SelfAligner, make_encoder
from real_data import real_data
from torch import Tensor

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

RECORDS, CUT = 16, 800


def few_records(source: Path, path: Path) -> Path:
    """The first records of PTB-XL's folds 1 to 9 as a folder of their own."""
    path.mkdir()
    with (source / "ptbxl_database.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["strat_fold"]) < 10][:RECORDS]
    with (path / "ptbxl_database.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for name in ("scp_statements.csv", "records100"):
        (path / name).symlink_to((source / name).resolve())
    return path


def test_one_epoch_of_alignment_brings_the_loss_down(tmp_path: Path, design: SignalDesign) -> None:
    data = few_records(real_data("ptbxl"), tmp_path / "ptbxl")
    build_store(PtbXl(data), tmp_path / "store", design)
    store = WindowStore.open(tmp_path / "store")
    seed_torch(0)
    teacher = make_encoder("net1d", leads=12, outputs=9).eval().requires_grad_(False)
    student = make_encoder("net1d", outputs=9)
    assert sum(p.numel() for p in student.parameters()) == 30_663_225
    aligner = SelfAligner(student, 1024, PairwiseSigmoidLoss(), ALONE)

    def loss_of(batch: CutBatch) -> Tensor:
        aims = teacher.embed(batch.signals_mv()[0])
        loss: Tensor = aligner(batch.cuts_mv(CUT, lead=0)[0], aims)
        return loss

    feed = CutFeed(store, TWELVE_LEADS, cut_samples=CUT, seed=0)
    everything = feed.load(np.arange(RECORDS), 1)
    with torch.no_grad():
        before = loss_of(everything)
    curve = fit(
        aligner,
        np.arange(RECORDS),
        loss_of,
        FitConfig(epochs=1, batch=4, learning_rate=2e-4),
        seed=0,
        feed=feed,
        clip_norm=1.0,
    )
    with torch.no_grad():
        after = loss_of(everything)
    assert len(curve) == 4
    assert after < before
