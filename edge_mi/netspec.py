"""The network as data: the one description that training, quantisation and every writer share.

`PatchNet` is a chain of strided convolutions without padding in time, each with ReLU, a mean over the
frames, and a 1x1 convolution to the logits. Each restriction buys an equality that a test holds: no padding
and no operation over time before the mean make incremental inference equal to the whole window; an odd
number of frames leaves the mean without ties, on which runtimes round differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

MAX_PARAMETERS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """A convolution over time without padding, batch norm folded in, followed by ReLU."""

    name: str
    in_channels: int
    out_channels: int
    kernel: int
    stride: int

    def __post_init__(self) -> None:
        for value in (self.in_channels, self.out_channels, self.kernel, self.stride):
            if value < 1:
                raise ValueError(f"layer {self.name}: sizes must be positive, found {value}")

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.out_channels * (self.in_channels * self.kernel + 1)

    def out_length(self, length: int) -> int:
        """Length of the output for an input of `length` samples."""
        return (length - self.kernel) // self.stride + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NetSpec:
    """A `PatchNet`: convolutions, mean over frames, linear head.

    window_samples and hop_samples count samples at rate_hz. outputs names the logits in order.
    Raises ValueError where the parts do not fit together or break a restriction of the family.
    """

    name: str
    rate_hz: int
    window_samples: int
    hop_samples: int
    convs: tuple[Conv, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.rate_hz < 1 or self.hop_samples < 1:
            raise ValueError(
                f"a rate of {self.rate_hz} Hz and a hop of {self.hop_samples} samples; expected more than 0"
            )
        if not self.convs or not self.outputs:
            raise ValueError("a network needs at least one convolution and one output")
        channels = 1
        for conv in self.convs:
            if conv.in_channels != channels:
                raise ValueError(
                    f"layer {conv.name}: {channels} channels arrive, {conv.in_channels} expected"
                )
            channels = conv.out_channels
        if len({*self.layer_names}) != len(self.layer_names):
            raise ValueError("layer names must differ")
        if self.hop_samples % self.total_stride:
            raise ValueError(
                f"hop of {self.hop_samples} samples is no multiple of the stride {self.total_stride}"
            )
        if self.hop_frames > self.frames:
            raise ValueError(
                f"hop of {self.hop_samples} samples brings {self.hop_frames} frames, a window has {self.frames}"
            )
        if (self.window_samples - self.receptive_field) % self.total_stride or self.frames < 1:
            raise ValueError(
                f"window of {self.window_samples} samples is not {self.receptive_field} + n * {self.total_stride}"
            )
        if self.frames % 2 == 0:
            raise ValueError(f"the number of frames must be odd, found {self.frames}")

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers that have weights, input side first."""
        return (*(conv.name for conv in self.convs), "head")

    @property
    def features(self) -> int:
        """Channels after the last convolution: the length of the embedding."""
        return self.convs[-1].out_channels

    @property
    def total_stride(self) -> int:
        """Samples between two frames."""
        return prod(conv.stride for conv in self.convs)

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees."""
        field, jump = 1, 1
        for conv in self.convs:
            field += (conv.kernel - 1) * jump
            jump *= conv.stride
        return field

    @property
    def frames(self) -> int:
        """Frames in one window."""
        return (self.window_samples - self.receptive_field) // self.total_stride + 1

    @property
    def hop_frames(self) -> int:
        """New frames with every hop."""
        return self.hop_samples // self.total_stride

    @property
    def front_samples(self) -> int:
        """Samples that the new frames of a hop see."""
        return self.receptive_field + (self.hop_frames - 1) * self.total_stride

    @property
    def parameters(self) -> int:
        """Weights and biases of all layers."""
        return sum(conv.parameters for conv in self.convs) + len(self.outputs) * (self.features + 1)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Time steps after each convolution for one window."""
        return self.lengths_for(self.window_samples)

    def lengths_for(self, samples: int) -> tuple[int, ...]:
        """Time steps after each convolution for an input of `samples`."""
        lengths, length = [], samples
        for conv in self.convs:
            length = conv.out_length(length)
            lengths.append(length)
        return tuple(lengths)

    @property
    def macs_window(self) -> int:
        """Multiply-accumulates for one whole window."""
        return sum(self.macs_for(self.window_samples))

    @property
    def macs_hop(self) -> int:
        """Multiply-accumulates for one hop, its new frames and the head."""
        return sum(self.macs_for(self.front_samples))

    def macs_for(self, samples: int) -> tuple[int, ...]:
        """Multiply-accumulates of each layer, the head last, for an input of `samples`."""
        convs = (
            length * conv.out_channels * conv.in_channels * conv.kernel
            for conv, length in zip(self.convs, self.lengths_for(samples), strict=True)
        )
        return (*convs, self.features * len(self.outputs))

    @property
    def macs_with_state(self) -> int:
        """Multiply-accumulates for one hop where every layer keeps the inputs that its next output shares."""
        jump, total = 1, self.features * len(self.outputs)
        for conv in self.convs:
            jump *= conv.stride
            total += self.hop_samples // jump * conv.out_channels * conv.in_channels * conv.kernel
        return total

    @property
    def window_s(self) -> float:
        """Length of the window in seconds."""
        return self.window_samples / self.rate_hz

    @property
    def hop_s(self) -> float:
        """Time between two decisions in seconds."""
        return self.hop_samples / self.rate_hz

    def weight_shape(self, layer: str) -> tuple[int, int, int]:
        """Shape (out, in, kernel) of the weights of `layer`."""
        for conv in self.convs:
            if conv.name == layer:
                return conv.out_channels, conv.in_channels, conv.kernel
        if layer != "head":
            raise ValueError(f"no layer is named {layer}")
        return len(self.outputs), self.features, 1


def patchnet(
    layers: tuple[tuple[int, int, int], ...],
    *,
    name: str,
    rate_hz: int = 100,
    frames: int = 39,
    hop_s: float = 1.0,
    outputs: tuple[str, ...] = ("mi",),
) -> NetSpec:
    """Build a NetSpec from (kernel, stride, out_channels) triples and a number of frames."""
    convs, channels, field, jump = [], 1, 1, 1
    for i, (kernel, stride, out) in enumerate(layers, start=1):
        convs.append(
            Conv(name=f"conv{i}", in_channels=channels, out_channels=out, kernel=kernel, stride=stride)
        )
        field += (kernel - 1) * jump
        jump *= stride
        channels = out
    return NetSpec(
        name=name,
        rate_hz=rate_hz,
        window_samples=field + jump * (frames - 1),
        hop_samples=round(hop_s * rate_hz),
        convs=tuple(convs),
        outputs=outputs,
    )


def _sized(name: str, channels: tuple[int, int, int, int, int]) -> NetSpec:
    """One size of the family: the kernels and strides, so window, hop and receptive field, are those of all."""
    layers = tuple(
        (k, s, c) for (k, s), c in zip(((15, 2), (9, 2), (9, 5), (5, 1), (5, 1)), channels, strict=True)
    )
    return patchnet(layers, name=f"patchnet-{name}")


PATCHNET_S: Final = _sized("67k", (24, 32, 64, 64, 64))
# widths are multiples of four, which is what the kernels of a Cortex-M take at a time
SIZES: Final = {
    "15k": _sized("15k", (12, 16, 32, 28, 28)),
    "50k": _sized("50k", (20, 28, 56, 56, 52)),
    "67k": PATCHNET_S,
    "100k": _sized("100k", (28, 40, 80, 76, 76)),
}
SHIPPED_SIZE: Final = "67k"
