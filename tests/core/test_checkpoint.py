"""A checkpoint is read as it was written, or refused with what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import toy_checkpoint, with_weights

from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import CheckpointError, OutputError
from edge_mi.shipped import shipped_checkpoint


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint = toy_checkpoint()
    checkpoint.save(path)
    loaded = Checkpoint.load(path)
    assert loaded.info == checkpoint.info
    for layer, (weight, bias) in checkpoint.weights.items():
        assert np.array_equal(loaded.weights[layer][0], weight)
        assert np.array_equal(loaded.weights[layer][1], bias)


def document_of(path: Path) -> dict[str, Any]:
    import safetensors

    with safetensors.safe_open(str(path), framework="numpy") as file:
        document: dict[str, Any] = json.loads(file.metadata()["edge_mi"])
        return document


def rewritten(path: Path, document: dict[str, Any]) -> Path:
    import safetensors
    import safetensors.numpy

    with safetensors.safe_open(str(path), framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path.write_bytes(safetensors.numpy.save(tensors, {"edge_mi": json.dumps(document)}))
    return path


def test_a_checkpoint_of_schema_1_is_one_without_a_polarity_check(tmp_path: Path) -> None:
    toy_checkpoint().save(tmp_path / "c")
    document = {key: value for key, value in document_of(tmp_path / "c").items() if key != "polarity"}
    loaded = Checkpoint.load(rewritten(tmp_path / "c", {**document, "schema": 1}))
    assert loaded.info == replace(toy_checkpoint().info, polarity=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=1), "schema 1, this version of edge-mi reads schema 2"),
        (lambda d: d.pop("polarity"), "missing key polarity"),
        (lambda d: d["polarity"]["weights"].pop(), "59 polarity weights, a beat at 100 Hz has 60 samples"),
        (lambda d: d["polarity"].update(upright_permille=-900), "inverted < upright"),
        (lambda d: d["polarity"].update(lead="I"), "unknown key polarity.lead"),
    ],
)
def test_a_polarity_check_that_does_not_fit_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    toy_checkpoint().save(tmp_path / "c")
    document = document_of(tmp_path / "c")
    change(document)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.load(rewritten(tmp_path / "c", document))


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        toy_checkpoint().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    weight = toy_checkpoint().weights["conv2"][0].copy()
    weight[0, 0, 0] = value
    with pytest.raises(CheckpointError, match="layer conv2 has weights that are not finite"):
        with_weights(toy_checkpoint(), "conv2", weight)


def test_a_file_with_nan_weights_is_refused(tmp_path: Path) -> None:
    """Written by something that does not check, as a training script that diverged would."""
    import safetensors
    import safetensors.numpy

    toy_checkpoint().save(tmp_path / "good")
    with safetensors.safe_open(tmp_path / "good", framework="numpy") as file:
        metadata = file.metadata()
        tensors: dict[str, Any] = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118
    tensors["head.bias"][0] = np.nan
    (tmp_path / "bad").write_bytes(safetensors.numpy.save(tensors, metadata))
    with pytest.raises(CheckpointError, match="bad: layer head has weights that are not finite"):
        Checkpoint.load(tmp_path / "bad")


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"layer conv1: weights of shape \(1, 1, 1\)"):
        with_weights(toy_checkpoint(), "conv1", np.zeros((1, 1, 1), dtype=np.float32))


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    import safetensors.numpy

    (tmp_path / "other").write_bytes(safetensors.numpy.save({"layer": np.zeros(3)}))
    with pytest.raises(CheckpointError, match="without edge_mi metadata"):
        Checkpoint.load(tmp_path / "other")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 4096, b"{}"])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        Checkpoint.load(tmp_path / "c")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    content = shipped_checkpoint().read_bytes()
    (tmp_path / "c").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        Checkpoint.load(tmp_path / "c")


def test_a_missing_checkpoint_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Checkpoint.load(tmp_path / "none")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        toy_checkpoint().save(tmp_path / "none" / "c")
