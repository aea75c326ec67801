"""Making the golden outputs: a few check records, computed by the integer model and the float network."""

from __future__ import annotations

import numpy as np

from edge_mi.chain.chain import filter_segment
from edge_mi.checkpoint import Checkpoint
from edge_mi.float_model import run_layers as run_float_layers
from edge_mi.golden import FAMILIES, Golden, GoldenDetail
from edge_mi.signal_design import MV_BITS

from .check_windows import GOLDEN_S, SENSOR_HZ, check_records, last_window
from .integer_model import run_layers as run_integer_layers
from .quantise import QuantisedNet

_EVERY = 4  # of the check records: each territory twice


def make_golden(checkpoint: Checkpoint, net: QuantisedNet, detail: GoldenDetail = "stages") -> Golden:
    """Golden outputs of `net` and of the float weights that it came from; `full`: with those of every layer."""
    signal, spec = checkpoint.info.signal, checkpoint.info.net
    records = [samples_mv for _, samples_mv in check_records(GOLDEN_S)[::_EVERY]]
    filtered = np.stack([filter_segment(signal, SENSOR_HZ, samples_mv) for samples_mv in records])
    windows_mv = np.stack([last_window(spec, samples_mv) for samples_mv in filtered])
    windows = net.input.quantise(windows_mv)
    exact = run_float_layers(spec, checkpoint.weights, windows_mv, reproducible=True)
    layers = {family: run_integer_layers(net, windows, family) for family in FAMILIES}
    fast, reference = layers["fast"], layers["reference"]
    return Golden(
        rate_hz=SENSOR_HZ,
        signal_uv=np.rint(np.stack(records) * 1000.0).astype(np.int16),
        filtered_grid=(filtered * (1 << MV_BITS)).astype(np.int32),
        window_grid=(windows_mv * (1 << MV_BITS)).astype(np.int32),
        window_int8=windows,
        embedding_fast=fast["pool"][:, 0],
        embedding_reference=reference["pool"][:, 0],
        logits_fast=fast["head"][:, 0],
        logits_reference=reference["head"][:, 0],
        logits_float=exact["head"][:, 0].astype(np.float32),
        layers={}
        if detail == "stages"
        else {f"{conv.name}_{f}": layers[f][conv.name] for f in FAMILIES for conv in spec.convs},
    )
