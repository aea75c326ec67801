"""AUROC against the signal-to-noise ratio, with real noise of wearers, through the stream of the product.

`python -m edge_mi.benchmarks.noise [NAME=MODEL ...] [--fold N]`: each MODEL is a checkpoint or a bundle that saw
nothing of the fold; by default the one that ships, on fold 9. All of them hear the same noise: the crop of a record
hangs on its number alone. The ratio is that of `nst` (`train/device/snr.py`), set for each record by itself. The last
condition is a whole patch with its defaults (`train/device/config.py`), without drop-outs. The noise is the last third
of each track, of which training hears the first two.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.train.device.config import NOISE_KINDS, DeviceConfig, NoiseKind
from edge_mi.train.device.noise import NoiseTracks, load_noise, noise_folder
from edge_mi.train.device.record import sense
from edge_mi.train.device.snr import find_beats, mix_at_snr
from numpy.typing import NDArray

from edge_mi.data_folder import data_folder
from edge_mi.progress import Progress
from edge_mi.records import Record
from edge_mi.signal_design import SignalDesign

from .fold_models import Fold, Heard, Model, auroc_document, hear, measure_fold

SCHEMA: Final = 1
RESULT: Final = Path(__file__).resolve().parent / "results" / "noise.json"
COMMAND: Final = "make noise"
SNRS_DB: Final = (24.0, 18.0, 12.0, 6.0, 0.0, -6.0)
CLEAN, PATCH = "none", "patch"


def main() -> int:
    """Measure what the command line names, and write the result."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--noise", type=Path, help="folder of NSTDB, or `synthetic` (default: beside PTB-XL)"
        )

    def measure(fold: Fold, models: list[Model], args: argparse.Namespace) -> dict[str, Any]:
        return noise_sweep(fold, models, load_noise(noise_folder(args.noise, data_folder())).part("test"))

    return measure_fold(__doc__, RESULT, measure, options)


def noise_sweep(
    fold: Fold, models: list[Model], noise: NoiseTracks, snrs_db: tuple[float, ...] = SNRS_DB
) -> dict[str, Any]:
    """The document: every model without noise, with each kind at each ratio, and behind a patch."""
    design = models[0].bundle.info.signal
    beats = [find_beats(_samples(signal), round(signal.rate_hz), design) for signal in fold.signals]
    conditions: list[tuple[str, float | None]] = [(CLEAN, None)]
    conditions += [(kind, snr_db) for kind in NOISE_KINDS for snr_db in snrs_db]
    conditions.append((PATCH, None))
    rows = []
    with Progress(len(conditions) * len(fold.records), "noise") as progress:
        for name, snr_db in conditions:
            heard: dict[str, list[Heard]] = {model.name: [] for model in models}
            for signal, found in zip(fold.signals, beats, strict=True):
                disturbed = _disturbed(signal, found, noise, design, name, snr_db)
                for model in models:
                    heard[model.name].append(hear(model, disturbed))
                progress.advance()
            rows.append(_condition(fold, heard, name, snr_db))
    return {
        "schema": SCHEMA,
        "command": COMMAND,
        "data": f"PTB-XL fold {fold.number}, lead I at {fold.signals[0].rate_hz:g} Hz, streamed",
        "label_rule": fold.label_rule,
        "fold": fold.number,
        "n": len(fold.records),
        "n_positive": int(fold.labels.sum()),
        "patients": len(set(fold.patients)),
        "noise": dict(noise.origin),
        "records_without_a_beat": sum(len(found) == 0 for found in beats),
        "beats": float(np.median([len(found) for found in beats])),
        "models": [model.document() for model in models],
        "conditions": rows,
    }


def disturb(
    signal: Record, beats: NDArray[np.int64], noise: NoiseTracks, kind: NoiseKind, snr_db: float
) -> Record:
    """The record with the crop of noise that is its own, at `snr_db`."""
    rate_hz = round(signal.rate_hz)
    crop = noise.crop(kind, len(signal.samples_mv), rate_hz, _random(signal, kind))
    mixed = mix_at_snr(_samples(signal), crop, rate_hz, beats, snr_db)
    return replace(signal, samples_mv=mixed.astype(np.float32))


def _disturbed(
    signal: Record, beats: NDArray[np.int64], noise: NoiseTracks, design: SignalDesign, name: str, snr_db: float | None
) -> Record:  # fmt: skip
    if name == PATCH:
        config = replace(DeviceConfig(), gaps=None)
        found = sense(signal, config, noise, design, _random(signal, PATCH))
        return replace(signal, samples_mv=found.samples_mv.astype(np.float32), rate_hz=float(found.rate_hz))
    if snr_db is None:
        return signal
    kind = next(kind for kind in NOISE_KINDS if kind == name)
    return disturb(signal, beats, noise, kind, snr_db)


def _condition(fold: Fold, heard: dict[str, list[Heard]], name: str, snr_db: float | None) -> dict[str, Any]:
    answered = {model: _logits([each.answered for each in found]) for model, found in heard.items()}
    ungated = {model: _logits([each.ungated for each in found]) for model, found in heard.items()}
    first, *others = heard
    return {
        "noise": name,
        "snr_db": snr_db,
        "models": {
            model: {
                "records_answered": int(np.isfinite(answered[model]).sum()),
                "windows_answered": sum(each.windows[0] for each in found),
                "windows": sum(each.windows[1] for each in found),
                "auroc_answered": auroc_document(fold, answered[model]),
                "auroc_ungated": auroc_document(fold, ungated[model]),
            }
            for model, found in heard.items()
        },
        "differences": [
            {
                "of": other,
                "minus": first,
                "answered": auroc_document(fold, answered[other], answered[first]),
                "ungated": auroc_document(fold, ungated[other], ungated[first]),
            }
            for other in others
        ],
    }


def _logits(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _samples(signal: Record) -> NDArray[np.float64]:
    return signal.samples_mv.astype(np.float64)


def _random(signal: Record, purpose: str) -> np.random.Generator:
    """A generator that hangs on the record and the purpose alone."""
    digest = hashlib.sha256(f"{signal.name} {purpose}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


if __name__ == "__main__":
    raise SystemExit(main())
