"""From a checkpoint to a bundle on disk: quantise once, write everything, check, and only then keep it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from edge_mi import strict
from edge_mi.bundle import (
    C_HEADER,
    C_SOURCE,
    FRONT_ONNX,
    FRONT_TFLITE,
    GOLDEN,
    HEAD_ONNX,
    HEAD_TFLITE,
    MODEL_JSON,
    ONNX_FP32,
    ONNX_INT8,
    OPTIONAL_FILES,
    REQUIRED_FILES,
    SCHEMA,
    TFLITE_INT8,
    TFLM_HEADER,
    TFLM_SOURCE,
    Bundle,
    BundleInfo,
    FileEntry,
)
from edge_mi.checkpoint import Checkpoint, Metric
from edge_mi.errors import BundleError, CheckFailed, ConfigError, ExportDisagreement
from edge_mi.files import new_folder
from edge_mi.firmware import Firmware
from edge_mi.golden import GoldenDetail, verify_golden
from edge_mi.notice import NOTICE
from edge_mi.optional import find_compiler
from edge_mi.runners.litert import LiteRtRunner
from edge_mi.runners.ort import OrtRunner
from edge_mi.samples import FloatArray
from edge_mi.signature import SIGNATURE, SigningKey

from .agreement import AgreementLimits, PairAgreement, enforce_agreement, measure_agreement, not_compared
from .c_check import check_firmware
from .c_model import CModel
from .c_writer import HEADER, SOURCE, write_c
from .check_windows import check_windows, layer_windows
from .defaults import DEFAULT_QUALITY, default_alarm
from .golden import make_golden
from .int8_check import check_onnx_is_integer, check_tflite_is_integer
from .layers import report_layers, report_table, run_layers
from .onnx_writer import write_onnx_float, write_onnx_front, write_onnx_head, write_onnx_int8
from .quantise import QuantisedNet, quantise
from .target_report import TargetReport, report_target
from .targets import Target
from .tflite_writer import write_tflite, write_tflite_front, write_tflite_head
from .tflm_writer import write_tflm


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written and what the checks found.

    not_compared: pairs that could not be, and why. c_decisions: compared with the C code, None without it. measured:
    whether the bundle's figures are of this export, or the checkpoint's.
    """

    bundle: Bundle
    agreement: dict[str, PairAgreement]
    not_compared: dict[str, str]
    operators: dict[str, Counter[str]]
    target: TargetReport | None
    c_decisions: int | None
    measured: bool


@dataclass(frozen=True, slots=True)
class Extras:
    """What a bundle holds beyond the graphs: C code for a sensor, the graphs as arrays for TFLM.

    golden: outputs of the stages, or of every layer too.
    """

    firmware: Firmware | None = None
    tflm: bool = False
    golden: GoldenDetail = "stages"


NOTHING_MORE: Final = Extras()


def export_bundle(
    checkpoint: Checkpoint,
    out: Path,
    *,
    force: bool = False,
    limits: AgreementLimits | None = None,
    extra_runs: Sequence[FloatArray] = (),
    metrics: tuple[Metric, ...] | None = None,
    extras: Extras = NOTHING_MORE,
    sign: SigningKey | None = None,
    target: Target | None = None,
) -> ExportResult:
    """Write the bundle of `checkpoint` to the folder `out`, whole or not at all.

    extra_runs: each float64 (n, samples), millivolts, windows that follow each other by a hop, compared beside
    the synthetic ones. metrics: figures that take the place of the checkpoint's. sign: key that
    signs what passed the checks. Raises DoesNotFit where `target` is too small,
    ExportDisagreement, with a table of the layers, where a check fails, OutputError where `out` exists (without `force`)
    or cannot be written, ConfigError where C code is wanted that cannot be had or checked here.
    """
    net = quantise(checkpoint)
    compiler = find_compiler()
    if extras.firmware is not None and compiler is None:
        raise ConfigError("no C compiler to check the C code with; install gcc or clang, or set CC")
    with (
        ExitStack() as opened,
        new_folder(out, ours=(MODEL_JSON, SIGNATURE, *REQUIRED_FILES, *OPTIONAL_FILES), force=force) as work,
    ):
        bundle, content, operators = write_unchecked(checkpoint, net, work, metrics, extras)
        code = _compiled(bundle, compiler)
        if code is not None:
            opened.enter_context(code)
        state_bytes = None if code is None else code.state_bytes
        fit = None if target is None else report_target(net, content, target, state_bytes=state_bytes)
        runs = [*check_windows(checkpoint.info.signal, net.spec), *extra_runs]
        try:
            _check_golden(bundle)
            agreement = measure_agreement(bundle, net, runs)
            enforce_agreement(agreement, limits or AgreementLimits())
        except (CheckFailed, BundleError) as exc:  # BundleError: a graph is not what model.json says
            few = np.stack([run[0] for run in runs[:: max(1, len(runs) // 8)]])
            layers = report_table(report_layers(net, checkpoint.weights, content, few))
            raise ExportDisagreement(str(exc), table=layers) from exc
        decisions = None if code is None else check_firmware(bundle, code)
        if sign is not None:
            (work / SIGNATURE).write_bytes(sign.sign(bundle.document))
    written = Bundle.load(out, require_signed=None if sign is None else sign.public)
    return ExportResult(written, agreement, not_compared(), operators, fit, decisions, metrics is not None)


def write_unchecked(
    checkpoint: Checkpoint,
    net: QuantisedNet,
    folder: Path,
    metrics: tuple[Metric, ...] | None = None,
    extras: Extras = NOTHING_MORE,
) -> tuple[Bundle, dict[str, bytes], dict[str, Counter[str]]]:
    """The bundle of `net` in an empty folder, its files, and the operators inside; nothing was compared yet.

    Raises ExportDisagreement where a file computes anything in float.
    """
    content = {
        TFLITE_INT8: write_tflite(net),
        ONNX_INT8: write_onnx_int8(net),
        ONNX_FP32: write_onnx_float(checkpoint),
        FRONT_TFLITE: write_tflite_front(net),
        FRONT_ONNX: write_onnx_front(net),
        HEAD_TFLITE: write_tflite_head(net),
        HEAD_ONNX: write_onnx_head(net),
        GOLDEN: make_golden(checkpoint, net, extras.golden).to_bytes(),
    }
    operators = {
        **{name: check_tflite_is_integer(content[name]) for name in (TFLITE_INT8, FRONT_TFLITE, HEAD_TFLITE)},
        **{name: check_onnx_is_integer(content[name]) for name in (ONNX_INT8, FRONT_ONNX, HEAD_ONNX)},
    }
    if extras.firmware is not None:
        pair = write_c(
            checkpoint.info, net, extras.firmware, default_alarm(checkpoint.info.net), DEFAULT_QUALITY
        )
        content |= {C_HEADER: pair[HEADER], C_SOURCE: pair[SOURCE]}
    if extras.tflm:
        content[TFLM_HEADER], content[TFLM_SOURCE] = write_tflm(net, content)
    for name, data in content.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    document = strict.dumps(_info(checkpoint, net, content, metrics, extras.firmware))
    (folder / MODEL_JSON).write_text(document, encoding="utf-8")
    return Bundle.load(folder), content, operators


def _info(
    checkpoint: Checkpoint,
    net: QuantisedNet,
    content: dict[str, bytes],
    metrics: tuple[Metric, ...] | None,
    firmware: Firmware | None,
) -> BundleInfo:
    info = checkpoint.info
    layers = run_layers(net, checkpoint.weights, layer_windows(info.signal, net.spec))
    return BundleInfo(
        schema=SCHEMA,
        notice=NOTICE,
        net=info.net,
        signal=info.signal,
        input=net.input,
        frames=net.frames,
        output=net.output,
        calibration=info.calibration,
        operating_points=info.operating_points,
        default_operating_point=info.default_operating_point,
        alarm=default_alarm(info.net),
        quality=DEFAULT_QUALITY,
        polarity=info.polarity,
        firmware=firmware,
        ranges=info.ranges,
        layers=tuple(layer.figures for layer in layers),
        metrics=info.metrics if metrics is None else metrics,
        provenance=info.provenance,
        versions={"edge-mi": version("edge-mi")},
        files={
            name: FileEntry(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in content.items()
        },
    )


def _check_golden(bundle: Bundle) -> None:
    for runner in (LiteRtRunner(bundle), LiteRtRunner(bundle, reference=True), OrtRunner(bundle)):
        verify_golden(bundle, runner)


def _compiled(bundle: Bundle, compiler: str | None) -> CModel | None:
    """The C code of the bundle; None where there is none. Raises ExportDisagreement where it does not compile."""
    firmware = bundle.info.firmware
    if firmware is None or compiler is None:
        return None
    pair = {HEADER: bundle.content[C_HEADER], SOURCE: bundle.content[C_SOURCE]}
    return CModel(pair, bundle.info.net, firmware, compiler)
