"""The one training loop: teacher, alignment, student and pre-training at scale all pass through it.

Each epoch draws from its own seed, and a snapshot inside an epoch holds the state of every random number
generator, so that a run that was killed goes on from its last snapshot to the same weights and the same loss
curve. Bytes are equal on the same processor type, thread count and versions (contract C9).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi.errors import ConfigError, EdgeMIError, OutputError

from .config import FitConfig
from .distributed import ALONE, World, lost_contact
from .losses.info_nce import InfoNCELoss
from .losses.pairwise_sigmoid import PairwiseSigmoidLoss

SEEDS_PER_RUN = 10_000
_STREAMS: Final = 2**32  # seeds between those of two processes
_SCHEMA: Final = 3

Precision: TypeAlias = Literal["32", "bf16", "16"]
# the batches of rows that an epoch still owes, and its number -> what `loss_of` takes, one for each
Feed: TypeAlias = Callable[[Sequence[Tensor], int], Iterable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Where and how a loop runs; what it learns stays the same, but for rounding.

    keep_every: steps between snapshots, beside the one after each epoch; 0 for none. key: what a snapshot must
    have been made for, so that none of another run is gone on from.
    """

    world: World = ALONE
    precision: Precision = "32"
    keep_every: int = 0
    key: str = ""

    def autocast(self) -> AbstractContextManager[Any]:
        """The arithmetic of a forward pass."""
        if self.precision == "32":
            return nullcontext()
        narrow = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.kind, dtype=narrow)

    @property
    def kind(self) -> str:
        """`cpu` or `cuda`."""
        return torch.device(self.world.device).type


HERE: Final = Runtime()


def prepare_torch(threads: int = 1) -> None:
    """Make torch deterministic, on `threads` threads, without denormals (ten times slower near zero)."""
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # read by a GPU's library when it is first used
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)


def seed_torch(seed: int, epoch: int = -1) -> None:
    """Seed torch's generator for one epoch of a run; -1 is the initialisation."""
    torch.manual_seed(seed * SEEDS_PER_RUN + epoch + 1)


def steps_per_epoch(records: int, config: FitConfig) -> int:
    """Whole batches of an epoch; what is left over waits for another epoch's order. At least one."""
    return max(records // config.batch, 1)


def total_steps(records: int, config: FitConfig) -> int:
    """Steps of a whole training: as many as the configuration names, or those of its epochs."""
    return config.epochs * steps_per_epoch(records, config) if config.steps is None else config.steps


def fit(
    module: nn.Module,
    rows: NDArray[np.int64],
    loss_of: Callable[[Any], Tensor],
    config: FitConfig,
    *,
    seed: int,
    snapshot: Path | None = None,
    feed: Feed | None = None,
    clip_norm: float | None = None,
    runtime: Runtime = HERE,
) -> list[float]:
    """Train `module` in place on batches of `rows`, `loss_of(batch)` each; leaves it in eval mode.

    A batch is what `feed` makes of a tensor of rows (without one, these rows). With `snapshot`, states are kept
    there and one that is found is gone on from. The result is the running average of the state where the
    configuration asks for one. clip_norm: longest gradient. Returns the loss of every step.

    Of several processes each is given its share of every batch. Raises ConfigError for a batch that cannot be
    shared and for a snapshot of another run, EdgeMIError for a loss that is no number.
    """
    world, steps = runtime.world, steps_per_epoch(len(rows), config)
    _check_shares(len(rows), config, world)
    records = torch.from_numpy(rows)
    total = total_steps(len(rows), config)
    loop = _Loop(module, config, steps, total, snapshot, clip_norm, runtime)
    for epoch in range(loop.restore() // steps, -(-total // steps)):
        seed_torch(seed, epoch)
        module.train()
        order = torch.randperm(len(rows))
        if world.rank:
            torch.manual_seed(torch.initial_seed() + world.rank * _STREAMS)
        first = loop.done - epoch * steps
        if first:
            loop.restore_generators()
        batches = [
            world.share(records[order[step * config.batch : (step + 1) * config.batch]])
            for step in range(first, min(steps, total - epoch * steps))
        ]
        for batch in batches if feed is None else feed(batches, epoch):
            loop.step(loss_of, batch)
            if runtime.keep_every and loop.done % runtime.keep_every == 0 and loop.done % steps:
                loop.keep()
        loop.keep()
    loop.average.install()
    module.eval()
    return loop.curve


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


class _Loop:
    """The state of a run between two steps: what is learned, how far it is, and the way to a file and back."""

    def __init__(
        self,
        module: nn.Module,
        config: FitConfig,
        steps: int,
        total: int,
        snapshot: Path | None,
        clip_norm: float | None,
        runtime: Runtime,
    ) -> None:
        self.module, self.average = module, StateAverage(module, config.ema_decay)
        self.done, self.curve = 0, list[float]()
        self._steps, self._snapshot, self._clip, self._runtime = steps, snapshot, clip_norm, runtime
        self._average_from = config.ema_from * total / steps
        # a schedule of a single step would divide by zero
        self._total = max(total, 2)
        self._optimiser = torch.optim.AdamW(
            _groups(module), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, config.learning_rate, total_steps=self._total
        )
        # float16 has so few exponents that small gradients vanish; with the others this passes everything through
        self._scaler = torch.amp.GradScaler(runtime.kind, enabled=runtime.precision == "16")
        self._losses: list[Tensor] = []  # those since the last snapshot, still on their device
        self._generators: dict[str, Tensor] = {}

    def step(self, loss_of: Callable[[Any], Tensor], batch: Any) -> None:
        """Learn from one batch."""
        with lost_contact(self._runtime.world):
            with self._runtime.autocast():
                loss = loss_of(batch)
            self._optimiser.zero_grad()
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._clip is not None:
            self._scaler.unscale_(self._optimiser)
            nn.utils.clip_grad_norm_(self.module.parameters(), self._clip)
        scale = self._scaler.get_scale()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        # a lower scale says that the step was left out because it overflowed
        if self.done + 1 < self._total and self._scaler.get_scale() >= scale:
            self._schedule.step()
        if self.done // self._steps >= self._average_from:
            self.average.update()
        self._losses.append(loss.detach())
        self.done += 1

    def keep(self) -> None:
        """Write a snapshot, whole or not at all; the first process does, for all."""
        losses = torch.stack(self._losses).double().cpu() if self._losses else torch.zeros(0).double()
        everyone = self._runtime.world.gather_objects((losses, self._own_generators()))
        mean = torch.stack([of_one for of_one, _ in everyone]).mean(0)
        if not torch.isfinite(mean).all():
            first = self.done - len(mean) + int((~torch.isfinite(mean)).nonzero()[0])
            raise EdgeMIError(
                f"the loss of step {first + 1} is no number: begin again with a lower learning rate"
            )
        self.curve.extend(mean.tolist())
        self._losses.clear()
        if self._snapshot is None or not self._runtime.world.first:
            return
        state = {
            "schema": _SCHEMA,
            "key": self._runtime.key,
            "done": self.done,
            "curve": torch.tensor(self.curve, dtype=torch.float64),
            "generators": [generators for _, generators in everyone],
            "average": self.average.state,
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        part = self._snapshot.with_name(f"{self._snapshot.name}.part")
        try:
            with part.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._snapshot)
        except OSError as exc:
            raise OutputError(f"cannot write {self._snapshot}: {exc.strerror or exc}") from exc

    def restore(self) -> int:
        """Take up the snapshot, if there is one; the number of steps that are done."""
        state = _read(self._snapshot)
        world = self._runtime.world
        world.check_equal("a snapshot of step", str(state["done"] if state else 0))
        if state is None:
            return 0
        if state["key"] != self._runtime.key:
            raise ConfigError(
                f"{self._snapshot} is of another run (other options, data or versions): choose another folder, or "
                "delete it to begin again"
            )
        if len(state["generators"]) != world.size:
            raise ConfigError(
                f"{self._snapshot} is of a run on {len(state['generators'])} processes, this one has {world.size}: "
                "start as many, or delete it to begin again"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.average.state = state["average"]
        self.done, self.curve = int(state["done"]), state["curve"].tolist()
        self._generators = state["generators"][world.rank]
        return self.done

    def restore_generators(self) -> None:
        """Give the random number generators the states of the snapshot."""
        torch.set_rng_state(self._generators["cpu"])
        if "cuda" in self._generators:
            torch.cuda.set_rng_state(self._generators["cuda"], self._runtime.world.device)

    def _own_generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self._runtime.kind == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._runtime.world.device)
        return states

    def _parts(self) -> dict[str, Any]:
        return {
            "module": self.module,
            "optimiser": self._optimiser,
            "schedule": self._schedule,
            "scaler": self._scaler,
        }


def _groups(module: nn.Module) -> list[dict[str, Any]]:
    """Parameters for AdamW: scale and bias of a loss over pairs are not weights, and are not drawn to zero."""
    losses = [part for part in module.modules() if isinstance(part, InfoNCELoss | PairwiseSigmoidLoss)]
    free = [parameter for loss in losses for parameter in loss.parameters()]
    kept = {id(parameter) for parameter in free}
    groups: list[dict[str, Any]] = [{"params": [p for p in module.parameters() if id(p) not in kept]}]
    return [*groups, {"params": free, "weight_decay": 0.0}] if free else groups


def _read(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # the library raises several unrelated types for a damaged file
        raise OutputError(f"{path} is damaged: delete it to begin again") from exc
    # one of an earlier version is begun anew
    return state if state.get("schema") == _SCHEMA else None


def _check_shares(records: int, config: FitConfig, world: World) -> None:
    if world.size == 1:
        return
    if config.batch % world.size:
        raise ConfigError(
            f"a batch of {config.batch} cannot be shared by {world.size} processes: choose a multiple"
        )
    if records < config.batch:
        raise ConfigError(
            f"{records} records are fewer than a batch of {config.batch}, which {world.size} processes share: choose "
            "a smaller batch"
        )
