"""The training loop goes on after a kill to the same weights, and averages what it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edge_mi.train.config import FitConfig
from edge_mi.train.fit import HERE, Precision, Runtime, StateAverage, fit, seed_torch
from edge_mi.train.losses.info_nce import InfoNCELoss
from edge_mi.train.losses.pairwise_sigmoid import PairwiseSigmoidLoss
from torch import Tensor, nn

from edge_mi.errors import ConfigError, EdgeMIError, OutputError

ROWS = np.arange(40)
CONFIG = FitConfig(epochs=5, batch=8, ema_decay=0.8)


class Killed(Exception):
    pass


def train(
    snapshot: Path | None = None, kill_after: int | None = None, config: FitConfig = CONFIG
) -> dict[str, Tensor]:
    seed_torch(3)
    x = torch.randn(40, 4)
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.2), nn.Linear(3, 1))
    calls = 0

    def loss_of(rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == kill_after:
            raise Killed
        result: Tensor = (net(x[rows])[:, 0] - x[rows, 0]).square().mean()
        return result

    fit(net, ROWS, loss_of, config, seed=3, snapshot=snapshot)
    assert not net.training
    return net.state_dict()


@pytest.mark.parametrize("kill_after", [7, 18, 22])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, kill_after: int) -> None:
    """Killed in the second, the fourth and the fifth epoch; the running average starts in the fourth."""
    snapshot = tmp_path / "part.snapshot"
    with pytest.raises(Killed):
        train(snapshot, kill_after)
    assert snapshot.is_file()
    resumed, whole = train(snapshot), train()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = train(), train()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_fewer_records_than_a_batch_are_one_step() -> None:
    train(config=FitConfig(epochs=1, batch=100))


@pytest.mark.parametrize("steps", [1, 5, 7, 12])
@pytest.mark.parametrize("records", [3, 8, 17, 40])
def test_a_number_of_steps_is_exact_whatever_the_records(steps: int, records: int) -> None:
    net = nn.Linear(1, 1)
    config = FitConfig(batch=8, steps=steps)
    curve = fit(
        net, np.arange(records), lambda rows: net(rows[:, None].float()).square().mean(), config, seed=0
    )
    assert len(curve) == steps


def test_steps_of_whole_epochs_are_the_epochs() -> None:
    epochs, steps = train(config=CONFIG), train(config=replace(CONFIG, epochs=1, steps=25))
    assert all(torch.equal(epochs[name], steps[name]) for name in epochs)


def test_a_run_killed_in_an_unfinished_epoch_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=13)
    with pytest.raises(Killed):
        train(tmp_path / "part.snapshot", 12, config)
    resumed, whole = train(tmp_path / "part.snapshot", config=config), train(config=config)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_the_average_follows_the_whole_state() -> None:
    net = nn.BatchNorm1d(1)
    average = StateAverage(net, 0.75)
    average.update()
    net.running_mean = torch.tensor([4.0])
    average.update()
    average.install()
    assert net.state_dict()["running_mean"].tolist() == [1.0]


def test_no_average_leaves_the_last_state() -> None:
    net = nn.Linear(1, 1)
    average = StateAverage(net, 0.0)
    average.update()
    assert average.state is None


def test_a_configuration_that_cannot_train_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 epoch"):
        FitConfig(epochs=0)
    with pytest.raises(ValueError, match="at least 1 step"):
        FitConfig(steps=0)
    for wrong in (
        {"learning_rate": float("inf")},
        {"weight_decay": -1.0},
        {"ema_decay": 1.0},
        {"ema_from": -0.1},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            FitConfig(**wrong)


# dropout draws from the generator at every step
LOOP = """
import os, signal, sys
from pathlib import Path
import numpy as np, torch
from edge_mi.train.config import FitConfig
from edge_mi.train.fit import Runtime, fit, prepare_torch, seed_torch
def loop(snapshot, kill_at):
    prepare_torch()
    seed_torch(3)
    x = torch.randn(40, 4)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    calls = 0
    def loss_of(rows):
        nonlocal calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return (net(x[rows])[:, 0] - x[rows, 0]).square().mean()
    config = FitConfig(epochs=3, batch=8, ema_decay=0.8)
    curve = fit(net, np.arange(40), loss_of, config, seed=3, snapshot=snapshot, runtime=Runtime(keep_every=2))
    return curve, [p.tolist() for p in net.parameters()]
"""


def test_a_process_killed_inside_an_epoch_goes_on_to_the_same_loss_curve(tmp_path: Path) -> None:
    """Killed in the second epoch, one step after a snapshot; gone on from in this process."""
    snapshot = tmp_path / "run.snapshot"
    words = [sys.executable, "-c", f"{LOOP}\nloop(Path(sys.argv[1]), 10)", str(snapshot)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert torch.load(snapshot, weights_only=True)["done"] == 8
    namespace: dict[str, Any] = {}
    exec(LOOP, namespace)
    resumed, whole = namespace["loop"](snapshot, 0), namespace["loop"](tmp_path / "other.snapshot", 0)
    assert len(whole[0]) == 15
    assert resumed == whole


def curve(
    snapshot: Path | None = None,
    *,
    kill_at: int = 0,
    runtime: Runtime = HERE,
    config: FitConfig = CONFIG,
) -> list[float]:
    seed_torch(3)
    x = torch.randn(40, 4)
    net = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.2), nn.Linear(3, 1))
    calls = 0

    def loss_of(rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise Killed
        result: Tensor = (net(x[rows])[:, 0] - x[rows, 0]).square().mean()
        return result

    return fit(net, ROWS, loss_of, config, seed=3, snapshot=snapshot, runtime=runtime)


@pytest.mark.parametrize("every", [1, 2])
def test_a_run_killed_at_any_step_has_the_same_loss_curve(tmp_path: Path, every: int) -> None:
    runtime, config = Runtime(keep_every=every), replace(CONFIG, epochs=2)
    whole = curve(runtime=runtime, config=config)
    assert len(whole) == 10
    for kill_at in range(1, 11):
        snapshot = tmp_path / f"{kill_at}.snapshot"
        with pytest.raises(Killed):
            curve(snapshot, kill_at=kill_at, runtime=runtime, config=config)
        assert curve(snapshot, runtime=runtime, config=config) == whole


def test_a_snapshot_of_another_run_is_refused(tmp_path: Path) -> None:
    snapshot = tmp_path / "run.snapshot"
    curve(snapshot, runtime=Runtime(key="one"))
    with pytest.raises(ConfigError, match="of another run"):
        curve(snapshot, runtime=Runtime(key="other"))


def test_a_damaged_snapshot_is_named(tmp_path: Path) -> None:
    snapshot = tmp_path / "run.snapshot"
    curve(snapshot)
    snapshot.write_bytes(snapshot.read_bytes()[:-100])
    with pytest.raises(OutputError, match="damaged: delete it"):
        curve(snapshot)


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_narrow_arithmetic_learns_too(precision: Precision) -> None:
    config = FitConfig(epochs=20, batch=8, learning_rate=1e-2)
    losses = curve(runtime=Runtime(precision=precision), config=config)
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert losses != curve(config=config)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    net = nn.Linear(1, 1)
    losses = iter([1.0, 1.0, float("nan"), 1.0, 1.0])
    with pytest.raises(EdgeMIError, match="loss of step 3 is no number"):
        fit(net, ROWS, lambda rows: net(torch.ones(1, 1)).sum() * next(losses), CONFIG, seed=0)


def test_a_feed_is_asked_only_for_what_an_epoch_still_owes(tmp_path: Path) -> None:
    net, asked = nn.Linear(1, 1), list[tuple[int, int]]()

    def feed(batches: Sequence[Tensor], epoch: int) -> Iterator[Tensor]:
        asked.append((epoch, len(batches)))
        yield from batches

    def killed(batches: Sequence[Tensor], epoch: int) -> Iterator[Tensor]:
        yield from batches[:3]
        raise Killed

    def loss_of(rows: Tensor) -> Tensor:
        result: Tensor = net(rows[:, None].float()).square().mean()
        return result

    snapshot, runtime = tmp_path / "run.snapshot", Runtime(keep_every=2)
    config = FitConfig(epochs=2, batch=8, learning_rate=1e-4)
    with pytest.raises(Killed):
        fit(net, ROWS, loss_of, config, seed=0, snapshot=snapshot, feed=killed, runtime=runtime)
    fit(net, ROWS, loss_of, config, seed=0, snapshot=snapshot, feed=feed, runtime=runtime)
    assert asked == [(0, 3), (1, 5)]


@pytest.mark.parametrize("loss", [PairwiseSigmoidLoss(), InfoNCELoss()])
def test_scale_and_bias_of_a_loss_do_not_decay(loss: nn.Module) -> None:
    """Nothing pulls at them but decay, which takes the weights beside them to nothing."""
    both = nn.ModuleDict({"net": nn.Linear(2, 1), "loss": loss})
    before = {name: value.clone() for name, value in both.state_dict().items()}
    config = FitConfig(epochs=1, batch=8, learning_rate=0.1, weight_decay=1.0)

    def loss_of(rows: Tensor) -> Tensor:
        return 0 * sum(parameter.sum() for parameter in both.parameters())  # type: ignore[return-value]

    fit(both, ROWS, loss_of, config, seed=0)
    for name, value in both.state_dict().items():
        ratio = (value / before[name]).flatten()[0].item()
        assert ratio == 1.0 if name.startswith("loss.") else ratio < 0.9, name


def test_without_such_a_loss_there_is_one_group_as_before(tmp_path: Path) -> None:
    train(tmp_path / "s")
    groups = torch.load(tmp_path / "s", weights_only=True)["optimiser"]["param_groups"]
    assert [group["params"] for group in groups] == [[0, 1, 2, 3, 4, 5]]
