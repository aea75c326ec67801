"""The one training loop: teacher, alignment and student all pass through it.

Each epoch draws from its own seed, so that a run that was killed goes on from its last epoch to the same
weights. Bytes are equal on the same processor type, thread count and versions (contract C9).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .config import FitConfig

SEEDS_PER_RUN = 10_000


def prepare_torch(threads: int = 1) -> None:
    """Make torch deterministic, on `threads` threads, without denormals (ten times slower near zero)."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)


def seed_torch(seed: int, epoch: int = -1) -> None:
    """Seed torch's generator for one epoch of a run; -1 is the initialisation."""
    torch.manual_seed(seed * SEEDS_PER_RUN + epoch + 1)


def fit(
    module: nn.Module,
    rows: NDArray[np.int64],
    loss_of: Callable[[Tensor], Tensor],
    config: FitConfig,
    *,
    seed: int,
    snapshot: Path | None = None,
) -> None:
    """Train `module` in place on batches of `rows`, `loss_of(batch of rows)` each; leaves it in eval mode.

    With `snapshot`, the state after each epoch is kept there and a matching one is gone on from. The result
    is the running average of the state where the configuration asks for one.
    """
    records = torch.from_numpy(rows)
    steps = max(len(rows) // config.batch, 1)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    # a schedule of a single step would divide by zero
    total = max(config.epochs * steps, 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=total)
    average = StateAverage(module, config.ema_decay)
    start = _restore(snapshot, module, optimiser, schedule, average)
    for epoch in range(start, config.epochs):
        seed_torch(seed, epoch)
        module.train()
        order = torch.randperm(len(rows))
        for step in range(steps):
            loss = loss_of(records[order[step * config.batch : (step + 1) * config.batch]])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if epoch * steps + step + 1 < total:
                schedule.step()
            if epoch >= config.ema_from * config.epochs:
                average.update()
        _keep(snapshot, epoch + 1, module, optimiser, schedule, average)
    average.install()
    module.eval()


class StateAverage:
    """Exponential running average of a module's whole state, batch-norm statistics included."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self.state: dict[str, Tensor] | None = None

    def update(self) -> None:
        """Take the present state in."""
        if self._decay <= 0:
            return
        present = self._module.state_dict()
        if self.state is None:
            self.state = {name: value.clone() for name, value in present.items()}
            return
        for name, value in present.items():
            if value.dtype.is_floating_point:
                self.state[name].mul_(self._decay).add_(value, alpha=1 - self._decay)
            else:
                self.state[name].copy_(value)

    def install(self) -> None:
        """Give the module the averaged state, if there is one."""
        if self.state is not None:
            self._module.load_state_dict(self.state)


def _keep(
    path: Path | None, epochs: int, module: nn.Module, optimiser: Any, schedule: Any, average: StateAverage
) -> None:
    if path is None:
        return
    state = {
        "epochs": epochs,
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "average": average.state,
    }
    part = path.with_name(f"{path.name}.part")
    torch.save(state, part)
    os.replace(part, path)  # noqa: PTH105  a snapshot may be lost in a power cut, never half written


def _restore(
    path: Path | None, module: nn.Module, optimiser: Any, schedule: Any, average: StateAverage
) -> int:
    if path is None or not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    optimiser.load_state_dict(state["optimiser"])
    schedule.load_state_dict(state["schedule"])
    average.state = state["average"]
    return int(state["epochs"])
