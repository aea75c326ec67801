"""What a bundle says of alarm and quality where a checkpoint does not: chosen here, carried by the bundle.

The quality limits are measured on folds 1 to 8 of PTB-XL (docs/figures.md): they are rules against a signal
that is no ECG, wide enough to leave real records in.
"""

from __future__ import annotations

import math

from edge_mi.alarm import AlarmConfig
from edge_mi.netspec import NetSpec
from edge_mi.quality import QualityLimits

DEFAULT_QUALITY = QualityLimits(
    flat_run_s=1.0,
    flat_span_mv=0.06,
    saturated_s=0.1,
    saturated_mv=0.5,
    noise_span_mv=8.0,
    wrong_gain_span_mv=20.0,
    min_quality=0.3,
)


def default_alarm(spec: NetSpec) -> AlarmConfig:
    """Two thirds of the windows of three window lengths set the latch; one fifth or fewer release it."""
    span_s = float(math.ceil(3 * spec.window_s))
    windows = int(span_s / spec.hop_s)
    return AlarmConfig(span_s=span_s, on_count=math.ceil(windows * 2 / 3), off_count=windows // 5)
