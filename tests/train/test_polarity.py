"""The polarity check is learned the same way each time, on records as they are, and travels in the checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.polarity import (
    PolarityConfig,
    beats_of,
    fit_polarity,
    fit_weights,
    inverted_limit,
    out_of_fold,
)
from heart_store import heart_store
from toy import TOY_NET, toy_checkpoint

from edge_mi.checkpoint import Checkpoint
from edge_mi.cli.main import main
from edge_mi.errors import ConfigError
from edge_mi.polarity import correlation_permille
from edge_mi.store import WindowStore

FOLDS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return heart_store(tmp_path_factory.mktemp("polarity") / "store", records=120)


@pytest.fixture(scope="module")
def store(path: Path) -> WindowStore:
    return WindowStore.open(path)


def test_hearts_are_told_from_hearts_turned_over(store: WindowStore) -> None:
    check = fit_polarity(store, FOLDS, TOY_NET)
    assert check is not None
    assert check.n == 120
    assert check.caught >= PolarityConfig().caught
    assert check.refused == 0
    assert check == fit_polarity(store, FOLDS, TOY_NET)


def test_what_a_limit_gave_is_counted_as_it_is_used(store: WindowStore) -> None:
    """Scores are of tables that did not see their fold, and a record turned over scores the opposite."""
    check = fit_polarity(store, FOLDS, TOY_NET)
    assert check is not None
    rows = store.rows_of(FOLDS)
    beats = np.array(beats_of(store, rows, TOY_NET), dtype=np.int64)
    folds = store.folds[rows]
    scores = out_of_fold(beats, folds)
    assert check.caught == np.mean(-scores <= check.inverted_permille)
    alone = fit_weights(beats[folds != 2], PolarityConfig().ridge)
    first = int(np.flatnonzero(folds == 2)[0])
    assert scores[first] == correlation_permille(beats[first].tolist(), alone)


@pytest.mark.parametrize(("caught", "limit"), [(0.75, -250), (0.5, -500)])
def test_the_limit_refuses_the_share_that_it_is_to_catch(caught: float, limit: int) -> None:
    scores = np.arange(0, 1001)
    assert inverted_limit(scores, caught) == limit
    assert np.mean(-scores <= limit) >= caught


def test_the_limit_stays_below_upright() -> None:
    assert inverted_limit(np.arange(-100, 100), 0.9) == -1


def test_records_turned_over_make_the_opposite_table(store: WindowStore) -> None:
    beats = np.array(beats_of(store, store.rows_of(FOLDS), TOY_NET), dtype=np.int64)
    up, down = np.array(fit_weights(beats, 0.1)), np.array(fit_weights(-beats, 0.1))
    assert np.abs(up).max() == 127
    assert np.abs(up + down).max() <= 1


def test_too_few_hearts_make_no_check(tmp_path: Path) -> None:
    few = WindowStore.open(heart_store(tmp_path / "few", records=60))
    assert fit_polarity(few, FOLDS, TOY_NET) is None


@pytest.mark.parametrize(("folds", "message"), [((1,), "at least two"), ((9, 10), "fold 10 is kept")])
def test_folds_that_cannot_serve_are_refused(
    store: WindowStore, folds: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_polarity(store, folds, TOY_NET)


def test_the_command_gives_a_checkpoint_its_check_and_leaves_the_network(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = toy_checkpoint()
    bare = Checkpoint(replace(bare.info, polarity=None), bare.weights)
    bare.save(tmp_path / "bare.safetensors")
    words = ["train", "polarity", str(tmp_path / "bare.safetensors"), "--data", str(path), "--folds", "1-4"]
    for name in ("a", "b"):
        assert main([*words, "--out", str(tmp_path / name), "--json"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    made = Checkpoint.load(tmp_path / "a")
    assert made.info.polarity is not None
    assert document["polarity"]["inverted_permille"] == made.info.polarity.inverted_permille
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert replace(made.info, polarity=None) == bare.info
    for layer in bare.info.net.layer_names:
        assert np.array_equal(made.weights[layer][0], bare.weights[layer][0])


def test_a_store_without_enough_hearts_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = heart_store(tmp_path / "few", records=24)
    words = [
        "train",
        "polarity",
        "--data",
        str(few),
        "--folds",
        "1-4",
        "--out",
        str(tmp_path / "x.safetensors"),
    ]
    assert main(words) == 2
    assert "fewer than 100 records of folds 1-4 have heartbeats" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()
