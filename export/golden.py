"""Making the golden outputs: a few check records, computed by the integer model and the float network."""

from __future__ import annotations

import numpy as np

from edge_mi.chain.chain import filter_segment
from edge_mi.checkpoint import Checkpoint
from edge_mi.float_model import run_layers
from edge_mi.golden import Golden
from edge_mi.signal_design import MV_BITS

from .check_windows import GOLDEN_S, SENSOR_HZ, check_records
from .integer_model import run_integer_model
from .quantise import QuantisedNet

LOGIT_DECIMALS = 4
_EVERY = 4  # of the check records: each territory twice


def make_golden(checkpoint: Checkpoint, net: QuantisedNet) -> Golden:
    """Golden outputs of `net` and of the float weights that it came from."""
    signal, spec = checkpoint.info.signal, checkpoint.info.net
    records = [samples_mv for _, samples_mv in check_records(GOLDEN_S)[::_EVERY]]
    filtered = np.stack([filter_segment(signal, SENSOR_HZ, samples_mv) for samples_mv in records])
    windows_mv = filtered[:, -spec.window_samples :]
    windows = net.input.quantise(windows_mv)
    logits = run_layers(spec, checkpoint.weights, windows_mv)["head"][:, 0]
    return Golden(
        rate_hz=SENSOR_HZ,
        signal_uv=np.rint(np.stack(records) * 1000.0).astype(np.int16),
        filtered_grid=(filtered * (1 << MV_BITS)).astype(np.int32),
        window_int8=windows,
        logits_fast=run_integer_model(net, windows, "fast"),
        logits_reference=run_integer_model(net, windows, "reference"),
        # the order of a sum in float is the processor's own business
        logits_float=np.round(logits, LOGIT_DECIMALS).astype(np.float32),
    )
