"""Training on several processes and nodes, as torchrun starts them: plain torch.distributed, no framework above it.

Every process embeds its share of a batch; the embeddings are gathered, so that each process computes the loss of
the whole batch. The gradients are then averaged by DistributedDataParallel and equal those of one process with
that batch. Lightning Fabric would bring one dependency more for the same few calls.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edge_mi.errors import ConfigError, EdgeMIError

TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among `size`, with the device that it computes on."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """The part of a batch (n, ...) that this process computes; parts follow each other by rank."""
        each = len(batch) // self.size
        return batch[self.rank * each : (self.rank + 1) * each] if self.size > 1 else batch

    def wrap(self, module: nn.Module) -> nn.Module:
        """`module`, averaging its gradients over the processes; on GPUs batch statistics are of the whole batch.

        On processors torch has no such batch norm: there each process normalises by its own share.
        """
        if self.size == 1:
            return module
        if self.device == "cpu":
            return DistributedDataParallel(module)
        # the layers are exchanged in place, so that the caller's module is the one that learns
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(module, device_ids=[torch.device(self.device).index])

    def check_equal(self, what: str, value: str) -> None:
        """Raises ConfigError on every process where they do not all hold the same `value`."""
        for rank, other in enumerate(self.gather_objects(value)):
            if other != value:
                raise ConfigError(
                    f"process {rank} has {what} {other}, process {self.rank} has {value}: give every process the same"
                )

    def gather_objects(self, value: Any) -> list[Any]:
        """`value` of every process, by rank. Only for what these processes made themselves: it is pickled."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with lost_contact(self):
            dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until every process has come here."""
        self.gather_objects(None)


ALONE: Final = World()


@contextmanager
def joined(device: str = "auto", timeout_s: float = TIMEOUT_S) -> Iterator[World]:
    """The world that torchrun describes in the environment, or this process alone; left again at the end.

    device: `auto` takes the GPU of this process's local rank where there is one. Raises ConfigError for a device
    that is not there.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    world = World(rank=rank, size=size, device=_device(device, int(os.environ.get("LOCAL_RANK", "0"))))
    if world.device != "cpu":
        torch.cuda.set_device(world.device)
    if size == 1:
        yield world
        return
    with lost_contact(world):
        dist.init_process_group(
            "gloo" if world.device == "cpu" else "nccl", timeout=timedelta(seconds=timeout_s)
        )
    try:
        yield world
    finally:
        dist.destroy_process_group()


@contextmanager
def lost_contact(world: World) -> Iterator[None]:
    """Turn what the library says when another process is gone into one clear line."""
    try:
        yield
    except (RuntimeError, pickle.UnpicklingError) as exc:
        if world.size == 1 or not _is_about_contact(exc):
            raise
        raise EdgeMIError(
            f"process {world.rank} of {world.size} lost contact to the others ({str(exc).splitlines()[0][:120]}): one "
            "of them ended or hangs; look at its last words, then run the same command again, which goes on from "
            "the last snapshot"
        ) from exc


def gather_rows(rows: Tensor, world: World) -> Tensor:
    """Rows (n, dim) of every process, by rank: (n * size, dim); gradients flow to the own ones.

    Every process must go on to compute the same loss from them.
    """
    if world.size == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows, world)  # type: ignore[no-untyped-call]
    return gathered


def mean_count(counted: Tensor, world: World) -> Tensor:
    """How many of `counted`, bool, are true in a share of the batch on average, a scalar above 0.

    A sum over the own share divided by it is, averaged over the processes, the mean over the whole batch.
    """
    count = counted.sum()
    if world.size == 1:
        return count.clamp(min=1)
    dist.all_reduce(count)
    return count.clamp(min=1) / world.size


class _GatherRows(torch.autograd.Function):
    """All-gather whose backward pass needs no words between the processes.

    As all compute the same loss, the gradient of the own rows is known here in full. It is multiplied by the
    number of processes because gradients of the parameters are averaged, not added, afterwards.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, world: World) -> Tensor:
        ctx.world, ctx.rows = world, len(rows)
        parts = [torch.empty_like(rows) for _ in range(world.size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        start = ctx.world.rank * ctx.rows
        return gradients[0][start : start + ctx.rows] * ctx.world.size, None


def _device(name: str, local_rank: int) -> str:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    if not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: torch finds no GPU here; use --device cpu")
    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"process {local_rank} of this machine finds {torch.cuda.device_count()} GPUs; start one process a GPU "
            "(torchrun --nproc-per-node)"
        )
    return f"cuda:{local_rank}"


def _is_about_contact(exc: BaseException) -> bool:
    if isinstance(exc, dist.DistError):
        return True
    words = ("gloo", "NCCL", "onnection", "timed out", "Timed out", "Socket", "Broken pipe", "store->")
    return any(word in str(exc) for word in words)
