"""What a file is worth beside float and beside ours, from the answers of its runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from edge_mi.benchmarks.int8_fold import sqnr_db
from numpy.typing import NDArray

from edge_mi.checkpoint import Checkpoint
from edge_mi.float_model import run_layers
from edge_mi.metrics import bootstrap_auroc, bootstrap_auroc_difference, patient_weights
from edge_mi.netspec import NetSpec
from edge_mi.samples import FloatArray

from .material import Material
from .model_file import Answers, ModelFile, RuntimeFailed

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exact:
    """What float64 gives for the windows: logits (n,), frames (n, frames, features), decisions (n, points)."""

    logits: FloatArray
    frames: FloatArray
    decisions: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """The figures of a file, and what they rest on window by window, for comparison in pairs.

    squared_error: of `logits` and `frames`, each (n,). differ: share of the decisions of a window that are not those of
    float (n,). identical: whether the second kernel set gives the same value, (n,); None where it cannot run.
    """

    document: Json
    logits: FloatArray
    squared_error: dict[str, FloatArray]
    differ: FloatArray
    identical: FloatArray | None


class Judge:
    """Float's answers on the windows, kept for every file that is judged."""

    def __init__(self, checkpoint: Checkpoint, material: Material) -> None:
        self._info, self._material = checkpoint.info, material
        exact = run_layers(self._info.net, checkpoint.weights, material.windows)
        logits = exact["head"][:, 0, 0]
        self.exact = Exact(logits, exact[self._info.net.convs[-1].name], self._decisions(logits))

    def judge(self, model: ModelFile, runtime: str) -> Judged:
        """Every figure of `model` as `runtime` runs it. Raises RuntimeFailed where that cannot run it."""
        spec, windows, at = self._info.net, self._material.windows, self._material.measured_windows
        answers = {runtime: model.answers(runtime, windows)}
        logits = answers[runtime].logits
        frames = _frames(model, windows, spec)
        decisions = self._decisions(logits) != self.exact.decisions
        errors = {"logits": (logits - self.exact.logits) ** 2}
        sqnr: Json = {"logits": round(sqnr_db(self.exact.logits[at], logits[at]), 2), "frames": None}
        if frames is not None:
            errors["frames"] = ((frames - self.exact.frames) ** 2).mean(axis=(1, 2))
            sqnr["frames"] = round(sqnr_db(self.exact.frames[at], frames[at]), 2)
        others = [name for name in model.runtimes if name != runtime]
        pairs = []
        for a, b in pairwise([runtime, *others]):
            try:
                answers[b] = model.answers(b, windows)
            except RuntimeFailed as exc:
                pairs.append({"a": a, "b": b, "error": str(exc)})
                break
            pairs.append(pair_document(a, b, answers[a], answers[b]))
        second = answers.get(others[0])
        inside = model.inside(runtime)
        document: Json = {
            "runtime": runtime,
            "bytes": len(model.content),
            "ends": inside.ends,
            "operators": dict(inside.operators),
            "float_operators": dict(inside.float_operators),
            "sqnr_db": sqnr,
            "decisions_differ": {
                point.name: float(decisions[:, i].mean())
                for i, point in enumerate(self._info.operating_points)
            },
            "pairs": pairs,
        }
        if len(self._material.labels):
            document |= self._auroc(logits)
        return Judged(
            document,
            logits,
            errors,
            decisions.mean(axis=1),
            None if second is None else (answers[runtime].raw == second.raw).astype(np.float64),
        )

    def compare(self, other: Judged, ours: Judged) -> Json:
        """Other minus ours, on the same windows, with 95 % intervals over patients and synthetic records."""
        material, at = self._material, self._material.measured_windows
        everyone = patient_weights(material.groups, len(material.groups))
        measured = patient_weights(material.groups[at], len(material.groups[at]))
        found: Json = {}
        for name in ("logits", "frames"):
            if name in other.squared_error and name in ours.squared_error:
                theirs, own = other.squared_error[name][at], ours.squared_error[name][at]
                found[f"sqnr_{name}_db"] = difference_document(
                    decibels(own.sum() / theirs.sum()), decibels((measured @ own) / (measured @ theirs))
                )
        shares = {"decisions_differ": (other.differ, ours.differ)}
        if other.identical is not None and ours.identical is not None:
            shares["identical"] = (other.identical, ours.identical)
        for name, (theirs, own) in shares.items():
            drawn = (everyone @ (theirs - own)) / everyone.sum(axis=1)
            found[name] = difference_document((theirs - own).mean(), drawn)
        if len(material.labels):
            means = [self._per_record(side.logits) for side in (other, ours)]
            auroc = bootstrap_auroc_difference(material.labels, means[0], means[1], material.patients)
            found["auroc"] = {"value": auroc.value, "interval": [auroc.low, auroc.high]}
        return found

    def _decisions(self, logits: FloatArray) -> NDArray[np.bool_]:
        probability = np.array([self._info.calibration.probability(float(z)) for z in logits])
        thresholds = [point.threshold for point in self._info.operating_points]
        decided: NDArray[np.bool_] = probability[:, None] >= np.array(thresholds)
        return decided

    def _auroc(self, logits: FloatArray) -> Json:
        labels, patients = self._material.labels, self._material.patients
        int8, exact = self._per_record(logits), self._per_record(self.exact.logits)
        found = bootstrap_auroc(labels, int8, patients)
        lost = bootstrap_auroc_difference(labels, int8, exact, patients)
        return {
            "auroc": {"value": found.value, "interval": [found.low, found.high]},
            "auroc_minus_float": {"value": lost.value, "interval": [lost.low, lost.high]},
        }

    def _per_record(self, logits: FloatArray) -> FloatArray:
        records = self._material.records
        means: FloatArray = np.bincount(records, logits[self._material.measured_windows]) / np.bincount(
            records
        )
        return means


def _frames(model: ModelFile, windows: FloatArray, spec: NetSpec) -> FloatArray | None:
    """None also where the kernels that show what is inside cannot run the file."""
    try:
        return model.frames(windows, spec.frames, spec.features)
    except RuntimeFailed:
        return None


def pair_document(a: str, b: str, first: Answers, second: Answers) -> Json:
    """Share of equal values of two runtimes on one file, and the largest difference of their logits."""
    return {
        "a": a,
        "b": b,
        "identical": float((first.raw == second.raw).mean()),
        "largest_logit": round(float(np.abs(first.logits - second.logits).max()), 6),
        "n": len(first.raw),
    }


def decibels(ratio: Any) -> Any:
    """A ratio of powers in decibel."""
    return 10 * np.log10(ratio)


def difference_document(value: float, drawn: NDArray[np.float64]) -> Json:
    """A difference and the 95 % interval of its resamples."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": float(value), "interval": [float(low), float(high)]}
