"""Whether everything that was written computes the same: the check without which nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import C_HEADER, C_SOURCE, Bundle
from edge_mi.errors import ExportDisagreement
from edge_mi.firmware import Firmware, Rounding
from edge_mi.frame_ring import FrameRing
from edge_mi.optional import find_compiler
from edge_mi.progress import Progress
from edge_mi.runners.base import Runner
from edge_mi.runners.litert import LiteRtRunner
from edge_mi.runners.ort import OrtFloatRunner, OrtRunner
from edge_mi.samples import FloatArray

from .c_model import CModel
from .c_writer import HEADER, SOURCE, write_c
from .check_windows import SENSOR_HZ
from .integer_model import run_integer_model
from .quantise import QuantisedNet
from .tflm import ABSENT, TflmRunner, tflm_installed

Rule: TypeAlias = Literal["identical", "families", "float"]
# what is compared, and what may differ
PAIRS: tuple[tuple[str, str, Rule], ...] = (
    ("litert", "ort", "identical"),
    ("litert", "integers-fast", "identical"),
    ("litert-ref", "integers-reference", "identical"),
    ("litert", "litert-hops", "identical"),
    ("ort", "ort-hops", "identical"),
    ("litert-ref", "litert-ref-hops", "identical"),
    ("litert-ref", "tflm", "identical"),
    ("litert-ref-hops", "tflm-hops", "identical"),
    ("litert-ref", "c-reference", "identical"),
    ("litert", "c-fast", "identical"),
    ("litert", "litert-ref", "families"),
    ("litert", "float", "float"),
)
_C_CODE: dict[str, Rounding] = {"c-reference": 0, "c-fast": 2}


def not_compared() -> dict[str, str]:
    """Pairs that are left out on this machine, and why."""
    absent: dict[str, str] = {}
    if not tflm_installed():
        absent |= dict.fromkeys(("tflm", "tflm-hops"), ABSENT)
    if find_compiler() is None:
        absent |= dict.fromkeys(_C_CODE, "no C compiler (cc, gcc, clang or $CC)")
    return {f"{a}/{b}": absent[b] for a, b, _ in PAIRS if b in absent}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementLimits:
    """What may differ. Inside a golden family nothing may.

    family_decisions: share of decisions that may differ between the families, at any operating point.
    float_decisions: the same between int8 and float. auroc_difference: of int8 and float, where there are labels.
    """

    family_decisions: float = 0.005
    float_decisions: float = 0.02
    auroc_difference: float = 0.005

    def __post_init__(self) -> None:
        if not all(
            0 <= limit <= 1 for limit in (self.family_decisions, self.float_decisions, self.auroc_difference)
        ):
            raise ValueError(f"limits are shares from 0 to 1, found {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """How two ways of computing the logits compare on the same windows.

    identical: share of equal int8 values; None against float. max_lsb: largest difference in output steps.
    max_probability: largest difference of the calibrated probability. decisions_differ: for each operating
    point the share of windows on different sides of its threshold.
    """

    identical: float | None
    values: int
    max_lsb: float
    max_probability: float
    decisions_differ: dict[str, float]

    @property
    def worst_decisions(self) -> float:
        """The share at the worst operating point."""
        return max(self.decisions_differ.values())


def measure_agreement(
    bundle: Bundle, net: QuantisedNet, runs: Sequence[FloatArray]
) -> dict[str, PairAgreement]:
    """Run everything on `runs` and compare in pairs, TFLM and C code where this machine can.

    Each run is float64 (n, samples), millivolts: windows of one record that follow each other by a hop.
    """
    left_out = not_compared()
    quantised = [bundle.info.input.quantise(run) for run in runs]
    whole = np.concatenate(quantised)
    outputs = {
        "integers-fast": run_integer_model(net, whole, "fast"),
        "integers-reference": run_integer_model(net, whole, "reference"),
    }
    runners: list[Runner] = [LiteRtRunner(bundle), LiteRtRunner(bundle, reference=True), OrtRunner(bundle)]
    if tflm_installed():
        runners.append(TflmRunner(bundle))
    with Progress(len(runners) + 2, f"comparing {len(whole):,} windows") as progress:
        for runner in runners:
            outputs[runner.name] = _stack(runner.run(window) for window in whole)
            outputs[f"{runner.name}-hops"] = _hops(bundle, runner, quantised)
            progress.advance()
        outputs |= _c_outputs(bundle, net, quantised)
        progress.advance()
        reference = OrtFloatRunner(bundle)
        logits = np.stack([reference.run(window.astype(np.float32)) for run in runs for window in run])
        progress.advance()
    return {
        f"{a}/{b}": _compare_float(bundle, outputs[a], logits)
        if b == "float"
        else _compare(bundle, outputs[a], outputs[b])
        for a, b, _ in PAIRS
        if f"{a}/{b}" not in left_out
    }


def enforce_agreement(pairs: dict[str, PairAgreement], limits: AgreementLimits) -> None:
    """Raise ExportDisagreement naming every pair that is outside its limit."""
    left_out, breaches = not_compared(), []
    for a, b, rule in PAIRS:
        if f"{a}/{b}" in left_out:
            continue
        pair = pairs[f"{a}/{b}"]
        if rule == "identical":
            if pair.identical != 1.0:
                breaches.append(
                    f"{a}/{b}: {pair.identical:.3%} of {pair.values} values are identical, all must be "
                    f"(largest difference {pair.max_lsb:g} steps)"
                )
            continue
        limit = limits.family_decisions if rule == "families" else limits.float_decisions
        if pair.worst_decisions > limit:
            breaches.append(
                f"{a}/{b}: {pair.worst_decisions:.2%} of decisions differ, at most {limit:.2%} may (--limits)"
            )
    if breaches:
        raise ExportDisagreement("; ".join(breaches) + "; no bundle was written")


def _c_outputs(
    bundle: Bundle, net: QuantisedNet, runs: Sequence[NDArray[np.int8]]
) -> dict[str, NDArray[np.int8]]:
    """Logits of the C code in both roundings; the bundle's own code where it holds some."""
    compiler, info, outputs = find_compiler(), bundle.info, {}
    if compiler is None:
        return {}
    for name, rounding in _C_CODE.items():
        if info.firmware is not None and info.firmware.rounding == rounding:
            firmware = info.firmware
            pair = {HEADER: bundle.content[C_HEADER], SOURCE: bundle.content[C_SOURCE]}
        else:
            firmware = Firmware(rate_hz=SENSOR_HZ, gain="1000", baseline=0, rounding=rounding)
            pair = write_c(info, net, firmware, info.alarm, info.quality)
        with CModel(pair, info.net, firmware, compiler) as model:
            outputs[name] = np.concatenate([model.windows(run)[1] for run in runs])
    return outputs


def _stack(outputs: Iterable[NDArray[np.int8]]) -> NDArray[np.int8]:
    return np.stack([np.array(output) for output in outputs])


def _hops(bundle: Bundle, runner: Runner, runs: Sequence[NDArray[np.int8]]) -> NDArray[np.int8]:
    """Every window by front and head, each run as one unbroken stream."""
    net = bundle.info.net
    outputs = []
    for run in runs:
        ring = FrameRing(net)
        outputs += [ring.logits(runner, window, i * net.hop_samples) for i, window in enumerate(run)]
    return _stack(outputs)


def _compare(bundle: Bundle, a: NDArray[np.int8], b: NDArray[np.int8]) -> PairAgreement:
    difference = np.abs(a.astype(np.int64) - b)
    return _agreement(
        bundle,
        float((difference == 0).mean()),
        float(difference.max()),
        bundle.info.output.real_array(a),
        bundle.info.output.real_array(b),
    )


def _compare_float(bundle: Bundle, a: NDArray[np.int8], logits: NDArray[np.float32]) -> PairAgreement:
    real = bundle.info.output.real_array(a)
    steps = float(np.abs(real - logits).max() / bundle.info.output.scale)
    return _agreement(bundle, None, round(steps, 2), real, logits.astype(np.float64))


def _agreement(
    bundle: Bundle, identical: float | None, max_lsb: float, a: FloatArray, b: FloatArray
) -> PairAgreement:
    first, second = (np.array([bundle.probability(float(z)) for z in side[:, 0]]) for side in (a, b))
    return PairAgreement(
        identical=identical,
        values=int(a.size),
        max_lsb=max_lsb,
        max_probability=round(float(np.abs(first - second).max()), 6),
        decisions_differ={
            point.name: float(((first >= point.threshold) != (second >= point.threshold)).mean())
            for point in bundle.info.operating_points
        },
    )
