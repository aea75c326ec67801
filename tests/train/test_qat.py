"""QAT from a checkpoint: learned ranges reach every artefact unchanged, and a killed run ends in the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from edge_mi.export.agreement import AgreementLimits
from edge_mi.export.bundle_writer import export_bundle
from edge_mi.export.integer_model import run_integer_model
from edge_mi.export.measured_export import export_measured
from edge_mi.export.quantise import QuantisedNet, quantise
from edge_mi.train import parts
from edge_mi.train.config import FitConfig, QatConfig, Recipe
from edge_mi.train.finish import QuickRun
from edge_mi.train.quantised import train_qat
from edge_mi.train.quick import train_quick
from onnx import numpy_helper

from edge_mi.bundle import ONNX_INT8, TFLITE_INT8, Bundle
from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import ConfigError
from edge_mi.files import write_file
from edge_mi.int8_grid import quant_params
from edge_mi.metrics import auroc
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

QUICK = QuickRun(folds=tuple(range(1, 9)), test_fold=9, seed=0, command="edge-mi train quick", resamples=50)
QAT = replace(QUICK, command="edge-mi train qat model.safetensors")
CONFIG = QatConfig(fit=FitConfig(epochs=4, batch=16, learning_rate=3e-3, ema_decay=0.8), warmup=0.4)
# a toy answers near its threshold
LOOSE = AgreementLimits(family_decisions=1.0, float_decisions=1.0, auroc_difference=1.0)


@pytest.fixture(scope="module")
def plain(tiny_recipe: Recipe) -> Recipe:
    return replace(tiny_recipe, align=None, teacher=replace(tiny_recipe.teacher, ensemble=1))


@pytest.fixture(scope="module")
def run(
    toy_store: Path, plain: Recipe, design: SignalDesign, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run folder with a trained network, `model.safetensors`, and the one that went on, `qat.safetensors`."""
    path = tmp_path_factory.mktemp("qat") / "run"
    parts.prepare_torch()
    train_quick(toy_store, path, QUICK, plain, design, workers=1).save(path / "model.safetensors")
    further(toy_store, path, plain).save(path / "qat.safetensors")
    return path


def further(store: Path, run: Path, recipe: Recipe, quick: QuickRun = QAT) -> Checkpoint:
    checkpoint = Checkpoint.load(run / "model.safetensors")
    return train_qat(checkpoint, store, run, quick, recipe, CONFIG, workers=1)


@pytest.fixture
def learned(run: Path) -> Checkpoint:
    return Checkpoint.load(run / "qat.safetensors")


def test_it_goes_on_from_the_checkpoint(run: Path, learned: Checkpoint) -> None:
    before = Checkpoint.load(run / "model.safetensors")
    assert learned.info.net == before.info.net
    for layer, (weight, _) in learned.weights.items():
        old = before.weights[layer][0]
        assert np.abs(weight - old).max() > 0
        assert np.corrcoef(weight.ravel(), old.ravel())[0, 1] > 0.9
    assert learned.info.ranges.learned
    assert not before.info.ranges.learned
    assert len(learned.info.provenance.data) == 1


def test_the_figures_are_those_of_the_integers_that_export_writes(
    learned: Checkpoint, toy_store: Path
) -> None:
    store, info = WindowStore.open(toy_store), learned.info
    rows, net = store.rows_of((9,)), quantise(learned)
    signals = store.signals_mv(rows).astype(np.float64)
    starts = range(0, 300 - info.net.window_samples + 1, info.net.hop_samples)
    logits = [
        run_integer_model(net, net.input.quantise(signals[:, s : s + info.net.window_samples]), "fast")[
            :, 0
        ].astype(np.float64)
        for s in starts
    ]
    metric = info.metrics[0]
    assert (metric.name, metric.task, metric.arithmetic, metric.n) == ("auroc", "mi_vs_all", "int8", 12)
    assert metric.value == pytest.approx(auroc(store.labels[rows], np.mean(logits, axis=0)))
    assert any(m.arithmetic == "float" and m.n == 12 for m in info.metrics)


def test_a_toy_that_can_be_learned_stays_learned(learned: Checkpoint) -> None:
    crossfit = [m for m in learned.info.metrics if m.n == 96 and m.name == "auroc"]
    assert crossfit[0].arithmetic == "int8"
    assert crossfit[0].value > 0.8


def test_scales_zero_points_and_weights_are_the_same_in_every_artefact(
    run: Path, learned: Checkpoint, tmp_path: Path
) -> None:
    """What training ended with, the checkpoint, the quantised network, the tflite file and the onnx file."""
    part = next((run / "parts").glob("qat-12345678-*.npz"))
    net = quantise(learned)
    bundle = export_bundle(learned, tmp_path / "bundle", limits=LOOSE).bundle
    tflite, onnx_file = read_tflite(bundle.content[TFLITE_INT8]), read_onnx(bundle.content[ONNX_INT8])
    with np.load(part) as arrays:
        trained = {
            name: (np.float32(arrays[f"{name}.scale"]), int(arrays[f"{name}.zero_point"]))
            for name in ("input", *learned.info.net.layer_names)
        }
        for layer in learned.info.net.layer_names:
            assert np.array_equal(arrays[f"{layer}.weight"], learned.weights[layer][0])
    stored = {}
    for name, span in learned.info.ranges.tensors.items():
        params = quant_params(span)
        stored[name] = (np.float32(params.scale), params.zero_point)
    assert trained == stored == activations(net) == tflite["activations"] == onnx_file["activations"]
    assert bundle.info.ranges == learned.info.ranges
    for layer in (*net.convs, net.head):
        for found in (tflite, onnx_file):
            for what in ("weight", "weight_scale", "bias", "bias_scale"):
                assert np.array_equal(found[layer.name][what], getattr(layer, what)), (layer.name, what)


def activations(net: QuantisedNet) -> dict[str, tuple[np.float32, int]]:
    found = {"input": net.input, **{layer.name: layer.result for layer in (*net.convs, net.head)}}
    return {name: (np.float32(params.scale), params.zero_point) for name, params in found.items()}


def read_tflite(content: bytes) -> dict[str, Any]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    found: dict[str, Any] = {"activations": {}}
    for tensor in model.subgraphs[0].tensors:
        name = tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name
        if tensor.quantization is None:
            continue
        scale, zero_point = tensor.quantization.scale, tensor.quantization.zeroPoint
        layer, _, what = name.rpartition(".")
        if what in ("weight", "bias"):
            dtype = np.int8 if what == "weight" else np.int32
            values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype=dtype).reshape(
                tensor.shape
            )
            assert not np.any(zero_point)
            entry = found.setdefault(layer, {})
            entry[what] = values[:, 0].transpose(0, 2, 1) if what == "weight" else values
            entry[f"{what}_scale"] = np.asarray(scale, dtype=np.float32)
        elif name not in ("embedding", "logits"):
            found["activations"]["input" if name == "window" else name] = (
                np.float32(scale[0]),
                int(zero_point[0]),
            )
    return found


def read_onnx(content: bytes) -> dict[str, Any]:
    constants = {c.name: numpy_helper.to_array(c) for c in onnx.load_from_string(content).graph.initializer}
    found: dict[str, Any] = {"activations": {}}
    for name, values in constants.items():
        layer, _, what = name.rpartition(".")
        if what in ("weight", "bias"):
            entry = found.setdefault(layer, {})
            entry[what], entry[f"{what}_scale"] = values, constants[f"{name}.scale"]
        elif what == "scale" and layer.rpartition(".")[2] not in ("weight", "bias") and layer != "embedding":
            key = "input" if layer == "window" else layer
            found["activations"][key] = (np.float32(values), int(constants[f"{layer}.zero_point"]))
    return found


def test_measured_export_keeps_learned_ranges_and_takes_no_others(
    learned: Checkpoint, toy_store: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="were trained together with its weights"):
        export_measured(learned, tmp_path / "bundle", toy_store, ranges="mse", limits=LOOSE)
    assert list(tmp_path.iterdir()) == []
    export_measured(learned, tmp_path / "bundle", toy_store, limits=LOOSE)
    assert Bundle.load(tmp_path / "bundle").info.ranges == learned.info.ranges


@pytest.mark.parametrize("stored", [0, 2, 4])
def test_a_killed_run_goes_on_to_the_same_bytes(
    run: Path, toy_store: Path, plain: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: int
) -> None:
    (tmp_path / "run" / "parts").mkdir(parents=True)
    for file in (run / "model.safetensors", *(run / "parts").glob("[st]*.npz")):
        (tmp_path / "run" / file.relative_to(run)).write_bytes(file.read_bytes())
    written: list[str] = []

    def write_or_die(path: Path, content: bytes) -> None:
        if len(written) == stored:
            raise KeyboardInterrupt
        written.append(path.name)
        write_file(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_file", write_or_die)
        with pytest.raises(KeyboardInterrupt):
            further(toy_store, tmp_path / "run", plain)
    assert len(list((tmp_path / "run" / "parts").glob("qat*.npz"))) == stored
    # the part that was not kept goes on from the snapshot of its last epoch
    assert list((tmp_path / "run" / "parts").glob("qat*.snapshot"))
    further(toy_store, tmp_path / "run", plain).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (run / "qat.safetensors").read_bytes()


def test_teachers_and_students_of_the_run_are_found_again(
    run: Path, toy_store: Path, plain: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "execute", None)
    further(toy_store, run, plain)


def test_a_checkpoint_that_saw_the_test_fold_is_refused(run: Path, toy_store: Path, plain: Recipe) -> None:
    other = replace(QAT, folds=(1, 2, 3, 4, 5, 6, 7), test_fold=8)
    with pytest.raises(ConfigError, match="was trained on fold 8"):
        further(toy_store, run, plain, other)


def test_averaging_must_not_begin_before_the_scales_are_learned() -> None:
    with pytest.raises(ValueError, match="warmup must lie in"):
        QatConfig(warmup=0.6)
