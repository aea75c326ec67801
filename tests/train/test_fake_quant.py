"""The fake-quantised network computes the integers that export computes, and its gradients are those of LSQ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from edge_mi.export.integer_model import run_layers
from edge_mi.export.quantise import quantise
from edge_mi.train.fake_quant import ActivationRange, FakeQuantNet
from toy import toy_checkpoint

from edge_mi.checkpoint import Checkpoint, Range
from edge_mi.float_model import Weights
from edge_mi.float_model import run_layers as run_float_layers
from edge_mi.int8_grid import exact_range, quant_params
from edge_mi.netspec import PATCHNET_S, NetSpec, patchnet
from edge_mi.shipped import shipped_checkpoint

DEEP = patchnet(((15, 5, 24), (6, 4, 40), (3, 1, 40)), name="deep", frames=21)


def trained(checkpoint: Checkpoint, steps: int = 12) -> FakeQuantNet:
    """A few steps of training on noise, past the warm-up, so that no range is where it started."""
    torch.manual_seed(1)
    net = FakeQuantNet(
        checkpoint.info.net, checkpoint.weights, side_heads={"person": 2}, dropout=0.3, warmup_steps=4
    )
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    for _ in range(steps):
        outputs = net(waves(16, checkpoint.info.net.window_samples))
        loss = (outputs["mi"] - 1).square().mean() + outputs["person"].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.freeze()
    return net.eval()


def waves(n: int, samples: int) -> torch.Tensor:
    """Random walks of about a millivolt."""
    walks = torch.randn(n, 1, samples).cumsum(2) * 0.05
    return walks - walks.mean(2, keepdim=True)


def exported(checkpoint: Checkpoint, net: FakeQuantNet) -> Checkpoint:
    tensors = {name: exact_range(params) for name, params in net.params().items()}
    info = replace(checkpoint.info, ranges=replace(checkpoint.info.ranges, tensors=tensors))
    return Checkpoint(info, net.float_weights())


@pytest.mark.parametrize("spec", [toy_checkpoint().info.net, DEEP, PATCHNET_S], ids=lambda spec: spec.name)
def test_every_int8_value_of_every_layer_is_exports(spec: NetSpec) -> None:
    checkpoint = toy_checkpoint(0, spec)
    net = trained(checkpoint)
    quantised = quantise(exported(checkpoint, net))
    torch.manual_seed(7)
    windows = waves(60, spec.window_samples)
    codes = quantised.input.quantise(windows[:, 0].numpy().astype(np.float64))
    mine, integers = net.int8_layers(windows), run_layers(quantised, codes, "fast")
    assert np.array_equal(mine["input"][:, :, 0], codes)
    assert set(mine) == {"input", *integers}
    for name, expected in integers.items():
        assert len(np.unique(expected)) > 20, name
        assert np.array_equal(mine[name], expected), name


def test_the_logit_is_the_int8_one() -> None:
    checkpoint = toy_checkpoint()
    net = trained(checkpoint)
    windows = waves(20, checkpoint.info.net.window_samples)
    params = net.params()["head"]
    codes = net.int8_layers(windows)["head"][:, 0, 0]
    with torch.no_grad():
        logits = net(windows)["mi"].numpy()
    np.testing.assert_allclose(
        logits, params.scale * (codes.astype(np.float64) - params.zero_point), rtol=1e-6
    )


def test_unquantised_it_is_the_float_network() -> None:
    checkpoint = Checkpoint.load(shipped_checkpoint())
    net = FakeQuantNet(checkpoint.info.net, checkpoint.weights, quantised=False).eval()
    windows = waves(5, checkpoint.info.net.window_samples)
    with torch.no_grad():
        found = net(windows)["mi"].numpy()
    expected = run_float_layers(checkpoint.info.net, checkpoint.weights, windows[:, 0].numpy())["head"]
    np.testing.assert_allclose(found, expected[:, 0, 0], atol=1e-4)


def test_weights_that_were_put_in_come_out_again() -> None:
    weights = toy_checkpoint().weights
    out: Weights = FakeQuantNet(toy_checkpoint().info.net, weights).float_weights()
    assert all(np.array_equal(out[layer][i], weights[layer][i]) for layer in weights for i in (0, 1))


def test_ranges_follow_until_the_warm_up_ends_and_are_learned_after_it() -> None:
    checkpoint = toy_checkpoint()
    early, late = trained(checkpoint, steps=4), trained(checkpoint, steps=8)
    assert early.ranges["conv1"].growth.item() == 0.0 != late.ranges["conv1"].growth.item()
    assert late.ranges["conv1"].low.item() == 0.0
    for name in ("input", "conv1", "conv2"):
        assert late.ranges[name].high.item() == early.ranges[name].high.item()
        assert late.params()[name].scale != late.ranges[name].start.item()
        assert late.params()[name].zero_point == early.params()[name].zero_point


def test_the_range_of_the_logits_follows_them_to_the_end() -> None:
    early, late = (trained(toy_checkpoint(), steps=steps).ranges["head"] for steps in (4, 8))
    assert early.high.item() != late.high.item()
    assert late.growth.item() == 0.0
    params = quant_params(Range(low=late.low.item(), high=late.high.item()))
    assert late.params().scale == pytest.approx(1.5 * params.scale, rel=1e-3)


def test_zero_is_exact_and_relu_wastes_no_code() -> None:
    params = trained(toy_checkpoint()).params()
    assert params["conv1"].zero_point == params["conv2"].zero_point == -128
    assert all(quant_params(exact_range(each)) == each for each in params.values())


def test_extremes_are_averaged() -> None:
    span = ActivationRange()
    span.follow(torch.tensor([-1.0, 3.0]))
    span.follow(torch.tensor([-2.0, 13.0]))
    assert span.low.item() == pytest.approx(-1.1)
    assert span.high.item() == pytest.approx(4.0)
    span.freeze()
    span.follow(torch.tensor([-100.0, 100.0]))
    assert span.high.item() == pytest.approx(4.0)


def test_the_gradient_of_a_scale_is_that_of_lsq() -> None:
    """Esser et al., equation 3: code minus unrounded code where nothing is clipped, the last code where it is."""
    checkpoint = toy_checkpoint()
    net = FakeQuantNet(checkpoint.info.net, checkpoint.weights)
    net.train()
    net(waves(8, checkpoint.info.net.window_samples))
    net.freeze()
    span = net.ranges["input"]
    scale, zero = span.scale_and_zero()
    x = (
        torch.tensor([0.3, -0.12345, 100.0, -100.0])
        * float(scale.detach())
        * torch.tensor([7.0, 50.0, 9.0, 9.0])
    )
    codes = net._quantise(x.reshape(1, 1, 1, 4))
    codes.real.sum().backward()
    ratio = (x / scale).detach()
    expected = torch.where(
        ratio.abs() < 100, ratio.round() - ratio, torch.tensor([0.0, 0.0, 127.0 - zero, -128.0 - zero])
    )
    # learned is the logarithm: d/d log s = s d/ds
    assert span.growth.grad.item() == pytest.approx(float((expected * scale.detach()).sum()), rel=1e-4)


def test_a_clipped_value_passes_no_gradient_to_what_made_it() -> None:
    checkpoint = toy_checkpoint()
    net = FakeQuantNet(checkpoint.info.net, checkpoint.weights)
    net.train()
    net(waves(8, checkpoint.info.net.window_samples))
    x = torch.tensor([[[[0.1, 50.0, -50.0]]]], requires_grad=True)
    net.eval()._quantise(x).real.sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([1.0, 0.0, 0.0])
