"""Channels that say nothing are exported like any other; ranges that say nothing are refused with their layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.export.agreement import AgreementLimits
from edge_mi.export.bundle_writer import ExportResult, export_bundle
from edge_mi.export.quantise import quantise
from toy import toy_checkpoint

from edge_mi.checkpoint import Checkpoint, Range
from edge_mi.errors import CheckpointError
from edge_mi.runners.choose import open_runner

LOOSE = AgreementLimits(family_decisions=1.0, float_decisions=1.0)
IDENTICAL = ("litert/ort", "litert/integers-fast", "litert-ref/integers-reference", "litert/litert-hops", "ort/ort-hops",
             "litert-ref/litert-ref-hops")  # fmt: skip


pytestmark = pytest.mark.usefixtures("few_windows")


def silenced(
    layer: str, *, channel: int | None, bias: float, weight: float = 0.0, inputs: bool = False
) -> Checkpoint:
    """The toy with constant weights in one output channel of a layer (one input channel; None: in all of it)."""
    toy = toy_checkpoint()
    weights, biases = (array.copy() for array in toy.weights[layer])
    if inputs:
        weights[:, channel] = weight
    else:
        chosen = slice(None) if channel is None else channel
        weights[chosen], biases[chosen] = weight, bias
    return replace(toy, weights={**toy.weights, layer: (weights, biases)})


def with_range(name: str, low: float, high: float) -> Checkpoint:
    toy = toy_checkpoint()
    tensors = {**toy.info.ranges.tensors, name: Range(low=low, high=high)}
    return Checkpoint(replace(toy.info, ranges=replace(toy.info.ranges, tensors=tensors)), toy.weights)


def export(checkpoint: Checkpoint, folder: Path) -> ExportResult:
    result = export_bundle(checkpoint, folder / "bundle", limits=LOOSE)
    assert [result.agreement[pair].identical for pair in IDENTICAL] == [1.0] * len(IDENTICAL)
    return result


@pytest.mark.parametrize("layer", ["conv1", "conv2", "head"])
@pytest.mark.parametrize("bias", [0.0, -0.0, 0.7, -0.7, 1e-30])
def test_a_channel_without_weights_agrees_to_the_bit(layer: str, bias: float, tmp_path: Path) -> None:
    checkpoint = silenced(layer, channel=0, bias=bias)
    net = quantise(checkpoint)
    quantised = next(item for item in (*net.convs, net.head) if item.name == layer)
    assert not quantised.weight[0].any()
    assert quantised.weight_scale[0] > 0
    assert quantised.bias[0] * quantised.bias_scale[0] == pytest.approx(bias, rel=1e-6, abs=1e-9)
    export(checkpoint, tmp_path)


@pytest.mark.parametrize("weight", [1e-45, 1e-38, -1e-12])
def test_a_channel_of_almost_nothing_agrees_to_the_bit(weight: float, tmp_path: Path) -> None:
    export(silenced("conv2", channel=1, bias=0.0, weight=weight), tmp_path)


def test_a_channel_that_nobody_listens_to_agrees_to_the_bit(tmp_path: Path) -> None:
    export(silenced("conv2", channel=1, bias=0.0, inputs=True), tmp_path)


@pytest.mark.parametrize("layer", ["conv1", "conv2", "head"])
def test_a_layer_without_weights_agrees_to_the_bit(layer: str, tmp_path: Path) -> None:
    bundle = export(silenced(layer, channel=None, bias=0.0), tmp_path).bundle
    noise = np.random.default_rng(0).integers(-128, 128, size=(5, bundle.info.net.window_samples))
    runner = open_runner(bundle)
    assert len({runner.run(window.astype(np.int8)).tobytes() for window in noise}) == 1


def test_dead_channels_change_nothing_for_the_others(tmp_path: Path) -> None:
    alive, dead = quantise(toy_checkpoint()), quantise(silenced("conv1", channel=2, bias=0.0))
    keep = [0, 1, 3, 4, 5]
    assert np.array_equal(alive.convs[0].weight[keep], dead.convs[0].weight[keep])
    assert np.array_equal(alive.convs[0].weight_scale[keep], dead.convs[0].weight_scale[keep])


@pytest.mark.parametrize(
    ("name", "low", "high", "message"),
    [
        ("input", -1e-300, 1e-300, "layer input: a range of -1e-300 to 1e-300 cannot be divided"),
        ("input", -1e-45, 1e-45, "layer input: a range"),
        ("input", -1e300, 1e300, "layer input: a range"),
        ("input", -1.7e308, 1.7e308, "layer input: a range"),
        (
            "conv1",
            0.0,
            1e-6,
            "layer conv1: its largest activation, 1e-06, is far below what its weights give",
        ),
        ("conv2", -3.0, -1.0, "layer conv2: range -3 to -1, and ReLU leaves nothing below zero"),
        ("conv2", -3.0, 0.0, "layer conv2: range -3 to 0"),
        ("conv1", 0.0, 1e9, "layer conv2: its largest activation"),
        ("head", 0.0, 1e-20, "layer head: a range"),
        ("head", -1e38, 3e38, "layer head: a range"),
    ],
)
def test_a_range_that_says_nothing_is_refused_with_its_layer(
    name: str, low: float, high: float, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        export_bundle(with_range(name, low, high), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("weight", [3e38, -3e38, 1e20])
def test_weights_beyond_any_integer_are_refused(weight: float, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="layer conv2: weights or biases too large"):
        export_bundle(silenced("conv2", channel=1, bias=0.0, weight=weight), tmp_path / "bundle")
    with pytest.raises(CheckpointError, match="layer conv2: weights or biases too large"):
        export_bundle(silenced("conv2", channel=1, bias=weight), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_dead_input_range_is_no_range() -> None:
    with pytest.raises(ValueError, match="an empty range: 0 to 0"):
        Range(low=0, high=0)
