"""Net1D, the encoder of ECGFounder and of the paper's form of SelfMIS, for any number of leads.

A convolution and seven stages halve the time eight times in all; each block is a bottleneck of three
convolutions, the middle one grouped, with squeeze-and-excitation and a shortcut. Li et al., "An
electrocardiogram foundation model built on over 10 million recordings", arXiv 2410.04133. Names and shapes of
the tensors are those of its public checkpoints, so that these load (`net1d_file.py`). ECGFounder switches batch
norm off and yet keeps its tensors: they are here too, fixed and unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Net1DConfig:
    """Widths of a Net1D: `filters` and `blocks` of each stage, `first` channels before them.

    group_width: channels that a group of the middle convolution sees. outputs: size of the linear head.
    """

    leads: int = 1
    outputs: int = 1
    first: int = 64
    filters: tuple[int, ...] = (64, 160, 160, 400, 400, 1024, 1024)
    blocks: tuple[int, ...] = (2, 2, 2, 3, 3, 4, 4)
    kernel: int = 16
    stride: int = 2
    group_width: int = 16

    def __post_init__(self) -> None:
        if len(self.filters) != len(self.blocks):
            raise ValueError(f"{len(self.filters)} widths for {len(self.blocks)} stages")
        if any(width % self.group_width for width in self.filters):
            raise ValueError(f"widths {self.filters} are not multiples of the group width {self.group_width}")


# about a million parameters, for processors and tests
SMALL_FILTERS: Final = (32, 32, 64, 64, 128, 208, 208)
SMALL_BLOCKS: Final = (1, 1, 1, 1, 2, 2, 2)
SMALL_FIRST: Final = 32


def small_config(leads: int, outputs: int = 1) -> Net1DConfig:
    """The small preset of the same family."""
    return Net1DConfig(
        leads=leads, outputs=outputs, first=SMALL_FIRST, filters=SMALL_FILTERS, blocks=SMALL_BLOCKS
    )


class Net1D(nn.Module):
    """The network of `config`."""

    def __init__(self, config: Net1DConfig) -> None:
        super().__init__()
        self.config = config
        self.first_conv = SameConv(config.leads, config.first, config.kernel, config.stride)
        self.first_bn = _unused_norm(config.first)
        self.stage_list = nn.ModuleList()
        width = config.first
        for place, (filters, blocks) in enumerate(zip(config.filters, config.blocks, strict=True)):
            self.stage_list.append(Stage(width, filters, blocks, config, at_input=place == 0))
            width = filters
        self.dense = nn.Linear(width, config.outputs)

    @property
    def features(self) -> int:
        """Length of the embedding."""
        return self.config.filters[-1]

    @property
    def total_stride(self) -> int:
        """Samples between two frames."""
        return int(self.config.stride ** (1 + len(self.config.filters)))

    def frames(self, signals: Tensor) -> Tensor:
        """Frames (batch, features, time / total_stride, rounded up) of signals float32 (batch, leads, time)."""
        frames: Tensor = F.silu(self.first_conv(signals))
        for stage in self.stage_list:
            frames = stage(frames)
        return frames

    def embed(self, signals: Tensor) -> Tensor:
        """Mean over the frames, float32 (batch, features)."""
        return self.frames(signals).mean(-1)

    def forward(self, signals: Tensor) -> Tensor:
        """Logits float32 (batch, outputs)."""
        logits: Tensor = self.dense(self.embed(signals))
        return logits


class SameConv(nn.Module):
    """A convolution whose output has time / stride samples, rounded up.

    It pads zeros; where their number is odd, as with an even kernel at stride 1, the one more is at the end.
    """

    def __init__(self, channels: int, filters: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, filters, kernel, stride=stride, groups=groups)
        self._kernel, self._stride = kernel, stride

    def forward(self, signals: Tensor) -> Tensor:
        """Float32 (batch, channels, time) to (batch, filters, time / stride)."""
        time = signals.shape[-1]
        padding = max((-(-time // self._stride) - 1) * self._stride + self._kernel - time, 0)
        filtered: Tensor = self.conv(F.pad(signals, (padding // 2, padding - padding // 2)))
        return filtered


class Stage(nn.Module):
    """Blocks of one width; the first of them strides."""

    def __init__(
        self, channels: int, filters: int, blocks: int, config: Net1DConfig, *, at_input: bool
    ) -> None:
        super().__init__()
        self.block_list = nn.ModuleList(
            Block(
                filters if place else channels,
                filters,
                config,
                stride=1 if place else config.stride,
                at_input=at_input and place == 0,
            )
            for place in range(blocks)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Through every block."""
        for block in self.block_list:
            frames = block(frames)
        return frames


class Block(nn.Module):
    """1x1, grouped, 1x1 convolution, Swish before each; channels reweighted; plus the shortcut.

    at_input: what arrives was activated already, so the first Swish is left out.
    """

    def __init__(
        self, channels: int, filters: int, config: Net1DConfig, *, stride: int, at_input: bool
    ) -> None:
        super().__init__()
        self.bn1, self.conv1 = _unused_norm(channels), SameConv(channels, filters, 1, 1)
        self.bn2 = _unused_norm(filters)
        self.conv2 = SameConv(filters, filters, config.kernel, stride, groups=filters // config.group_width)
        self.bn3, self.conv3 = _unused_norm(filters), SameConv(filters, filters, 1, 1)
        self.se_fc1 = nn.Linear(filters, filters // 2)
        self.se_fc2 = nn.Linear(filters // 2, filters)
        self._stride, self._at_input = stride, at_input
        self._new_channels = filters - channels

    def forward(self, frames: Tensor) -> Tensor:
        """Float32 (batch, channels, time) to (batch, filters, time / stride)."""
        inside = self.conv1(frames if self._at_input else F.silu(frames))
        inside = self.conv3(F.silu(self.conv2(F.silu(inside))))
        weights = torch.sigmoid(self.se_fc2(F.silu(self.se_fc1(inside.mean(-1)))))
        weighted: Tensor = inside * weights[:, :, None]
        return weighted + self._shortcut(frames)

    def _shortcut(self, frames: Tensor) -> Tensor:
        """What arrived, the largest of each `stride` samples, between channels of zeros."""
        if self._stride > 1:
            # a zero at the end completes the last group, and takes part in its maximum
            frames = F.max_pool1d(F.pad(frames, (0, self._stride - 1)), self._stride)
        if self._new_channels:
            before = self._new_channels // 2
            frames = F.pad(frames, (0, 0, before, self._new_channels - before))
        return frames


def _unused_norm(channels: int) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(channels)
    for parameter in norm.parameters():
        parameter.requires_grad_(False)
    return norm
