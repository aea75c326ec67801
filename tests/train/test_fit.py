"""The training loop goes on after a kill to the same weights, and averages what it is told to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from edge_mi.train.config import FitConfig
from edge_mi.train.fit import StateAverage, fit, seed_torch
from torch import Tensor, nn

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
