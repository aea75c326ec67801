"""A tiny checkpoint with random weights, for tests that need one that is not the shipped one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from edge_mi.bundle import Bundle
from edge_mi.checkpoint import (
    SCHEMA,
    Calibration,
    Checkpoint,
    CheckpointInfo,
    DataSource,
    OperatingPoint,
    Provenance,
)
from edge_mi.float_model import measure_ranges
from edge_mi.netspec import NetSpec, patchnet
from edge_mi.polarity import PolarityCheck
from edge_mi.shipped import shipped_bundle
from edge_mi.signal_design import SignalDesign

TOY_NET = patchnet(((9, 5, 6), (5, 4, 8)), name="toy", frames=41)


@cache
def signal_design() -> SignalDesign:
    """The signal chain that ships; it needs no scipy."""
    return Bundle.load(shipped_bundle()).info.signal


@cache
def polarity_check() -> PolarityCheck:
    """The polarity check that ships."""
    check = Bundle.load(shipped_bundle()).info.polarity
    assert check is not None
    return check


@cache
def toy_checkpoint(seed: int = 0, net: NetSpec = TOY_NET) -> Checkpoint:
    """Random weights scaled so that activations neither die nor explode."""
    rng = np.random.default_rng(seed)
    weights = {}
    for layer in net.layer_names:
        shape = net.weight_shape(layer)
        scale = np.sqrt(2.0 / (shape[1] * shape[2]))
        weights[layer] = (
            rng.normal(scale=scale, size=shape).astype(np.float32),
            rng.normal(scale=0.05, size=shape[0]).astype(np.float32),
        )
    windows = np.cumsum(rng.normal(scale=0.05, size=(64, net.window_samples)), axis=1)
    windows -= windows.mean(axis=1, keepdims=True)
    ids = [f"toy-{i}" for i in range(len(windows))]
    info = CheckpointInfo(
        schema=SCHEMA,
        net=net,
        signal=signal_design(),
        ranges=measure_ranges(net, weights, windows, ids),
        calibration=Calibration(method="platt", slope=1.0, offset=0.0, prevalence=0.2, fitted_on="noise"),
        polarity=polarity_check(),
        operating_points=(
            OperatingPoint(
                name="balanced", threshold=0.5, sensitivity=0.5, specificity=0.5, chosen_on="noise"
            ),
        ),
        default_operating_point="balanced",
        metrics=(),
        provenance=Provenance(
            data=(
                DataSource(
                    name="noise", version="1", licence="none", records=64, patients=64, selection="all"
                ),
            ),
            labels="none",
            command="tests",
            commit="unknown",
            seed=seed,
            versions={},
        ),
    )
    return Checkpoint(info, weights)


def with_weights(checkpoint: Checkpoint, layer: str, weight: np.ndarray) -> Checkpoint:
    """A copy with other weights in one layer."""
    bias = checkpoint.weights[layer][1]
    return replace(checkpoint, weights={**checkpoint.weights, layer: (weight, bias)})


def export_toy(folder: Path, checkpoint: Checkpoint | None = None) -> list[str]:
    """The words that export a toy checkpoint from `folder` to its `b`.

    Random weights answer near their threshold, so decisions may differ as they like.
    """
    (checkpoint or toy_checkpoint()).save(folder / "toy.safetensors")
    (folder / "limits.json").write_text(
        '{"family_decisions": 1, "float_decisions": 1, "auroc_difference": 1}'
    )
    words = ["export", "--int8", str(folder / "toy.safetensors"), "--out", str(folder / "b")]
    return [*words, "--limits", str(folder / "limits.json")]
