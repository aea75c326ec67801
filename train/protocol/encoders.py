"""The encoders that a configuration can name; every method trains the one that it names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.netspec import SIZES, NetSpec

from ..augment import SignalTable
from ..batches import in_batches
from ..filters import MODEL_RATE_HZ
from ..fit import seed_torch
from ..net1d import Net1D, Net1DConfig, small_config
from ..patchnet import conv_stack, frames_of
from ..pretrain_nets import InputForm, SignalInput

_BEGIN: Final = "begin."
# end of the names of encoders that want ECGFounder's convention instead of millivolts
ZSCORE: Final = "-zscore"


class Encoder(nn.Module, ABC):
    """Leads to features: a row of frames, and their mean.

    features: channels of a frame. Frame i stands for the `stride` samples from `offset` + i * `stride` on; a stride of 0
    says that frames lie no whole number of samples apart, so that nothing can be decoded from them.
    """

    features: int
    stride: int
    offset: int

    @property
    def body(self) -> nn.Module:
        """The module whose tensors have the names of checkpoints."""
        return self

    @abstractmethod
    def frames(self, signals_mv: Tensor) -> Tensor:
        """Frames float32 (batch, features, time) of millivolts (batch, leads, samples)."""

    def forward(self, signals_mv: Tensor) -> Tensor:
        """Features float32 (batch, features) of millivolts (batch, leads, samples)."""
        return self.frames(signals_mv).mean(-1)


class PatchEncoder(Encoder):
    """The convolutions of a `PatchNet`, for any number of leads."""

    def __init__(self, spec: NetSpec, leads: int) -> None:
        super().__init__()
        self.features, self.stride = spec.features, spec.total_stride
        self.offset = (spec.receptive_field - spec.total_stride) // 2
        layers = ((conv.kernel, conv.stride, conv.out_channels) for conv in spec.convs)
        self.stack = conv_stack(leads, layers)

    def frames(self, signals_mv: Tensor) -> Tensor:
        """See `Encoder`."""
        return frames_of(self.stack, signals_mv)


class Net1DEncoder(Encoder):
    """A `Net1D` without its head; what enters it is millivolts or ECGFounder's convention (`SignalInput`).

    Missing samples are 0 mV here and count in a z-score, other than in `edge-mi train pretrain`.
    """

    def __init__(self, config: Net1DConfig, form: InputForm) -> None:
        super().__init__()
        self.net = Net1D(config)
        del self.net.dense
        self.features, self.offset = self.net.features, 0
        self.stride = self.net.total_stride if form == "mv" else 0
        self.input = SignalInput(form, MODEL_RATE_HZ)

    @property
    def body(self) -> nn.Module:
        """See `Encoder`."""
        return self.net

    def frames(self, signals_mv: Tensor) -> Tensor:
        """See `Encoder`."""
        return self.net.frames(self.input(signals_mv, torch.ones_like(signals_mv, dtype=torch.bool)))


def _net1d(form: InputForm, leads: int) -> Encoder:
    return Net1DEncoder(Net1DConfig(leads=leads), form)


def _net1d_small(form: InputForm, leads: int) -> Encoder:
    return Net1DEncoder(small_config(leads), form)


ENCODERS: Final[dict[str, Callable[[int], Encoder]]] = {
    **{spec.name: partial(PatchEncoder, spec) for spec in SIZES.values()},
    "net1d": partial(_net1d, "mv"),
    "net1d-small": partial(_net1d_small, "mv"),
    f"net1d{ZSCORE}": partial(_net1d, "zscore"),
    f"net1d-small{ZSCORE}": partial(_net1d_small, "zscore"),
}


def samples_needed(name: str) -> int:
    """The fewest samples that the encoder `name` makes a frame of; those that pad take any number."""
    return next((spec.receptive_field for spec in SIZES.values() if spec.name == name), 1)


def make_encoder(name: str, leads: int, seed: int) -> Encoder:
    """The encoder `name` as the generator of `seed` initialises it: the same for every method."""
    seed_torch(seed)
    return ENCODERS[name](leads)


def load_state(encoder: Encoder, state: Mapping[str, NDArray[Any]]) -> None:
    """Give the encoder a state, tensor name -> array; an empty one leaves it as it is."""
    if state:
        encoder.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})


def beginning(state: Mapping[str, NDArray[Any]] | None) -> dict[str, NDArray[Any]]:
    """A state that an encoder begins with as inputs of a part, beside others."""
    return {f"{_BEGIN}{name}": value for name, value in (state or {}).items()}


def begun(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The state that `beginning` put among the inputs of a part; empty for none."""
    return {name.removeprefix(_BEGIN): value for name, value in inputs.items() if name.startswith(_BEGIN)}


def features_of(
    encoder: Encoder, signals: SignalTable, change: Callable[[Tensor], Tensor] = lambda records_mv: records_mv
) -> NDArray[np.float32]:
    """Features float32 (records, features) of every record, whole, after `change` of its millivolts."""
    encoder.eval()
    return in_batches(np.arange(len(signals)), lambda batch: encoder(change(signals.records_mv(batch))))


def count_parameters(*modules: nn.Module) -> int:
    """Weights and biases of `modules` with batch norm folded into the convolutions."""
    count = 0
    for module in (part for each in modules for part in each.modules()):
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            continue
        count += sum(p.numel() for p in module.parameters(recurse=False))
        if isinstance(module, nn.Conv1d | nn.Conv2d) and module.bias is None:
            count += module.out_channels
    return count
