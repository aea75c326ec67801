"""The network in int8 arithmetic that can be differentiated: what the device will compute, while training.

Integers are held as float32 values (exact below 2^24: sums of up to 518 products of int8), so that the forward
pass gives the bits of the `fast` family: float32 requantisation, half to even. Gradients pass straight through
rounding and stop where a value is clipped.

Ranges follow the running average of each batch's extremes at first (Jacob et al., "Quantization and training of
neural networks for efficient integer-arithmetic-only inference", arXiv 1712.05877, section 3.1); after that the
scales are learned (Esser et al., "Learned step size quantization", arXiv 1902.08153), here as the logarithm of
their ratio to the scale they start from, which keeps them positive and makes weight decay a pull to the start.
The gradient scale of that paper is left out: AdamW divides it out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.bundle import QuantParams
from edge_mi.checkpoint import Range
from edge_mi.float_model import Weights, head_range
from edge_mi.int8_grid import HIGH, LOW, quant_params, weight_scales
from edge_mi.netspec import NetSpec

EMA_DECAY = 0.9
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Codes:
    """A tensor in int8: `values` are float32 integers, code minus zero point; times `scale` they are real."""

    values: Tensor
    scale: Tensor
    zero_point: int

    @property
    def real(self) -> Tensor:
        """The real numbers that the codes stand for."""
        return self.values * self.scale

    def int8(self) -> NDArray[np.int8]:
        """The codes, same shape."""
        codes: NDArray[np.int8] = (self.values.detach() + self.zero_point).numpy().astype(np.int8)
        return codes


class ActivationRange(nn.Module):
    """Scale and zero point of one tensor: followed, then frozen; from there on the scale is learned.

    Those of `logits` are followed to the end, with a margin, and not learned: what saturates there cannot be
    ranked, and in training the logits wander.
    """

    low: Tensor
    high: Tensor
    seen: Tensor
    frozen: Tensor
    start: Tensor
    zero: Tensor

    def __init__(self, *, logits: bool = False) -> None:
        super().__init__()
        self.logits = logits
        self.register_buffer("low", torch.zeros((), dtype=torch.float64))
        self.register_buffer("high", torch.zeros((), dtype=torch.float64))
        self.register_buffer("seen", torch.tensor(False))
        self.register_buffer("frozen", torch.tensor(False))
        self.register_buffer("start", torch.ones(()))
        self.register_buffer("zero", torch.tensor(0))
        self.growth = nn.Parameter(torch.zeros(()), requires_grad=not logits)

    def follow(self, real: Tensor) -> None:
        """Take the extremes of a batch in, unless frozen."""
        if self.frozen:
            return
        decay = EMA_DECAY if self.seen else 0.0
        for kept, found in ((self.low, real.detach().amin()), (self.high, real.detach().amax())):
            kept.mul_(decay).add_(found.double(), alpha=1 - decay)
        self.seen.fill_(True)
        self._adopt()

    def freeze(self) -> None:
        """End following: the zero point stays, the scale starts to be learned."""
        if not self.frozen:
            self._adopt()  # the averaged extremes, where the state was averaged
            self.frozen.fill_(True)

    def scale_and_zero(self) -> tuple[Tensor, int]:
        """Scale, float32 with its gradient, and zero point, as they are now."""
        scale = self.start * self.growth.exp() if self.frozen else self.start
        return scale, int(self.zero)

    def params(self) -> QuantParams:
        """What export has to find again."""
        scale, zero_point = self.scale_and_zero()
        return QuantParams(scale=float(scale.detach()), zero_point=zero_point)

    def _adopt(self) -> None:
        params = quant_params(self._followed())
        self.start.fill_(params.scale)
        self.zero.fill_(params.zero_point)

    def _followed(self) -> Range:
        low, high = float(self.low), float(self.high)
        if self.logits:
            return head_range(low, high)
        low, high = min(low, 0.0), max(high, 0.0)
        return Range(low=low, high=max(high, low + _SMALLEST))


class FakeQuantNet(nn.Module):
    """`spec` from `weights` with batch norm folded in, and linear side heads that only training uses.

    In training it follows ranges for `warmup_steps` batches and learns scales after that. With `quantised` off
    it is the float network of the same weights.
    """

    steps: Tensor

    def __init__(
        self,
        spec: NetSpec,
        weights: Weights,
        *,
        side_heads: Mapping[str, int] | None = None,
        dropout: float = 0.0,
        warmup_steps: int = 1,
        quantised: bool = True,
    ) -> None:
        super().__init__()
        self.spec, self.quantised, self._warmup_steps = spec, quantised, warmup_steps
        self.weights = nn.ParameterDict(
            {
                layer: nn.Parameter(torch.from_numpy(weight[:, :, None].copy()))
                for layer, (weight, _) in weights.items()
            }
        )
        self.biases = nn.ParameterDict(
            {layer: nn.Parameter(torch.from_numpy(bias.copy())) for layer, (_, bias) in weights.items()}
        )
        self.ranges = nn.ModuleDict(
            {name: ActivationRange(logits=name == "head") for name in ("input", *spec.layer_names)}
        )
        self.dropout = nn.Dropout(dropout)
        self.side = nn.ModuleDict(
            {name: nn.Linear(spec.features, size) for name, size in (side_heads or {}).items()}
        )
        self._strides = {conv.name: conv.stride for conv in spec.convs}
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, signals_mv: Tensor) -> dict[str, Tensor]:
        """`mi` float32 (batch,), the first logit, and each side head (batch, outputs), of (batch, 1, samples)."""
        if self.quantised:
            self._count()
            layers = self.layers(signals_mv)
            features, logits = layers["pool"].real, layers["head"].real
        else:
            features, logits = self._float(signals_mv)
        outputs = {"mi": logits[:, 0, 0, 0]}
        outputs.update({name: head(features.flatten(1)) for name, head in self.side.items()})
        return outputs

    def layers(self, signals_mv: Tensor) -> dict[str, Codes]:
        """Every layer's int8 output (batch, channels, 1, time), that of the mean over frames as `pool`.

        In training the mean has gone through dropout.
        """
        current = self._quantise(signals_mv[:, :, None].contiguous(memory_format=torch.channels_last))
        found = {"input": current}
        for conv in self.spec.convs:
            current = found[conv.name] = self._conv(conv.name, current)
        frames = current.values.shape[3]
        mean = self.dropout(_round(current.values.sum(3, keepdim=True) / frames))
        found["pool"] = Codes(mean, current.scale, current.zero_point)
        found["head"] = self._conv("head", found["pool"])
        return found

    def int8_layers(self, signals_mv: Tensor) -> dict[str, NDArray[np.int8]]:
        """Codes int8 (batch, time, channels) of every layer, as `layers` names them."""
        with torch.no_grad():
            return {
                name: codes.int8()[:, :, 0].transpose(0, 2, 1)
                for name, codes in self.layers(signals_mv).items()
            }

    def freeze(self) -> None:
        """End following ranges; to be called after training."""
        for each in self._ranges().values():
            each.freeze()

    def params(self) -> dict[str, QuantParams]:
        """Scale and zero point of `input` and of every layer's output."""
        return {name: each.params() for name, each in self._ranges().items()}

    def float_weights(self) -> Weights:
        """Layer -> (weight (out, in, kernel), bias (out,)), float32: what the int8 weights are made of."""
        return {
            layer: (
                self.weights[layer].detach().numpy()[:, :, 0].copy(),
                self.biases[layer].detach().numpy().copy(),
            )
            for layer in self.spec.layer_names
        }

    def _ranges(self) -> dict[str, ActivationRange]:
        return {name: each for name, each in self.ranges.items() if isinstance(each, ActivationRange)}

    def _count(self) -> None:
        if not self.training:
            return
        if int(self.steps) == self._warmup_steps:
            for each in self._ranges().values():
                if not each.logits:
                    each.freeze()
        self.steps += 1

    def _quantise(self, real: Tensor) -> Codes:
        span = self._ranges()["input"]
        if self.training:
            span.follow(real)
        scale, zero = span.scale_and_zero()
        # float64, as the device divides
        values = _round(real.double() / scale.double()).float().clamp(LOW - zero, HIGH - zero)
        return Codes(values, scale, zero)

    def _conv(self, name: str, source: Codes) -> Codes:
        weight, bias = self.weights[name], self.biases[name]
        scales = torch.from_numpy(
            weight_scales(
                weight.detach().numpy()[:, :, 0], bias.detach().numpy(), float(source.scale.detach())
            )
        )
        codes = _round(weight.double() / scales.double()[:, None, None, None]).clamp(-HIGH, HIGH).float()
        sum_scale = source.scale * scales
        sums = F.conv2d(
            source.values,
            codes,
            _round(bias.double() / sum_scale.double()).float(),
            (1, self._strides.get(name, 1)),
        )
        relu, span = name != "head", self._ranges()[name]
        if self.training:
            real = (sums * sum_scale[:, None, None]).detach()
            span.follow(real.relu() if relu else real)
        scale, zero = span.scale_and_zero()
        values = _round(sums * (sum_scale / scale)[:, None, None])
        # ReLU is the clamp at the zero point
        return Codes(values.clamp(0 if relu else LOW - zero, HIGH - zero), scale, zero)

    def _float(self, signals_mv: Tensor) -> tuple[Tensor, Tensor]:
        x = signals_mv[:, :, None].contiguous(memory_format=torch.channels_last)
        for conv in self.spec.convs:
            x = F.conv2d(x, self.weights[conv.name], self.biases[conv.name], (1, conv.stride)).relu()
        features = self.dropout(x.mean(3, keepdim=True))
        return features, F.conv2d(features, self.weights["head"], self.biases["head"])


class _RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


def _round(x: Tensor) -> Tensor:
    """Half to even; the gradient passes as if nothing had been rounded."""
    result: Tensor = _RoundThrough.apply(x)  # type: ignore[no-untyped-call]
    return result
