"""One process among several that train together: what the tests of distributed training start, twice.

`ranks.py OUT` writes a JSON document for its rank, and the gradients of a masked-lead teacher. The last thing that
the second process does is to die.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edge_mi.train.config import FitConfig
from edge_mi.train.distributed import World, joined
from edge_mi.train.fit import Runtime, fit, prepare_torch, seed_torch
from edge_mi.train.losses.info_nce import InfoNCELoss
from edge_mi.train.losses.pairwise_sigmoid import PairwiseSigmoidLoss
from edge_mi.train.net1d import Net1D, Net1DConfig
from edge_mi.train.pretrain_nets import MaskedLeads, SelfAligner
from torch import Tensor, nn

from edge_mi.errors import EdgeMIError

RECORDS, BATCH, SAMPLES, AIM = 24, 8, 64, 16
CONFIG = FitConfig(epochs=2, batch=BATCH, learning_rate=1e-3)
LOSSES = {"sigmoid": lambda: PairwiseSigmoidLoss(bias=-3.0), "infonce": InfoNCELoss}


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(RECORDS, 1, SAMPLES, generator=generator), torch.randn(
        RECORDS, AIM, generator=generator
    )


def aligner(loss: str, world: World) -> SelfAligner:
    """A tiny Net1D, which has no batch statistics, before the loss over the whole batch."""
    seed_torch(7)
    net = Net1D(Net1DConfig(first=8, filters=(8, 16), blocks=(1, 2), group_width=8, kernel=6))
    return SelfAligner(net, AIM, LOSSES[loss](), world)


def one_batch(loss: str, world: World) -> dict[str, Any]:
    """Loss and gradients of the first batch."""
    signals, aims = data()
    module = aligner(loss, world)
    rows = world.share(torch.arange(BATCH))
    wrapped = world.wrap(module)  # must live until the gradients are there
    value = wrapped(signals[rows], aims[rows])
    value.backward()
    gradients = {name: p.grad.tolist() for name, p in module.named_parameters() if p.grad is not None}
    return {"loss": value.item(), "gradients": gradients}


def masked_batch(world: World) -> dict[str, np.ndarray]:
    """`loss` and the gradient of every tensor of a masked-lead teacher, for a batch whose halves are unlike.

    In the first half most samples are missing and few leads hidden, in the second the other way round.
    """
    seed_torch(7)
    module = MaskedLeads("net1d-small", 12, world)
    generator = torch.Generator().manual_seed(2)
    signals = torch.randn(BATCH, 12, 4 * SAMPLES, generator=generator)
    present = torch.rand(signals.shape, generator=generator) < torch.linspace(0.2, 1.0, BATCH)[:, None, None]
    draws = torch.tensor([0b1, 0b10, 0b11, 0b110, 0xFF, 0xFF0, 0x3FF, 0x7FE])
    rows = world.share(torch.arange(BATCH))
    wrapped = world.wrap(module)  # must live until the gradients are there
    value = wrapped((signals * present)[rows], present[rows], draws[rows])
    value.backward()
    gradients = {name: p.grad.numpy() for name, p in module.named_parameters() if p.grad is not None}
    return {"loss": value.detach().numpy(), **gradients}


def curve(loss: str, world: World, snapshot: Path | None = None, stop_at: int = 0) -> list[float]:
    """The loss curve of a short run; `stop_at` fails in that step, on every process."""
    signals, aims = data()
    module = aligner(loss, world)
    wrapped, calls = world.wrap(module), 0

    def loss_of(rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise KeyboardInterrupt
        result: Tensor = wrapped(signals[rows], aims[rows])
        return result

    runtime = Runtime(world=world, keep_every=2)
    return fit(module, np.arange(RECORDS), loss_of, CONFIG, seed=2, snapshot=snapshot, runtime=runtime)


def refusal(world: World, records: int, batch: int) -> str:
    """What a run of so many records and so large a batch is refused with."""
    module = nn.Linear(1, 1)
    try:
        config = FitConfig(epochs=1, batch=batch)
        fit(module, np.arange(records), lambda rows: module(rows[:, None].float()).sum(), config, seed=0,
            runtime=Runtime(world=world))  # fmt: skip
    except EdgeMIError as exc:
        return str(exc)
    return "not refused"


def disagreement(world: World) -> str:
    try:
        world.check_equal("the data and settings", f"hash-{world.rank}")
    except EdgeMIError as exc:
        return str(exc)
    return "not refused"


def interrupted(world: World, snapshot: Path) -> list[float]:
    try:
        curve("sigmoid", world, snapshot, stop_at=5)
    except KeyboardInterrupt:
        world.wait()
    return curve("sigmoid", world, snapshot)


def death(world: World) -> str:
    """The second process is killed in its third step; the first says so."""
    module = aligner("sigmoid", world)
    wrapped, (signals, aims), calls = world.wrap(module), data(), 0

    def loss_of(rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 3 and world.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        result: Tensor = wrapped(signals[rows], aims[rows])
        return result

    try:
        fit(module, np.arange(RECORDS), loss_of, CONFIG, seed=2, runtime=Runtime(world=world))
    except EdgeMIError as exc:
        return str(exc)
    return "nothing happened"


def main(out: Path) -> None:
    prepare_torch()
    try:
        with joined("cpu", timeout_s=120) as world:
            results: dict[str, Any] = {
                "batches": {loss: one_batch(loss, world) for loss in LOSSES},
                "curves": {loss: curve(loss, world) for loss in LOSSES},
                "resumed": interrupted(world, out / "shared.snapshot"),
                "uneven": refusal(world, RECORDS, 7),
                "few": refusal(world, 6, 8),
                "disagreement": disagreement(world),
            }
            np.savez(out / f"masked-{world.rank}.npz", **masked_batch(world))
            file = out / f"rank-{world.rank}.json"
            file.write_text(json.dumps(results))
            results["death"] = death(world)
            file.write_text(json.dumps(results))
    except EdgeMIError:  # leaving a group whose other half is gone
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))
