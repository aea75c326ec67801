"""Two processes learn what one learns with the same batch, and say what is wrong where they cannot."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks
import torch
from edge_mi.train.distributed import ALONE, joined, lost_contact

from edge_mi.errors import ConfigError


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes found, by rank; the second was killed at the end."""
    if not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    out = tmp_path_factory.mktemp("ranks")
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    words = [sys.executable, ranks.__file__, str(out)]
    started = [
        subprocess.Popen(words, env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                         stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=600)[1] for process in started]
    files = [out / f"rank-{rank}.json" for rank in range(2)]
    assert all(file.is_file() for file in files), said
    masked = [dict(np.load(out / f"masked-{rank}.npz")) for rank in range(2)]
    return [
        {**json.loads(file.read_text()), "masked": found} for file, found in zip(files, masked, strict=True)
    ]


@pytest.mark.parametrize("loss", ["sigmoid", "infonce"])
def test_loss_and_gradients_are_those_of_one_process_with_the_same_batch(
    two: list[dict[str, Any]], loss: str
) -> None:
    alone = ranks.one_batch(loss, ALONE)
    for rank in two:
        found = rank["batches"][loss]
        assert found["loss"] == pytest.approx(alone["loss"], abs=1e-5)
        assert found["gradients"].keys() == alone["gradients"].keys()
        for name, gradient in alone["gradients"].items():
            np.testing.assert_allclose(found["gradients"][name], gradient, rtol=0, atol=1e-5, err_msg=name)
    assert max(np.abs(g).max() for g in alone["gradients"].values()) > 1e-2  # so that 1e-5 says something


def test_a_masked_lead_teacher_learns_what_one_process_would_where_the_shares_hide_unlike_much(
    two: list[dict[str, Any]],
) -> None:
    alone = ranks.masked_batch(ALONE)
    losses = [float(rank["masked"]["loss"]) for rank in two]
    assert np.mean(losses) == pytest.approx(float(alone["loss"]), abs=1e-5)  # as the loss curve has it
    assert abs(losses[0] - losses[1]) > 0.1
    names = sorted(alone.keys() - {"loss"})
    gradient = np.concatenate([alone[name].ravel() for name in names])
    for rank in two:
        assert rank["masked"].keys() == alone.keys()
        found = np.concatenate([rank["masked"][name].ravel() for name in names])
        assert np.linalg.norm(found - gradient) < 1e-5 * np.linalg.norm(gradient)


@pytest.mark.parametrize("loss", ["sigmoid", "infonce"])
def test_the_loss_curve_is_that_of_one_process(two: list[dict[str, Any]], loss: str) -> None:
    alone = ranks.curve(loss, ALONE)
    assert len(alone) == 6
    assert len(set(alone)) == 6
    for rank in two:
        assert rank["curves"][loss] == pytest.approx(alone, abs=1e-5)
    assert two[0]["curves"][loss] == two[1]["curves"][loss]


def test_an_interrupted_run_of_two_goes_on_to_the_same_curve(two: list[dict[str, Any]]) -> None:
    assert two[0]["resumed"] == two[0]["curves"]["sigmoid"]


def test_what_cannot_be_shared_is_refused(two: list[dict[str, Any]]) -> None:
    for rank in two:
        assert "a batch of 7 cannot be shared by 2 processes" in rank["uneven"]
        assert "6 records are fewer than a batch of 8" in rank["few"]


def test_processes_with_other_data_are_refused_on_every_one(two: list[dict[str, Any]]) -> None:
    assert "process 1 has the data and settings hash-1, process 0 has" in two[0]["disagreement"]
    assert "process 0 has the data and settings hash-0, process 1 has" in two[1]["disagreement"]


def test_a_process_that_dies_is_a_clear_error_on_the_other(two: list[dict[str, Any]]) -> None:
    assert "death" not in two[1]
    assert "process 0 of 2 lost contact to the others" in two[0]["death"]
    assert "goes on from the last snapshot" in two[0]["death"]


def test_a_snapshot_of_one_process_is_not_gone_on_from_by_two(tmp_path: Path) -> None:
    snapshot = tmp_path / "run.snapshot"
    ranks.curve("sigmoid", ALONE, snapshot)
    state = torch.load(snapshot, weights_only=True)
    torch.save({**state, "generators": state["generators"] * 2}, snapshot)
    with pytest.raises(ConfigError, match="on 2 processes, this one has 1"):
        ranks.curve("sigmoid", ALONE, snapshot)


def test_without_torchrun_a_process_is_alone() -> None:
    with joined("cpu") as world:
        assert world == ALONE
        rows = torch.arange(5)
        assert world.share(rows) is rows


def test_other_errors_keep_their_words() -> None:
    with pytest.raises(RuntimeError, match="shapes"), lost_contact(ALONE):
        raise RuntimeError("shapes do not match")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="finds no GPU"), joined("cuda"):
        pass
