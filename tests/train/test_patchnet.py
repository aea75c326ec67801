"""The torch module is its NetSpec, and folding batch norm changes nothing that a logit shows."""

from __future__ import annotations

import numpy as np
import torch
from edge_mi.train.patchnet import PatchNet

from edge_mi.float_model import run_layers
from edge_mi.netspec import PATCHNET_S


def trained_net() -> PatchNet:
    """Statistics and affine weights that folding cannot ignore."""
    torch.manual_seed(3)
    net = PatchNet(PATCHNET_S, {"person": 2}, dropout=0.3)
    for _ in range(3):
        net(torch.randn(8, 1, 400) * 2 + 0.1)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, -0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


def test_folded_weights_give_the_logits_of_the_module() -> None:
    net = trained_net()
    windows = torch.randn(5, 1, PATCHNET_S.window_samples)
    with torch.no_grad():
        expected = net(windows)["mi"].numpy()
    layers = run_layers(PATCHNET_S, net.folded_weights(), windows[:, 0].numpy())
    np.testing.assert_allclose(layers["head"][:, 0, 0], expected, atol=1e-5)


def test_folded_weights_have_the_shapes_of_the_description() -> None:
    weights = PatchNet(PATCHNET_S).folded_weights()
    assert {layer: w.shape for layer, (w, _) in weights.items()} == {
        layer: PATCHNET_S.weight_shape(layer) for layer in PATCHNET_S.layer_names
    }
    assert all(array.dtype == np.float32 for pair in weights.values() for array in pair)


def test_frames_are_those_of_the_description() -> None:
    net = PatchNet(PATCHNET_S)
    image = torch.zeros(1, 1, 1, PATCHNET_S.window_samples)
    assert net.stack(image).shape == (1, PATCHNET_S.features, 1, PATCHNET_S.frames)


def test_side_heads_are_outputs_of_training_only() -> None:
    net = trained_net()
    assert set(net(torch.zeros(2, 1, 300))) == {"mi", "person"}
    assert set(net.folded_weights()) == set(PATCHNET_S.layer_names)
