"""What a bundle says of itself in rows of text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_mi.bundle import Bundle, LayerFigures, TensorFigures
from edge_mi.checkpoint import Metric
from edge_mi.errors import MissingDependency, SignatureError
from edge_mi.figure_names import figure_name, question
from edge_mi.firmware import Firmware
from edge_mi.polarity import PolarityCheck
from edge_mi.signature import KEY_BYTES, PublicKey, check_signature

METRIC_HEADER = ("figure", "question", "value", "95 %", "MI/n")


def identity_rows(bundle: Bundle) -> list[tuple[str, str]]:
    """(what, value) of everything that makes the bundle this one."""
    info = bundle.info
    net, signal = info.net, info.signal
    point = bundle.operating_point()
    return [
        ("model", bundle.model_id),
        ("signature", _signature_row(bundle)),
        ("network", f"{len(net.convs)} convolutions, {net.parameters:,} parameters, {net.macs_window:,} MACs a window, "
                    f"{net.macs_hop:,} a hop"),
        ("window", f"{net.window_s:.2f} s at {net.rate_hz} Hz ({net.window_samples} samples, {net.frames} frames), "
                   f"a decision each {net.hop_s:g} s"),
        ("signal", f"{signal.band_hz[0]:g} to {signal.band_hz[1]:g} Hz, linear phase, {len(signal.fir)} taps, "
                   f"delay {signal.delay_s(net.rate_hz):.2f} s; from "
                   f"{', '.join(map(str, signal.supported_rates_hz()))} Hz"),
        ("input", f"int8, a step is {info.input.scale * 1000:.1f} µV, zero point {info.input.zero_point}"),
        ("calibration", f"{info.calibration.method}, holds at a prevalence of {info.calibration.prevalence:.1%} "
                        f"({info.calibration.fitted_on})"),
        ("threshold", f"{point.threshold:.3f} ({point.name}): sensitivity {point.sensitivity:.2f}, "
                      f"specificity {point.specificity:.2f} on {point.chosen_on}"),
        ("alarm", f"{info.alarm.on_count} positive windows in {info.alarm.span_s:g} s; released at "
                  f"{info.alarm.off_count}"),
        ("polarity", polarity_row(info.polarity)),
        ("C code", _firmware_row(info.firmware)),
        ("training data", "; ".join(f"{d.name} {d.version} ({d.licence}), {d.records} records of {d.patients} patients, "
                                    f"{d.selection}" for d in info.provenance.data)),
        ("made by", f"{info.provenance.command} at commit {info.provenance.commit}"),
    ]  # fmt: skip


def signature_facts(bundle: Bundle) -> tuple[dict[str, Any] | None, SignatureError | None]:
    """Who a bundle's signature says that it is from and whether it fits (None: not known), and what is wrong."""
    if bundle.signature is None:
        return None, None
    named = bundle.signature[:KEY_BYTES]
    key = PublicKey(named).fingerprint if len(named) == KEY_BYTES else None
    try:
        check_signature(bundle.document, bundle.signature)
    except SignatureError as exc:
        return {"key": key, "valid": False}, SignatureError(f"{bundle.path}: {exc}")
    except MissingDependency:
        return {"key": key, "valid": None}, None
    return {"key": key, "valid": True}, None


def _signature_row(bundle: Bundle) -> str:
    signature, _ = signature_facts(bundle)
    if signature is None:
        return "none"
    words = {
        True: "fits what it signs",
        False: "DOES NOT FIT: changed since it was signed",
        None: "not checked: pip install '.[sign]'",
    }
    return f"by key {signature['key'] or '?'}, {words[signature['valid']]}"


def polarity_row(check: PolarityCheck | None) -> str:
    """What a polarity check is worth, or that there is none."""
    if check is None:
        return "no check: swapped electrodes are not noticed; edge-mi train polarity gives a checkpoint one"
    return (
        f"withheld where lead I looks upside down: {check.caught:.1%} of records turned over, {check.refused:.2%} of "
        f"records as they are, n = {check.n} ({check.chosen_on})"
    )


def _firmware_row(firmware: Firmware | None) -> str:
    if firmware is None:
        return "none; edge-mi export --to c writes it for a sensor"
    return (
        f"for int16 codes at {firmware.rate_hz} Hz, {firmware.gain} to a millivolt, 0 mV at {firmware.baseline}; "
        f"family {firmware.family}"
    )


def metric_row(metric: Metric) -> list[str]:
    """One figure in the columns of `METRIC_HEADER`."""
    return [
        figure_name(metric.name),
        question(metric.task),
        f"{metric.value:.3f}",
        "-" if metric.interval is None else f"{metric.interval[0]:.3f} to {metric.interval[1]:.3f}",
        f"{metric.n_positive}/{metric.n}",
    ]


def metrics_by_source(metrics: Sequence[Metric]) -> dict[str, list[Metric]]:
    """The metrics under the records that each was measured on, in their order."""
    groups: dict[str, list[Metric]] = {}
    for metric in metrics:
        groups.setdefault(metric.source, []).append(metric)
    return groups


def layer_rows(
    layers: Sequence[LayerFigures], more: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the layers in the order of the path, with the input and the mean over frames among them.

    more: further columns, header -> one cell for each layer.
    """
    header = [
        "layer",
        "output",
        "MACs a window",
        "a hop",
        "bytes",
        "range",
        "step",
        "zero",
        "SQNR dB",
        "saturated",
    ]
    rows = []
    for i, layer in enumerate(layers):
        if i == 0 or layer.source != layers[i - 1].result:
            name = "input" if i == 0 else "mean"
            rows.append([name, *[""] * 4, *_tensor_cells(layer.source), *[""] * (2 + len(more))])
        rows.append(
            [
                layer.name,
                f"{layer.shape[0]} x {layer.shape[1]}",
                f"{layer.macs_window:,}",
                f"{layer.macs_hop:,}",
                f"{layer.bytes:,}",
                *_tensor_cells(layer.result),
                "-" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f}",
                f"{layer.saturated:.3%}",
                *(column[i] for column in more.values()),
            ]
        )
    return [*header, *more], rows


def _tensor_cells(tensor: TensorFigures) -> list[str]:
    return [f"{tensor.low:.3f} to {tensor.high:.3f}", f"{tensor.scale:.5f}", str(tensor.zero_point)]
