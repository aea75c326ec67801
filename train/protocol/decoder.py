"""From an encoder's frames back to signals."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .encoders import Encoder

HIDDEN: Final = 64


class Decoder(nn.Module):
    """Frames to `leads` signals in millivolts; neighbouring frames overlap, so that there is no seam."""

    def __init__(self, encoder: Encoder, leads: int) -> None:
        super().__init__()
        self._stride, self._offset = encoder.stride, encoder.offset
        self.mix = nn.Conv2d(encoder.features, HIDDEN, (1, 3), padding=(0, 1))
        # each frame writes over its own samples and as many around them
        self.write = nn.Linear(HIDDEN, 2 * self._stride * leads)
        self._leads = leads

    def forward(self, frames: Tensor, samples: int | None = None) -> Tensor:
        """Millivolts float32 (batch, leads, time * stride) of frames (batch, features, time).

        samples: of the input, beyond which nothing is written; a padded encoder has frames that reach out of it.
        """
        hidden = torch.relu(self.mix(frames[:, :, None]))[:, :, 0]
        written = self.write(hidden.transpose(1, 2)).unflatten(2, (self._leads, 2, self._stride))
        first, second = written.permute(3, 0, 2, 1, 4).flatten(3)
        total = F.pad(first, (0, self._stride)) + F.pad(second, (self._stride, 0))
        half = self._stride // 2
        length = first.shape[2] if samples is None else min(first.shape[2], samples - self._offset)
        return total[:, :, half : half + length]

    def span(self, samples: int) -> slice:
        """Which samples of the encoder's input `samples` of the output stand for."""
        return slice(self._offset, self._offset + samples)
