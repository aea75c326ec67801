"""Batches of stored records, cropped, scaled and with noise; randomness from torch's global generator.

Polarity, stretch, rotation and wander were measured and left out: no gain, and random polarity costs .016.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edge_mi.store import CODES_PER_MV, MISSING_CODE, WindowStore

from .config import AugmentConfig
from .device.batch import DeviceSimulation, signal_powers
from .device.config import DeviceConfig
from .device.noise import NoiseTracks


class SignalTable:
    """Signals of a store in memory as int16, some leads of every record; millivolts come out a batch at a time.

    A missing sample is 0 mV, where a filtered signal rests; `present` says which those are.
    """

    def __init__(self, store: WindowStore, leads: tuple[str, ...]) -> None:
        columns = [store.lead_index(lead) for lead in leads]
        self._codes = torch.from_numpy(np.asarray(store.codes[:, columns]))
        self._rate_hz = store.manifest.rate_hz
        self._device: DeviceSimulation | None = None

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

    def put_on(self, config: DeviceConfig, noise: NoiseTracks) -> None:
        """Let augmented views pass through a patch from now on. Raises ConfigError where its noise is missing."""
        everyone = torch.arange(len(self._codes))
        powers = signal_powers(self.records_mv(everyone).numpy(), self._rate_hz)
        self._device = DeviceSimulation(config, noise, powers, self._rate_hz)

    def records_mv(self, rows: Tensor) -> Tensor:
        """Whole records, float32 (len(rows), leads, samples), millivolts."""
        return _millivolts(self._codes[rows])

    def present(self, rows: Tensor) -> Tensor:
        """Which samples of `records_mv` the source has, bool (len(rows), leads, samples)."""
        return self._codes[rows] != MISSING_CODE

    def augmented_mv(self, rows: Tensor, config: AugmentConfig, lead: Tensor | None = None) -> Tensor:
        """One random view of each record, float32 (len(rows), leads, crop), millivolts; noise everywhere.

        lead: position of the one lead of each record that is seen, int64 (len(rows),); None for all leads.
        """
        device = self._device
        if (device.config if device else None) != config.device:
            raise ValueError("views of another patch than the table was put on")
        codes = self._codes[rows] if lead is None else self._codes[rows, lead][:, None]
        count, leads = codes.shape[:2]
        crop = min(config.crop_samples, self.samples)
        span = crop if device is None else min(device.span(crop), self.samples)
        starts = torch.randint(0, self.samples - span + 1, (count, 1, 1))
        if device is None:
            views = _millivolts(codes.gather(2, (starts + torch.arange(crop)).expand(-1, leads, -1)))
        else:
            views = device.views(_millivolts(codes), starts, crop)
        gain = torch.exp((2 * torch.rand(count, 1, 1) - 1) * config.log_gain)
        noise_mv = config.noise_mv * torch.rand(count, 1, 1) * torch.randn_like(views)
        if device is None:
            return views * gain + noise_mv
        powers = device.powers[rows] if lead is None else device.powers[rows, lead][:, None]
        return device.sensed_mv(views * gain, powers, gain) + noise_mv


def _millivolts(codes: Tensor) -> Tensor:
    return codes.masked_fill(codes == MISSING_CODE, 0).float() / CODES_PER_MV
