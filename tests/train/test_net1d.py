"""Net1D has the tensors of ECGFounder's checkpoints, loads them, computes them as defined, and learns."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F  # noqa: N812
from edge_mi.train.net1d import Block, Net1D, Net1DConfig, SameConv, small_config
from edge_mi.train.net1d_file import load_weights
from torch import Tensor

from edge_mi.errors import CheckpointError

FILTERS, BLOCKS = (64, 160, 160, 400, 400, 1024, 1024), (2, 2, 2, 3, 3, 4, 4)


def published(leads: int, outputs: int) -> list[tuple[str, tuple[int, ...]]]:
    """Tensors of ECGFounder's network in order, by its rule of names.

    The rule was compared once with the published code itself: equal names, order, shapes and types for one and
    for twelve leads, and equal outputs from equal weights.
    """

    def norm(name: str, width: int) -> list[tuple[str, tuple[int, ...]]]:
        vectors = [(f"{name}.{part}", (width,)) for part in ("weight", "bias", "running_mean", "running_var")]
        return [*vectors, (f"{name}.num_batches_tracked", ())]

    def layer(name: str, *shape: int) -> list[tuple[str, tuple[int, ...]]]:
        return [(f"{name}.weight", shape), (f"{name}.bias", shape[:1])]

    table = [*layer("first_conv.conv", 64, leads, 16), *norm("first_bn", 64)]
    width = 64
    for stage, (filters, blocks) in enumerate(zip(FILTERS, BLOCKS, strict=True)):
        for block in range(blocks):
            name = f"stage_list.{stage}.block_list.{block}"
            table += norm(f"{name}.bn1", width) + layer(f"{name}.conv1.conv", filters, width, 1)
            table += norm(f"{name}.bn2", filters) + layer(f"{name}.conv2.conv", filters, 16, 16)
            table += norm(f"{name}.bn3", filters) + layer(f"{name}.conv3.conv", filters, filters, 1)
            table += layer(f"{name}.se_fc1", filters // 2, filters) + layer(
                f"{name}.se_fc2", filters, filters // 2
            )
            width = filters
    return table + layer("dense", outputs, width)


@pytest.fixture(scope="module")
def twelve() -> dict[str, Tensor]:
    """A 12-lead checkpoint of 150 outputs with random weights, as published in names and shapes."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) * 0.01 if shape else torch.tensor(7)
        for name, shape in published(12, 150)
    }


def test_names_and_shapes_are_those_of_the_published_network() -> None:
    with torch.device("meta"):
        for leads, outputs in ((1, 9), (12, 150)):
            state = Net1D(Net1DConfig(leads=leads, outputs=outputs)).state_dict()
            assert [(name, tuple(value.shape)) for name, value in state.items()] == published(leads, outputs)


def parameters(leads: int, outputs: int) -> tuple[int, int]:
    with torch.device("meta"):
        net = Net1D(Net1DConfig(leads=leads, outputs=outputs))
    everything = sum(p.numel() for p in net.parameters())
    return everything, sum(p.numel() for p in net.parameters() if p.requires_grad)


def test_it_has_30_66_million_parameters_of_which_batch_norm_is_unused() -> None:
    assert parameters(1, 9) == (30_663_225, 30_596_857)
    assert parameters(1, 150)[0] == 30_807_750
    with torch.device("meta"):
        small = Net1D(small_config(1))
    assert 0.9e6 < sum(p.numel() for p in small.parameters()) < 1.1e6


def test_a_published_checkpoint_loads_apart_from_its_head(tmp_path: Path, twelve: dict[str, Tensor]) -> None:
    """In the fullest layout: under `state_dict`, names as several processors leave them, numbers beside it."""
    path = tmp_path / "weights.pth"
    state = {f"module.{name}": value for name, value in twelve.items()}
    torch.save({"epoch": 3, "auroc": np.float64(0.92), "state_dict": state}, path)
    net = Net1D(Net1DConfig(leads=12, outputs=9))
    head = net.dense.weight.detach().clone()
    load_weights(net, path)
    loaded = net.state_dict()
    body = [name for name in twelve if not name.startswith("dense.")]
    assert all(torch.equal(loaded[name], twelve[name]) for name in body)
    assert torch.equal(net.dense.weight, head)


@pytest.mark.parametrize("layout", ["plain", "state_dict", "safetensors"])
def test_other_layouts_load_too(tmp_path: Path, layout: str) -> None:
    state = Net1D(small_config(12, outputs=3)).state_dict()
    path = tmp_path / ("weights.safetensors" if layout == "safetensors" else "weights.pth")
    if layout == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state if layout == "plain" else {"state_dict": state}, path)
    net = Net1D(small_config(12))
    load_weights(net, path)
    assert torch.equal(net.state_dict()["stage_list.6.block_list.1.bn3.running_var"], torch.ones(208))
    assert torch.equal(net.first_conv.conv.weight, state["first_conv.conv.weight"])


def small_file(path: Path, **change: Tensor | None) -> Path:
    state: dict[str, Tensor | None] = {**Net1D(small_config(1)).state_dict(), **change}
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    return path


SECOND = "stage_list.1.block_list.0.conv1.conv.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({SECOND: None, "stage_list.2.block_list.0.se_fc1.bias": None}, f"tensor {SECOND} is missing"),
        (
            {SECOND: torch.zeros(32, 16, 1)},
            rf"tensor {SECOND} has shape \(32, 16, 1\), the network's is \(32, 32, 1\)",
        ),
        ({"first_conv.conv.weight": torch.zeros(32, 12, 16)}, "for 12 leads, one for 1 is needed"),
        ({SECOND: torch.full((32, 32, 1), torch.nan)}, f"tensor {SECOND} has values that are not finite"),
        ({"stage_list.9.what": torch.zeros(1)}, "tensor stage_list.9.what is none of the network's"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    path = small_file(tmp_path / "weights.pth", **change)
    with pytest.raises(CheckpointError, match=message):
        load_weights(Net1D(small_config(1)), path)


class Opener:
    """What an untrusted pickle may hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def test_files_that_hold_no_tensors_alone_are_refused(tmp_path: Path) -> None:
    net = Net1D(small_config(1))
    with pytest.raises(CheckpointError, match="no such file"):
        load_weights(net, tmp_path / "absent.pth")
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {"a": Opener()}}, path)
    with pytest.raises(CheckpointError, match="tensors alone"):
        load_weights(net, path)
    path.write_bytes(b"not a file of torch")
    with pytest.raises(CheckpointError, match="tensors alone"):
        load_weights(net, path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="neither tensors by name"):
        load_weights(net, path)


@pytest.mark.parametrize(
    ("time", "kernel", "stride"), [(10, 16, 2), (11, 16, 2), (9, 16, 1), (7, 1, 1), (12, 5, 3)]
)
def test_same_convolution_equals_a_loop(time: int, kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    conv = SameConv(4, 6, kernel, stride, groups=2).double()
    signals = torch.randn(1, 4, time, dtype=torch.float64)
    frames = -(-time // stride)
    left = max((frames - 1) * stride + kernel - time, 0) // 2
    weight, bias = conv.conv.weight, conv.conv.bias
    assert bias is not None
    expected = torch.zeros(1, 6, frames, dtype=torch.float64)
    for out in range(6):
        for frame in range(frames):
            value = bias[out].detach().clone()
            for channel in range(2):
                for tap in range(kernel):
                    place = frame * stride + tap - left
                    if 0 <= place < time:
                        value += (
                            weight[out, channel, tap].detach() * signals[0, 2 * (out // 3) + channel, place]
                        )
            expected[0, out, frame] = value
    torch.testing.assert_close(conv(signals).detach(), expected)


@pytest.mark.parametrize("time", [8, 9])
def test_the_shortcut_keeps_the_larger_of_two_samples_between_new_channels_of_zeros(time: int) -> None:
    torch.manual_seed(0)
    block = Block(16, 48, Net1DConfig(), stride=2, at_input=False)
    with torch.no_grad():
        block.conv3.conv.weight.zero_()
        block.conv3.conv.bias.zero_()
    frames = -torch.rand(1, 16, time)
    out = block(frames).detach()
    whole = F.pad(frames, (0, time % 2))  # an odd sample is compared with a zero
    expected = torch.stack([whole[..., ::2], whole[..., 1::2]]).amax(0)
    assert torch.equal(out[:, 16:32], expected)
    assert not out[:, :16].any()
    assert not out[:, 32:].any()


def test_any_length_gives_frames_of_the_total_stride() -> None:
    net = Net1D(small_config(1))
    assert net.total_stride == 256
    for samples, frames in ((1000, 4), (1024, 4), (1025, 5), (100, 1)):
        assert net.frames(torch.zeros(2, 1, samples)).shape == (2, net.features, frames)


def test_widths_that_cannot_be_grouped_are_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="group width"):
        Net1DConfig(filters=(64, 60), blocks=(1, 1))
    with pytest.raises(ValueError, match="stages"):
        Net1DConfig(filters=(64,), blocks=(1, 1))
