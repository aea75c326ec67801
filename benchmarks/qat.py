"""Is training in int8 worth it? QAT beside the same network quantised after training, and after as much more of it.

`python -m edge_mi.benchmarks.qat CHECKPOINT --run DIR --data STORE`: the checkpoint is one of
`edge-mi train quick --folds 1-7 --test-fold 8 --run DIR`, so that it saw neither fold 8 nor 9. Everything trains on
folds 1 to 7; learning rates are chosen on fold 8, for QAT and for float training each its own; fold 9 is only
measured. Two more networks are the same function in float, written so that int8 is hard on it: one channel in eight
is made larger and its outgoing weights smaller (what Nagel et al., arXiv 1906.04721, undo).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from edge_mi.train.bootstrap import bootstrap
from edge_mi.train.config import QatConfig, Recipe
from edge_mi.train.crossfit import soft_labels
from edge_mi.train.finetune import folded_weights
from edge_mi.train.parts import Arrays, Part, RunFolder
from edge_mi.train.qat import QatRequest, learned_ranges, qat_part
from edge_mi.train.quantised import check_unseen
from numpy.typing import NDArray

from edge_mi.checkpoint import Checkpoint
from edge_mi.files import write_file
from edge_mi.float_model import Weights
from edge_mi.metrics import auroc
from edge_mi.netspec import NetSpec
from edge_mi.ranges import calibration_ranges

from .int8_fold import Int8Fold, run_fold
from .measured_on import alignment_of

SCHEMA: Final = 1
RESULT: Final = Path(__file__).resolve().parent / "results" / "qat.json"
FOLDS: Final = tuple(range(1, 8))
CHOICE_FOLD, TEST_FOLD = 8, 9
LEARNING_RATES: Final = (1e-4, 3e-4, 1e-3)
SEEDS: Final = (0, 1, 2)
EVERY: Final = 8
# 128 was added when 32 had been measured: the smallest power of two at which quantising after training fails on
# fold 8 (AUROC .79 at 32, .76 at 64, .57 at 128)
FACTORS: Final = (32, 128)
COMMAND: Final = "make quantisation"
ARMS: Final = ("trained", "trained further", "QAT")
# int8 against its own float; QAT against what it replaces; what the additional epochs alone do
DIFFERENCES: Final = (
    ("trained", "int8", "trained", "float"),
    ("trained further", "int8", "trained further", "float"),
    ("QAT", "int8", "QAT", "float"),
    ("QAT", "int8", "trained", "int8"),
    ("QAT", "int8", "trained further", "int8"),
    ("QAT", "int8", "trained", "float"),
)

Logits: TypeAlias = NDArray[np.float64]


def main() -> int:
    """Train what is not there yet, measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", type=Path, required=True, metavar="STORE")
    parser.add_argument("--out", type=Path, default=RESULT, metavar="FILE")
    args = parser.parse_args()
    document = compare_qat(Checkpoint.load(args.checkpoint), RunFolder(args.run, args.data))
    write_file(args.out, (json.dumps(document, indent=1) + "\n").encode())
    return 0


def compare_qat(checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
    """The document: every arm of both networks on folds 8 and 9."""
    store, spec = run.store, checkpoint.info.net
    store.check_filter(checkpoint.info.signal)
    for fold in (CHOICE_FOLD, TEST_FOLD):
        check_unseen(checkpoint, store, fold)
    soft = soft_labels(run, Recipe(), [(FOLDS, ())], "12-lead teachers")[0]
    networks = {
        "as trained": checkpoint,
        **{
            f"channels unequal by {factor}": Checkpoint(
                checkpoint.info, unequal_channels(spec, checkpoint.weights, factor)
            )
            for factor in FACTORS
        },
    }
    results = [_Network(name, start, run, soft).document() for name, start in networks.items()]
    rows = {fold: store.rows_of((fold,)) for fold in (CHOICE_FOLD, TEST_FOLD)}
    return {
        "schema": SCHEMA,
        "network": spec.name,
        "trained": f"{store.manifest.source.name}, folds {FOLDS[0]}-{FOLDS[-1]}, {len(store.rows_of(FOLDS))} records",
        "alignment": alignment_of(checkpoint.info.provenance.command),
        "epochs": QatConfig().fit.epochs,
        "learning_rates": LEARNING_RATES,
        "seeds": SEEDS,
        "unequal_channels": {"every": EVERY, "factors": FACTORS},
        "folds": {
            str(fold): {"n": len(at), "n_positive": int(store.labels[at].sum())} for fold, at in rows.items()
        },
        "networks": dict(zip(networks, results, strict=True)),
        "command": COMMAND,
    }


def unequal_channels(spec: NetSpec, weights: Weights, factor: int) -> Weights:
    """The same function in float, bit for bit: `factor` is a power of two, and a ReLU lets it pass."""
    changed = {layer: (weight.copy(), bias.copy()) for layer, (weight, bias) in weights.items()}
    for layer, following in zip(spec.layer_names, spec.layer_names[1:], strict=False):
        weight, bias = changed[layer]
        weight[::EVERY] *= factor
        bias[::EVERY] *= factor
        changed[following][0][:, ::EVERY] /= factor
    return changed


@dataclass(frozen=True, slots=True)
class _Network:
    name: str
    start: Checkpoint
    run: RunFolder
    soft: NDArray[np.float32]

    def document(self) -> dict[str, Any]:
        """Chosen learning rates, figures of each arm and differences, on both folds."""
        arms = {"trained": [self._post_training(self.start.weights)]}
        chosen: dict[str, float] = {}
        for arm, quantised in (("trained further", False), ("QAT", True)):
            tried = {rate: self._train(rate, quantised=quantised) for rate in LEARNING_RATES}
            chosen[arm] = max(tried, key=lambda rate: self._mean_auroc(tried[rate], CHOICE_FOLD))
            arms[arm] = tried[chosen[arm]]
        return {
            "learning_rates": chosen,
            "folds": {str(fold): self._fold(arms, fold) for fold in (CHOICE_FOLD, TEST_FOLD)},
        }

    def _train(self, rate: float, *, quantised: bool) -> list[Checkpoint]:
        student = replace(Recipe().student, net=self.start.info.net)
        config = replace(QatConfig(), fit=replace(QatConfig().fit, learning_rate=rate))
        parts: list[Part] = []
        for seed in SEEDS:
            request = QatRequest(
                config=config,
                student=student,
                train_folds=FOLDS,
                predict_folds=(CHOICE_FOLD,),
                seed=seed,
                quantised=quantised,
            )
            parts.append(qat_part(request, self.soft, self.start.weights))
        kind = "QAT" if quantised else "float"
        done = self.run.compute(parts, f"{self.name}, {kind}, learning rate {rate:g}")
        return [
            self._learned(part) if quantised else self._post_training(self._weights(part)) for part in done
        ]

    def _weights(self, part: Arrays) -> Weights:
        weights: Weights = folded_weights(part, self.start.info.net.layer_names)
        return weights

    def _learned(self, part: Arrays) -> Checkpoint:
        info = replace(self.start.info, ranges=learned_ranges(part, []))
        return Checkpoint(info, self._weights(part))

    def _post_training(self, weights: Weights) -> Checkpoint:
        store, info = self.run.store, self.start.info
        ranges = calibration_ranges(store, store.rows_of(FOLDS), info.net, weights)
        return Checkpoint(replace(info, ranges=ranges), weights)

    def _mean_auroc(self, checkpoints: Sequence[Checkpoint], fold: int) -> float:
        store, rows = self.run.store, self.run.store.rows_of((fold,))
        return float(
            np.mean([auroc(store.labels[rows], run_fold(c, store, rows).int8_logits) for c in checkpoints])
        )

    def _fold(self, arms: dict[str, list[Checkpoint]], fold: int) -> dict[str, Any]:
        store, rows = self.run.store, self.run.store.rows_of((fold,))
        found = {arm: [run_fold(each, store, rows) for each in made] for arm, made in arms.items()}
        logits: dict[tuple[str, str], list[Logits]] = {}
        for arm, runs in found.items():
            logits[arm, "float"] = [each.float_logits for each in runs]
            logits[arm, "int8"] = [each.int8_logits for each in runs]
        return {
            "arms": {
                arm: {
                    "auroc_float": self._auroc(rows, logits[arm, "float"]),
                    "auroc_int8": self._auroc(rows, logits[arm, "int8"]),
                    **_noise(found[arm]),
                }
                for arm in ARMS
            },
            "differences": [
                {"of": f"{a} {x}", "minus": f"{b} {y}", **self._auroc(rows, logits[a, x], logits[b, y])}
                for a, x, b, y in DIFFERENCES
            ],
        }

    def _auroc(
        self, rows: NDArray[np.int64], scores: list[Logits], minus: list[Logits] | None = None
    ) -> dict[str, Any]:
        """Mean AUROC over networks, or its difference, with the interval over patients, networks fixed."""
        labels, patients = self.run.store.labels[rows], self.run.store.patients[rows]

        def mean(chosen: NDArray[np.int64], of: list[Logits]) -> float:
            return float(np.mean([auroc(labels[chosen], each[chosen]) for each in of]))

        def statistic(chosen: NDArray[np.int64]) -> float:
            return mean(chosen, scores) - (mean(chosen, minus) if minus is not None else 0.0)

        result = bootstrap(statistic, patients)
        return {"value": result.value, "interval": result.interval}


def _noise(runs: Sequence[Int8Fold]) -> dict[str, float]:
    return {
        "frames_sqnr_db": float(np.mean([each.frames_sqnr_db for each in runs])),
        "logits_sqnr_db": float(np.mean([each.logits_sqnr_db for each in runs])),
    }


if __name__ == "__main__":
    raise SystemExit(main())
