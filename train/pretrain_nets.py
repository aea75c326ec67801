"""The modules of pre-training at scale: encoders by name, how a signal enters them, and what each stage learns."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from scipy.signal import firwin
from torch import Tensor, nn

from edge_mi.netspec import SIZES

from .distributed import ALONE, World, gather_rows, mean_count
from .losses.reconstruction import reconstruction_loss
from .net1d import Net1D, Net1DConfig, small_config
from .net1d_file import HEADS
from .patchnet import PatchNet

Encoder: TypeAlias = Net1D | PatchNet
InputForm: TypeAlias = Literal["mv", "zscore"]

TEACHERS: Final = ("net1d", "net1d-small")

ZSCORE_RATE_HZ: Final = 500
SMALLEST_DEVIATION: Final = 1e-8
TAPS_A_PHASE: Final = 20


def make_encoder(name: str, *, leads: int = 1, outputs: int = 1) -> Encoder:
    """An encoder with fresh weights; the sizes of PatchNet take one lead."""
    if name == "net1d":
        return Net1D(Net1DConfig(leads=leads, outputs=outputs))
    if name == "net1d-small":
        return Net1D(small_config(leads, outputs))
    if leads != 1:
        raise ValueError(f"{name} takes one lead, not {leads}")
    return PatchNet(SIZES[name])


def features_of(encoder: Encoder) -> int:
    """Length of the embedding."""
    return encoder.features if isinstance(encoder, Net1D) else encoder.spec.features


def body_of(encoder: Encoder) -> dict[str, Tensor]:
    """Tensors of the encoder without its heads."""
    return {name: value for name, value in encoder.state_dict().items() if not name.startswith(HEADS)}


def freeze_heads(encoder: Encoder) -> None:
    """Leave out of training what no embedding depends on."""
    for name, parameter in encoder.named_parameters():
        if name.startswith(HEADS):
            parameter.requires_grad_(False)


class SignalInput(nn.Module):
    """Millivolts as an encoder wants them.

    `mv`: as they are (contract C1). `zscore`: the convention of ECGFounder's checkpoints, mean 0 and deviation 1
    over everything that enters, all leads together, at 500 Hz. Of its chain the notch and the running median of
    0.4 s are not reproduced: the store's own filter stays.
    """

    taps: Tensor

    def __init__(self, form: InputForm, rate_hz: int) -> None:
        super().__init__()
        self._form = form
        self._factor = ZSCORE_RATE_HZ // rate_hz
        if form == "zscore" and self._factor * rate_hz != ZSCORE_RATE_HZ:
            raise ValueError(f"{ZSCORE_RATE_HZ} Hz is no multiple of {rate_hz} Hz")
        reach = self._factor * TAPS_A_PHASE
        taps = firwin(2 * reach + 1, 1 / max(self._factor, 1)) * self._factor if self._factor > 1 else [1.0]
        self.register_buffer("taps", torch.tensor(taps, dtype=torch.float32)[None, None], persistent=False)

    def forward(self, signals_mv: Tensor, present: Tensor) -> Tensor:
        """Float32 (n, leads, samples), missing samples 0, and where they are not missing."""
        if self._form == "mv":
            return signals_mv
        count = present.sum((1, 2), keepdim=True).clamp(min=1)
        mean = signals_mv.sum((1, 2), keepdim=True) / count
        centred = (signals_mv - mean).masked_fill(~present, 0.0)
        deviation = (centred.square().sum((1, 2), keepdim=True) / count).sqrt()
        return self._faster(centred / (deviation + SMALLEST_DEVIATION))

    def _faster(self, signals: Tensor) -> Tensor:
        if self._factor == 1:
            return signals
        n, leads, samples = signals.shape
        reach = self._factor * TAPS_A_PHASE
        # each sample spreads its kernel; the ends, where the kernel reaches out of the record, are cut off
        spread = F.conv_transpose1d(signals.reshape(n * leads, 1, samples), self.taps, stride=self._factor)
        return spread[..., reach : reach + samples * self._factor].reshape(n, leads, -1)


class SelfAligner(nn.Module):
    """The single-lead encoder, and the loss between its cuts and the teacher's records, over the whole batch.

    Where the two embeddings differ in size a linear map brings the student's to the teacher's; the teacher's is
    left as it is.
    """

    def __init__(
        self, encoder: Encoder, aim: int, loss: nn.Module, world: World, *, compiled: bool = False
    ) -> None:
        super().__init__()
        freeze_heads(encoder)
        features = features_of(encoder)
        self.encoder, self.loss, self._world = encoder, loss, world
        self.to_aim = nn.Identity() if features == aim else nn.Linear(features, aim)
        # the bound method, not the module: names of its tensors stay as they are
        self._embed = torch.compile(encoder.embed) if compiled else encoder.embed

    def forward(self, cuts: Tensor, aims: Tensor) -> Tensor:
        """Loss of cuts (n, 1, samples) against embeddings (n, aim) of their records, both the own share."""
        u = self.to_aim(self._embed(cuts))
        # sums over a large batch need all digits, whatever the encoder computes in
        with torch.autocast(cuts.device.type, enabled=False):
            everyone = gather_rows(u.float(), self._world), gather_rows(aims.float(), self._world)
            loss: Tensor = self.loss(*everyone)
        return loss


class TaughtTeacher(nn.Module):
    """The multi-lead encoder with one linear head for MI, the statements (`codes` of them), age and sex."""

    def __init__(self, name: str, leads: int, codes: int) -> None:
        super().__init__()
        self.encoder = make_encoder(name, leads=leads, outputs=1 + codes + 2)
        self._codes = codes

    def forward(self, signals: Tensor) -> dict[str, Tensor]:
        """`mi` float32 (n,), `codes` (n, codes) where there are any, `person` (n, 2)."""
        logits = self.encoder(signals).float()
        outputs = {"mi": logits[:, 0], "person": logits[:, -2:]}
        if self._codes:
            outputs["codes"] = logits[:, 1:-2]
        return outputs


class MaskedLeads(nn.Module):
    """The multi-lead encoder learns without labels: it sees some leads and says what the hidden ones hold.

    Each frame is mapped linearly to the samples that it stands for, in all leads.
    """

    def __init__(self, name: str, leads: int, world: World = ALONE) -> None:
        super().__init__()
        encoder = make_encoder(name, leads=leads)
        assert isinstance(encoder, Net1D)
        freeze_heads(encoder)
        self.encoder, self._leads, self._world = encoder, leads, world
        self.decoder = nn.Conv1d(encoder.features, leads * encoder.total_stride, 1)

    def forward(self, signals: Tensor, present: Tensor, draws: Tensor) -> Tensor:
        """Squared error at hidden samples, of signals (n, leads, samples) that enter as they are, the own share.

        draws: random bits, int64 (n,); bit i hides lead i.
        """
        hidden = hidden_leads(draws, self._leads)[:, :, None]
        frames = self.encoder.frames(signals.masked_fill(hidden, 0.0))
        n, _, time = frames.shape
        output = (
            self.decoder(frames).reshape(n, self._leads, -1, time).transpose(2, 3).reshape(n, self._leads, -1)
        )
        output = output[..., : signals.shape[-1]].float()
        if present.shape[-1] != signals.shape[-1]:  # the input form changed the rate
            present = present.repeat_interleave(signals.shape[-1] // present.shape[-1], dim=-1)
        counted = hidden & present
        return reconstruction_loss(output, signals, counted, mean_count(counted, self._world))


def hidden_leads(draws: Tensor, leads: int) -> Tensor:
    """Which leads of each record are hidden, bool (n, leads): about half, never none and never all."""
    bits = torch.arange(leads, device=draws.device)
    hidden = (draws[:, None] >> bits) & 1 == 1
    one = bits == ((draws >> leads) % leads)[:, None]
    uniform = (hidden.all(1) | ~hidden.any(1))[:, None]
    return torch.where(uniform, hidden ^ one, hidden)
