"""Batches of stored records, cropped, scaled and with noise; randomness from torch's global generator.

Polarity, stretch, rotation and wander were measured and left out: no gain, and random polarity costs .016.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edge_mi.store import CODES_PER_MV, WindowStore

from .config import AugmentConfig


class SignalTable:
    """Signals of a store in memory as int16, some leads of every record; millivolts come out a batch at a time."""

    def __init__(self, store: WindowStore, leads: tuple[str, ...]) -> None:
        columns = [store.lead_index(lead) for lead in leads]
        self._codes = torch.from_numpy(np.array(store.codes[:, columns]))

    def __len__(self) -> int:
        """Records in the table."""
        return len(self._codes)

    @property
    def leads(self) -> int:
        """Leads of a record."""
        return self._codes.shape[1]

    @property
    def samples(self) -> int:
        """Samples of a record."""
        return self._codes.shape[2]

    def records_mv(self, rows: Tensor) -> Tensor:
        """Whole records, float32 (len(rows), leads, samples), millivolts."""
        return self._codes[rows].float() / CODES_PER_MV

    def augmented_mv(self, rows: Tensor, config: AugmentConfig) -> Tensor:
        """One random view of each record, float32 (len(rows), leads, crop), millivolts."""
        count = len(rows)
        crop = min(config.crop_samples, self.samples)
        starts = torch.randint(0, self.samples - crop + 1, (count, 1, 1))
        index = (starts + torch.arange(crop)).expand(-1, self._codes.shape[1], -1)
        views = self._codes[rows].gather(2, index).float() / CODES_PER_MV
        gain = torch.exp((2 * torch.rand(count, 1, 1) - 1) * config.log_gain)
        noise_mv = config.noise_mv * torch.rand(count, 1, 1) * torch.randn_like(views)
        return views * gain + noise_mv
