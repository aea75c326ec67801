"""The quantised network and its signal chain as one pair of C99 files, `edge_mi.h` and `edge_mi.c`.

The code lies in `export/c/` and is the same for every model; what is written here are its tables and sizes.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from importlib.resources import files
from typing import Any, Final

import numpy as np

from edge_mi.alarm import AlarmConfig
from edge_mi.bundle import BundleInfo
from edge_mi.checkpoint import Calibration, CheckpointInfo, OperatingPoint
from edge_mi.errors import ConfigError
from edge_mi.firmware import Firmware
from edge_mi.heartbeats import BEAT_BEFORE_S, BLOCK_S, ENERGY_S, REFRACTORY_S, beat_samples
from edge_mi.netspec import NetSpec
from edge_mi.notice import NOTICE
from edge_mi.quality import QualityLimits
from edge_mi.signal_design import MV_BITS, SignalDesign

from .c_design import StageDesign, adc_scale, block_capacity, input_edges, stage_design
from .integer_model import fast_scales, reference_multipliers
from .quantise import QuantisedLayer, QuantisedNet

HEADER: Final = "edge_mi.h"
SOURCE: Final = "edge_mi.c"
_PARTS: Final = ("edge_mi.c", "filters.c", "network.c", "heartbeats.c", "quality.c", "stream.c", "testing.c")
_LINE = 110
_NAME = re.compile(r"[A-Za-z0-9 ._+-]+")


def write_c(
    info: CheckpointInfo | BundleInfo,
    net: QuantisedNet,
    firmware: Firmware,
    alarm: AlarmConfig,
    quality: QualityLimits,
) -> dict[str, bytes]:
    """{name: content} of header and source. Raises ConfigError for a rate or gain that cannot be had exactly."""
    header = _template((HEADER,)).replace("@NOTICE@", _comment(NOTICE))
    header = header.replace("@CONSTANTS@", _constants(info, net, firmware, alarm))
    source = _template(_PARTS).replace("@NOTICE@", _comment(NOTICE))
    source = source.replace("@TABLES@", _tables(info, net, firmware, alarm, quality))
    return {HEADER: header.encode("ascii"), SOURCE: source.encode("ascii")}


def _template(parts: tuple[str, ...]) -> str:
    folder = files("edge_mi.export") / "c"
    return "\n".join((folder / part).read_text(encoding="ascii").rstrip("\n") for part in parts) + "\n"


def _constants(
    info: CheckpointInfo | BundleInfo, net: QuantisedNet, firmware: Firmware, alarm: AlarmConfig
) -> str:
    spec, signal, rate_hz = net.spec, info.signal, firmware.rate_hz
    resampler = _resampler(signal, rate_hz)
    points = {_identifier(p.name): _positive_from(net, info.calibration, p) for p in info.operating_points}
    if len(points) < len(info.operating_points) or _NAME.fullmatch(spec.name) is None:
        names = ", ".join(point.name for point in info.operating_points)
        raise ConfigError(
            f"network {spec.name!a}, operating points {names}: some have no name of their own in C"
        )
    values: dict[str, tuple[Any, str]] = {
        "MODEL": (f'"{spec.name}"', ""),
        "WEIGHTS": (f'"{_fingerprint(net)}"', "sha256 of weights, biases and scales, its beginning"),
        "RATE_HZ": (rate_hz, "of the sensor"),
        "GAIN": (f'"{firmware.gain}"', "codes in a millivolt, for people; the code has them in it"),
        "BASELINE": (firmware.baseline, "code of 0 mV"),
        "MODEL_RATE_HZ": (spec.rate_hz, ""),
        "PREVALENCE_PPM": (round(1e6 * info.calibration.prevalence), "that the probabilities hold for"),
        "TICKS_PER_S": (math.lcm(rate_hz, spec.rate_hz), ""),
        "DELAY_MS": (
            math.ceil(1000 * signal.delay_s(rate_hz)),
            "from a sample to what the filters make of it",
        ),
        "ROUNDING": (firmware.rounding, f"golden family: {firmware.family}"),
        "WINDOW": (spec.window_samples, "samples at the model's rate"),
        "HOP": (spec.hop_samples, ""),
        "OUTPUTS": (len(spec.outputs), " ".join(spec.outputs)),
        **{f"POINT_{name}": (value, "smallest logit that is positive") for name, value in points.items()},
        "DEFAULT_POINT": (f"EDGE_MI_POINT_{_identifier(info.default_operating_point)}", ""),
        "CONVS": (len(net.convs), ""),
        "FEATURES": (spec.features, ""),
        "FRAMES": (spec.frames, "in a window"),
        "CONV_BUFFER": (sum(conv.kernel * conv.in_channels for conv in spec.convs), "bytes"),
        "FIR_BUFFER": (stage_design(signal.fir).capacity, ""),
        "RESAMPLER_BUFFER": (0 if resampler is None else resampler.capacity, ""),
        "BLOCKS": (block_capacity(spec, signal, rate_hz), "of raw samples, for the quality rules"),
        "POLARITY_CHECK": (
            0 if info.polarity is None else 1,
            "whether lead I that looks upside down is withheld",
        ),
        "ANSWERS": (int(alarm.span_s / spec.hop_s) + 3, "that the alarm looks back on"),
    }
    return "\n".join(
        f"#define EDGE_MI_{name} {value}" + (f" /* {note} */" if note else "")
        for name, (value, note) in values.items()
    )


def _fingerprint(net: QuantisedNet) -> str:
    digest = hashlib.sha256()
    for layer in (*net.convs, net.head):
        for array in (layer.weight, layer.bias, layer.weight_scale):
            digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        digest.update(f"{layer.source}{layer.result}".encode())
    return digest.hexdigest()[:12]


def _tables(
    info: CheckpointInfo | BundleInfo,
    net: QuantisedNet,
    firmware: Firmware,
    alarm: AlarmConfig,
    quality: QualityLimits,
) -> str:
    spec, signal = net.spec, info.signal
    parts = [_numbers(info, net, firmware, alarm, quality)]
    parts += _stage("FIR", stage_design(signal.fir))
    resampler = _resampler(signal, firmware.rate_hz)
    if resampler is not None:
        parts += _stage("RESAMPLER", resampler)
    parts.append(_array("int32_t", "INPUT_EDGES", input_edges(net.input)))
    ppm = [round(1e6 * info.calibration.probability(net.output.real(code))) for code in range(-128, 128)]
    parts.append(_array("int32_t", "PROBABILITY_PPM", ppm))
    if info.polarity is not None:
        parts.append(_array("int8_t", "POLARITY", info.polarity.weights))
    rows = []
    for layer in (*net.convs, net.head):
        tables, row = _layer(layer, firmware)
        parts += tables
        rows.append(row)
    body = ",\n".join(rows)
    parts.append(f"static const layer LAYERS[{len(spec.layer_names)}] = {{\n{body}\n}};")
    return "\n\n".join(parts)


def _numbers(
    info: CheckpointInfo | BundleInfo,
    net: QuantisedNet,
    firmware: Firmware,
    alarm: AlarmConfig,
    quality: QualityLimits,
) -> str:
    spec, rate_hz = net.spec, firmware.rate_hz
    adc, grid = adc_scale(firmware), 1 << MV_BITS
    width, refractory = max(1, round(ENERGY_S * spec.rate_hz)), round(REFRACTORY_S * spec.rate_hz)
    block = round(BLOCK_S * spec.rate_hz)
    values = {
        "GAIN_MULTIPLIER": f"UINT64_C({adc.multiplier})",
        "GAIN_OFFSET": f"UINT64_C({adc.offset})",
        "GAIN_SHIFT": adc.shift,
        "GAIN_BASE": f"INT64_C({adc.base})",
        "TOTAL_STRIDE": spec.total_stride,
        "MAX_CHANNELS": max(conv.out_channels for conv in spec.convs),
        "FIRST_POSITION": spec.window_samples % spec.hop_samples or spec.hop_samples,
        "GRID_PER_TICK": math.gcd(rate_hz, spec.rate_hz),
        "ALARM_SPAN_TICKS": f"UINT64_C({_span_ticks(alarm, rate_hz, spec)})",
        "ALARM_ON": alarm.on_count,
        "ALARM_OFF": alarm.off_count,
        "MOST_IN_A_GAP": int(alarm.span_s / spec.hop_s),
        "ENERGY_WIDTH": width,
        "ENERGY_BLOCK": block,
        "ENERGY_BLOCKS": spec.window_samples // block,
        "REFRACTORY": refractory,
        # a peak moves by at most `width` from its run, so two of them keep at least this distance
        "MAX_PEAKS": spec.window_samples // max(1, refractory - 2 * width) + 2,
        "BEAT_BEFORE": round(BEAT_BEFORE_S * spec.rate_hz),
        "BEAT": beat_samples(spec.rate_hz),
        "WRONG_GAIN_SPAN": math.floor(quality.wrong_gain_span_mv * grid),
        "NOISE_SPAN": math.floor(quality.noise_span_mv * grid),
        "FLAT_SPAN": math.ceil(quality.flat_span_mv * grid),
        "FLAT_RUN": math.ceil(quality.flat_run_s * rate_hz),
        "SATURATED_DISTANCE": math.ceil(quality.saturated_mv * grid),
        "SATURATED_SAMPLES": math.ceil(quality.saturated_s * rate_hz),
        "MIN_QUALITY": next(k for k in range(1001) if k / 1000 >= quality.min_quality),
    }
    if info.polarity is not None:
        values |= {
            "POLARITY_INVERTED": f"({info.polarity.inverted_permille})",
            "POLARITY_UPRIGHT": f"({info.polarity.upright_permille})",
            "POLARITY_MEMORY": info.polarity.memory_windows(spec.hop_s),
            "POLARITY_SQUARES": sum(w * w for w in info.polarity.weights),
        }
    return "\n".join(f"#define {name} {value}" for name, value in values.items())


def _span_ticks(alarm: AlarmConfig, rate_hz: int, spec: NetSpec) -> int:
    return math.ceil(Fraction(alarm.span_s).limit_denominator(10**6) * math.lcm(rate_hz, spec.rate_hz))


def _resampler(signal: SignalDesign, rate_hz: int) -> StageDesign | None:
    design = signal.resampler(rate_hz)
    return None if design is None else stage_design(design.taps, up=design.up, down=design.down)


def _positive_from(net: QuantisedNet, calibration: Calibration, point: OperatingPoint) -> int:
    """Smallest int8 logit whose probability reaches the threshold; 128 where none does."""
    return next(
        (
            code
            for code in range(-128, 128)
            if calibration.probability(net.output.real(code)) >= point.threshold
        ),
        128,
    )


def _stage(name: str, design: StageDesign) -> list[str]:
    sizes = [design.up, design.down, design.half, design.length, design.reach, design.keep, design.capacity]
    return [
        _array("int32_t", f"{name}_TAPS", design.taps.ravel()),
        f"static const stage_design {name} = {{{name}_TAPS, {', '.join(map(str, sizes))}}};",
    ]


def _layer(layer: QuantisedLayer, firmware: Firmware) -> tuple[list[str], str]:
    name = _identifier(layer.name)
    weight = np.ascontiguousarray(layer.weight.transpose(0, 2, 1)).astype(np.int64)
    # x * w = (x - zero point) * w + zero point * w, of which the last is known now
    bias = layer.bias.astype(np.int64) - layer.source.zero_point * weight.sum(axis=(1, 2))
    tables = [
        _array("int8_t", f"{name}_WEIGHT", weight.ravel()),
        _array("int32_t", f"{name}_BIAS", bias),
    ]
    if firmware.rounding == 0:
        mantissa, exponent = reference_multipliers(layer)
        tables += [
            _array("int32_t", f"{name}_MANTISSA", mantissa),
            _array("int8_t", f"{name}_EXPONENT", exponent),
        ]
        scales = f"{name}_MANTISSA, {name}_EXPONENT"
    else:
        tables.append(_array("float", f"{name}_SCALE", (f"{float(s).hex()}f" for s in fast_scales(layer))))
        scales = f"{name}_SCALE"
    out, in_channels, kernel = layer.weight.shape
    lowest = layer.result.zero_point if layer.relu else -128
    row = (
        f"    {{{name}_WEIGHT, {name}_BIAS, {scales}, {kernel}, {layer.stride}, {in_channels}, {out}, "
        f"{layer.result.zero_point}, {lowest}}}"
    )
    return tables, row


def _array(kind: str, name: str, values: Iterable[Any]) -> str:
    items = [str(value) for value in values]
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > _LINE:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return f"static const {kind} {name}[{len(items)}] = {{\n" + "\n".join([*lines, line]) + "\n};"


def _identifier(name: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def _comment(text: str) -> str:
    words, lines, line = text.replace("\u2019", "'").split(), [], ""
    for word in words:
        if len(line) + len(word) > 100:
            lines.append(line.rstrip())
            line = ""
        line += word + " "
    return "\n * ".join([*lines, line.rstrip()])
