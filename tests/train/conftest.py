"""A small store whose lead I shows its label, a small PTB-XL on disk, and a recipe that trains in seconds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edge_mi.train.config import (
    AlignConfig,
    AugmentConfig,
    FitConfig,
    Recipe,
    StudentConfig,
    TaskConfig,
    TeacherConfig,
)
from edge_mi.train.filters import design_signal_chain
from edge_mi.train.fit import prepare_torch
from made_up_source import made_up_source

from edge_mi.netspec import patchnet
from edge_mi.records import write_wfdb
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.signal_design import SignalDesign
from edge_mi.store import StoredRecord, write_store

SAMPLES = 300


@pytest.fixture(scope="session", autouse=True)
def one_thread_from_the_start() -> None:
    """What a module computes once comes before the fixture of its first test, and sums in the same order."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    prepare_torch()
    yield
    torch.set_flush_denormal(False)  # what other rooms test needs small numbers


@pytest.fixture(scope="session")
def design() -> SignalDesign:
    return design_signal_chain(100)


def toy_record(i: int) -> StoredRecord:
    mi = i % 3 == 0
    return StoredRecord(
        record_id=f"{i:05d}",
        patient_id=f"p{i // 2}",
        fold=1 + (i // 2 + i // 18) % 9,  # MI in every fold
        mi=mi,
        norm=i % 3 == 1,
        codes={"IMI": 100.0} if mi else {"SR": 0.0},
        age_years=None if i == 7 else 40.0 + i % 50,
        female=None if i == 8 else bool(i % 2),
    )


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory: pytest.TempPathFactory, design: SignalDesign) -> Path:
    """108 records of 3 s in 54 patients and 9 folds; MI is a taller wave, in every lead at its own gain."""
    rng = np.random.default_rng(5)
    records = tuple(toy_record(i) for i in range(108))
    t_s = np.arange(SAMPLES) / 100
    signals = []
    for record in records:
        height_mv = max(0.1, rng.normal(1.2 if record.mi else 0.5, 0.3))
        wave = height_mv * np.sin(2 * np.pi * (3.0 * t_s + rng.random()))
        gains = np.linspace(0.5, 1.5, len(TWELVE_LEADS))[:, None]
        signals.append(gains * wave + rng.normal(scale=0.2, size=(len(TWELVE_LEADS), SAMPLES)))
    path = tmp_path_factory.mktemp("toy") / "store"
    write_store(
        path,
        design=design,
        source=made_up_source(),
        leads=TWELVE_LEADS,
        records=records,
        signals_mv=signals,
        samples_per_record=SAMPLES,
    )
    return path


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    task = TaskConfig(code_min_records=10)
    augment = AugmentConfig(crop_samples=250)
    return Recipe(
        teacher=TeacherConfig(
            layers=((16, 5, 6), (8, 2, 8)),
            embedding=8,
            ensemble=2,
            fit=FitConfig(epochs=6, batch=16, learning_rate=1e-2),
            augment=augment,
            task=task,
        ),
        align=AlignConfig(projection=4, fit=FitConfig(epochs=2, batch=16), augment=augment),
        student=StudentConfig(
            net=patchnet(((9, 5, 6), (5, 4, 8)), name="tiny", frames=13),
            fit=FitConfig(epochs=6, batch=16, learning_rate=1e-2, ema_decay=0.9),
            augment=augment,
            task=task,
        ),
    )


# ecg_id, patient, fold, age, sex, codes, files present
PTBXL_ROWS: list[tuple[int, str, int, str, str, str, bool]] = [
    (1, "11.0", 1, "56.0", "1", "{'NORM': 100.0, 'SR': 0.0}", True),
    (2, "12.0", 2, "300.0", "0", "{'IMI': 35.0, 'SR': 0.0}", True),
    (3, "12.0", 2, "", "0", "{'ASMI': 100.0, 'NDT': 50.0}", True),
    (4, "13.0", 9, "61.0", "", "{'NDT': 100.0}", True),
    (5, "14.0", 3, "61.0", "1", "{'IMI': 0.0}", True),
    (6, "15.0", 4, "70.0", "1", "{'NORM': 80.0}", False),
    (7, "16.0", 10, "70.0", "1", "{'IMI': 100.0}", True),
]


@pytest.fixture
def ptbxl(tmp_path: Path) -> Path:
    """PTB-XL's layout at 100 and 500 Hz: one record without files, one in fold 10 whose files are broken."""
    folder = tmp_path / "ptbxl"
    folder.mkdir()
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    for ecg_id, patient, fold, age, sex, codes, present in PTBXL_ROWS:
        row = {
            "ecg_id": ecg_id,
            "patient_id": patient,
            "age": age,
            "sex": sex,
            "scp_codes": codes,
            "strat_fold": fold,
        }
        for column, rate_hz, suffix in (("filename_lr", 100, "lr"), ("filename_hr", 500, "hr")):
            name = f"{ecg_id:05d}_{suffix}"
            row[column] = f"records{rate_hz}/00000/{name}"
            if present:
                target = folder / f"records{rate_hz}" / "00000"
                target.mkdir(parents=True, exist_ok=True)
                samples = rng.integers(-500, 500, size=(12, 10 * rate_hz), dtype=np.int16)
                leads = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
                write_wfdb(target, name, leads, samples, rate_hz, 1000)
                if fold == 10:
                    (target / f"{name}.dat").write_bytes(b"never read")
        rows.append(row)
    _write_csv(folder / "ptbxl_database.csv", rows)
    statements = [("NDT", "STTC"), ("NORM", "NORM"), ("IMI", "MI"), ("ASMI", "MI"), ("SR", "")]
    _write_csv(
        folder / "scp_statements.csv", [{"": code, "diagnostic_class": kind} for code, kind in statements]
    )
    return folder


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
