"""A network description that breaks a restriction of its family cannot be made."""

from __future__ import annotations

import numpy as np
import pytest
from toy import toy_checkpoint

from edge_mi.checkpoint import Checkpoint
from edge_mi.float_model import calibration_order, measure_ranges, run_layers
from edge_mi.netspec import MAX_PARAMETERS, PATCHNET_S, SHIPPED_SIZE, SIZES, Conv, NetSpec, patchnet
from edge_mi.shipped import shipped_checkpoint


def test_the_shipped_network_is_what_the_documents_say() -> None:
    assert PATCHNET_S.parameters == 66_977 < MAX_PARAMETERS
    assert (PATCHNET_S.receptive_field, PATCHNET_S.total_stride, PATCHNET_S.frames) == (223, 20, 39)
    assert (PATCHNET_S.window_samples, PATCHNET_S.hop_samples) == (983, 100)
    assert PATCHNET_S.macs_window == 4_372_296


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_what_its_name_says_and_one_family(size: str) -> None:
    net = SIZES[size]
    assert net.name == f"patchnet-{size}"
    assert net.parameters == pytest.approx(1000 * int(size.removesuffix("k")), rel=0.02)
    assert net.parameters <= MAX_PARAMETERS
    for shared in ("window_samples", "hop_samples", "receptive_field", "total_stride", "frames", "rate_hz"):
        assert getattr(net, shared) == getattr(PATCHNET_S, shared)
    assert all(conv.out_channels % 4 == 0 for conv in net.convs)


def test_the_size_that_ships_is_the_shipped_network() -> None:
    assert SIZES[SHIPPED_SIZE] is PATCHNET_S
    assert Checkpoint.load(shipped_checkpoint()).info.net == PATCHNET_S


def test_derived_sizes_are_those_of_the_arrays() -> None:
    checkpoint = toy_checkpoint()
    net = checkpoint.info.net
    outputs = run_layers(net, checkpoint.weights, np.zeros((2, net.window_samples)))
    assert tuple(outputs[conv.name].shape[1] for conv in net.convs) == net.lengths
    assert outputs["pool"].shape == (2, 1, net.features)
    assert net.frames == net.lengths[-1]
    assert net.parameters == sum(w.size + b.size for w, b in checkpoint.weights.values())


def test_a_frame_sees_its_receptive_field_and_no_more() -> None:
    checkpoint = toy_checkpoint()
    net = checkpoint.info.net
    silent = np.zeros((1, net.window_samples))
    base = run_layers(net, checkpoint.weights, silent)[net.convs[-1].name][0, 0]
    for position, changes in ((net.receptive_field - 1, True), (net.receptive_field, False)):
        touched = silent.copy()
        touched[0, position] = 100.0
        frame = run_layers(net, checkpoint.weights, touched)[net.convs[-1].name][0, 0]
        assert np.array_equal(frame, base) is not changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window_samples": 984}, "is not 223"),
        ({"window_samples": 963}, "must be odd, found 38"),
        ({"hop_samples": 110}, "no multiple of the stride 20"),
        ({"outputs": ()}, "at least one convolution and one output"),
        ({"rate_hz": 0}, "expected more than 0"),
        ({"convs": PATCHNET_S.convs[1:]}, "1 channels arrive, 24 expected"),
        ({"convs": (PATCHNET_S.convs[0],) * 2}, "24 channels arrive, 1 expected"),
    ],
)
def test_a_network_that_does_not_fit_together_is_refused(change: dict[str, object], message: str) -> None:
    from dataclasses import fields

    values = {f.name: getattr(PATCHNET_S, f.name) for f in fields(PATCHNET_S)} | change
    with pytest.raises(ValueError, match=message):
        NetSpec(**values)


def test_layers_of_the_same_name_are_refused() -> None:
    conv = Conv(name="a", in_channels=1, out_channels=1, kernel=3, stride=1)
    with pytest.raises(ValueError, match="names must differ"):
        NetSpec(name="n", rate_hz=100, window_samples=9, hop_samples=1, convs=(conv, conv), outputs=("mi",))


def test_sizes_of_a_layer_are_positive() -> None:
    with pytest.raises(ValueError, match="sizes must be positive"):
        patchnet(((3, 0, 4),), name="n")


def test_ranges_cover_the_activations_and_zero() -> None:
    checkpoint = toy_checkpoint()
    windows = np.random.default_rng(1).normal(scale=0.3, size=(64, checkpoint.info.net.window_samples))
    ranges = measure_ranges(checkpoint.info.net, checkpoint.weights, windows, [str(i) for i in range(64)])
    logits = run_layers(checkpoint.info.net, checkpoint.weights, windows)["head"]
    assert ranges.tensors["head"].low < logits.min()
    assert ranges.tensors["head"].high > logits.max()
    assert all(ranges.tensors[conv.name].low == 0 for conv in checkpoint.info.net.convs)


def test_too_few_calibration_windows_are_refused() -> None:
    checkpoint = toy_checkpoint()
    with pytest.raises(ValueError, match="3 calibration windows, at least 64"):
        measure_ranges(checkpoint.info.net, checkpoint.weights, np.zeros((3, 200)), ["a", "b", "c"])


def test_calibration_order_depends_on_the_ids_alone() -> None:
    ids = [f"{i:05d}" for i in range(50)]
    order = calibration_order(ids)
    assert sorted(order) == list(range(50))
    assert [ids[::-1][i] for i in calibration_order(ids[::-1])] == [ids[i] for i in order]
