"""From real numbers to int8: the few lines of arithmetic that calibration, training and export must share.

Per-channel symmetric int8 weights, per-tensor int8 activations that represent zero exactly, int32 bias on the
grid s_in * s_w (TensorFlow Lite 8-bit quantization specification). What is learned in training reaches every
artefact unchanged because both sides call these.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import QuantParams
from edge_mi.checkpoint import Range

LOW: Final = -128
HIGH: Final = 127
_BIAS_LIMIT: Final = float(1 << 30)
# steps in which float32 holds every product of two of them; what lies outside is no activation and no weight
_STEP_LIMITS: Final = (1e-12, 1e12)


def quant_params(span: Range) -> QuantParams:
    """Scale and zero point that cover `span` and represent zero exactly.

    Raises ValueError for a span that no step in float32 divides.
    """
    low, high = min(span.low, 0.0), max(span.high, 0.0)
    if not _STEP_LIMITS[0] <= (high - low) / 255.0 <= _STEP_LIMITS[1]:
        raise ValueError(f"a range of {span.low:g} to {span.high:g} cannot be divided into steps of int8")
    scale = float(np.float32((high - low) / 255.0))
    return QuantParams(scale=scale, zero_point=int(np.clip(round(-128 - low / scale), -128, 127)))


def exact_range(params: QuantParams) -> Range:
    """The range whose `quant_params` are `params`, to the last bit: its ends are the codes -128 and 127."""
    # a float32 times nine bits has no rounding in float64, nor has the way back
    return Range(low=(LOW - params.zero_point) * params.scale, high=(HIGH - params.zero_point) * params.scale)


def weight_scales(
    weight: NDArray[np.float32], bias: NDArray[np.float32], source_scale: float
) -> NDArray[np.float32]:
    """Scale of each output channel, float32 (out,), of weights (out, in, kernel) behind an input of `source_scale`.

    Raises ValueError for weights or biases that no step in float32 divides.
    """
    largest = np.abs(weight.astype(np.float64)).reshape(len(weight), -1).max(axis=1)
    # a channel that is all bias (or dead) still needs a scale on which its bias fits int32
    floor = np.maximum(np.abs(bias.astype(np.float64)) / (source_scale * _BIAS_LIMIT), 1e-9)
    steps = np.maximum(largest / 127.0, floor)
    if steps.max() > _STEP_LIMITS[1]:
        raise ValueError(f"weights or biases too large for integers (steps of {steps.max():.1e})")
    scales: NDArray[np.float32] = steps.astype(np.float32)
    return scales
