"""Whether everything that was written computes the same: the check without which nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import Bundle
from edge_mi.errors import ExportDisagreement
from edge_mi.runners.base import Runner
from edge_mi.runners.litert import LiteRtRunner
from edge_mi.runners.ort import OrtFloatRunner, OrtRunner
from edge_mi.samples import FloatArray

from .integer_model import run_integer_model
from .quantise import QuantisedNet


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementLimits:
    """What may differ. Inside a golden family nothing may.

    family_decisions: share of decisions that may differ between the families, at any operating point.
    float_decisions: the same between int8 and float.
    """

    family_decisions: float = 0.005
    float_decisions: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """How two ways of computing the logits compare on the same windows.

    identical: share of equal int8 values; None against float. max_lsb: largest difference in output steps.
    decisions_differ: share of windows on different sides of a threshold, at the worst operating point.
    """

    identical: float | None
    values: int
    max_lsb: float
    decisions_differ: float


def measure_agreement(bundle: Bundle, net: QuantisedNet, windows_mv: FloatArray) -> dict[str, PairAgreement]:
    """Run everything on `windows_mv`, float64 (n, samples), and compare in pairs."""
    info = bundle.info
    windows = info.input.quantise(windows_mv)
    outputs = {
        "litert": _run(LiteRtRunner(bundle), windows),
        "litert-ref": _run(LiteRtRunner(bundle, reference=True), windows),
        "ort": _run(OrtRunner(bundle), windows),
        "integers-fast": run_integer_model(net, windows, "fast"),
        "integers-reference": run_integer_model(net, windows, "reference"),
    }
    pairs = {
        f"{a}/{b}": _compare(bundle, outputs[a], outputs[b])
        for a, b in (
            ("litert", "ort"),
            ("litert", "integers-fast"),
            ("litert-ref", "integers-reference"),
            ("litert", "litert-ref"),
        )
    }
    reference = OrtFloatRunner(bundle)
    logits = np.stack([reference.run(window.astype(np.float32)) for window in windows_mv])
    pairs["litert/float"] = _compare_float(bundle, outputs["litert"], logits)
    return pairs


def enforce_agreement(pairs: dict[str, PairAgreement], limits: AgreementLimits) -> None:
    """Raise ExportDisagreement naming the first pair that is outside its limit."""
    for name in ("litert/ort", "litert/integers-fast", "litert-ref/integers-reference"):
        pair = pairs[name]
        if pair.identical != 1.0:
            raise ExportDisagreement(
                f"{name}: {pair.identical:.3%} of {pair.values} values are identical, all must be "
                f"(largest difference {pair.max_lsb:g} steps); no bundle was written"
            )
    for name, limit in (
        ("litert/litert-ref", limits.family_decisions),
        ("litert/float", limits.float_decisions),
    ):
        pair = pairs[name]
        if pair.decisions_differ > limit:
            raise ExportDisagreement(
                f"{name}: {pair.decisions_differ:.2%} of decisions differ, at most {limit:.2%} may; no bundle was written"
            )


def _run(runner: Runner, windows: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.stack([runner.run(window) for window in windows])


def _compare(bundle: Bundle, a: NDArray[np.int8], b: NDArray[np.int8]) -> PairAgreement:
    difference = np.abs(a.astype(np.int64) - b)
    return PairAgreement(
        identical=float((difference == 0).mean()),
        values=int(a.size),
        max_lsb=float(difference.max()),
        decisions_differ=_decisions_differ(bundle, _real(bundle, a), _real(bundle, b)),
    )


def _compare_float(bundle: Bundle, a: NDArray[np.int8], logits: NDArray[np.float32]) -> PairAgreement:
    real = _real(bundle, a)
    return PairAgreement(
        identical=None,
        values=int(a.size),
        max_lsb=round(float(np.abs(real - logits).max() / bundle.info.output.scale), 2),
        decisions_differ=_decisions_differ(bundle, real, logits),
    )


def _real(bundle: Bundle, output: NDArray[np.int8]) -> FloatArray:
    params = bundle.info.output
    return params.scale * (output.astype(np.float64) - params.zero_point)


def _decisions_differ(bundle: Bundle, a: FloatArray, b: NDArray[np.floating]) -> float:
    calibration = bundle.info.calibration
    shares = []
    for point in bundle.info.operating_points:
        odds = np.log(point.threshold / (1 - point.threshold))
        limit = (odds - calibration.offset) / calibration.slope
        shares.append(float(((a[:, 0] >= limit) != (b[:, 0] >= limit)).mean()))
    return max(shares)
