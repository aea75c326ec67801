"""What the writers write: full integer, the same everywhere, the same bytes; every planted fault is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from edge_mi.export import bundle_writer
from edge_mi.export.agreement import AgreementLimits
from edge_mi.export.bundle_writer import export_bundle
from edge_mi.export.check_windows import check_windows
from edge_mi.export.int8_check import check_onnx_is_integer, check_tflite_is_integer
from edge_mi.export.integer_model import run_integer_model
from edge_mi.export.layers import report_layers
from edge_mi.export.onnx_writer import write_onnx_float, write_onnx_int8
from edge_mi.export.quantise import QuantisedNet, quantise
from edge_mi.export.tflite_writer import write_tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import TOY_NET, toy_checkpoint

from edge_mi.bundle import ONNX_INT8, TFLITE_INT8, Bundle
from edge_mi.checkpoint import Checkpoint, Range
from edge_mi.errors import CheckFailed, ExportDisagreement, OutputError
from edge_mi.float_model import run_layers
from edge_mi.int8_grid import quant_params
from edge_mi.netspec import patchnet
from edge_mi.runners.choose import open_runner
from edge_mi.runners.ort import OrtFloatRunner
from edge_mi.shipped import shipped_bundle, shipped_checkpoint

# random weights answer near their threshold, so decisions are not what is compared
LOOSE = AgreementLimits(family_decisions=1.0, float_decisions=1.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_bundle(toy_checkpoint(), tmp_path_factory.mktemp("toy") / "bundle", limits=LOOSE).bundle


def windows(n: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, size=(n, TOY_NET.window_samples)).astype(np.int8)


def test_files_are_full_integer() -> None:
    net = quantise(toy_checkpoint())
    assert check_tflite_is_integer(write_tflite(net)) == {"CONV_2D": 3, "AVERAGE_POOL_2D": 1, "RESHAPE": 1}
    nodes = check_onnx_is_integer(write_onnx_int8(net))
    assert nodes["QLinearConv"] == 3
    assert nodes["QLinearGlobalAveragePool"] == 1
    onnx.checker.check_model(onnx.load_from_string(write_onnx_int8(net)), full_check=True)


def test_a_float_operator_inside_is_found() -> None:
    checkpoint = toy_checkpoint()
    with pytest.raises(ExportDisagreement, match=r"the \.onnx file computes .*Conv"):
        check_onnx_is_integer(write_onnx_float(checkpoint))


@pytest.mark.parametrize(
    ("runner", "family"), [("litert", "fast"), ("ort", "fast"), ("litert-ref", "reference")]
)
def test_every_runner_computes_the_integers_of_its_family(bundle: Bundle, runner: str, family: str) -> None:
    opened = open_runner(bundle, runner)
    assert opened.family == family
    expected = run_integer_model(quantise(toy_checkpoint()), windows(), opened.family)
    assert np.array_equal(np.stack([opened.run(window) for window in windows()]), expected)


@pytest.mark.usefixtures("few_windows")
@pytest.mark.parametrize("seed", range(6))
def test_any_weights_agree_between_the_runtimes(seed: int, tmp_path: Path) -> None:
    net = patchnet(((15, 5, 3 + seed), (6, 4, 5)), name="other", frames=41)
    agreement = export_bundle(toy_checkpoint(seed, net), tmp_path / "bundle", limits=LOOSE).agreement
    assert agreement["litert/ort"].identical == agreement["litert-ref/integers-reference"].identical == 1.0


def test_fp32_is_the_network_in_numpy(bundle: Bundle) -> None:
    checkpoint = toy_checkpoint()
    signals = np.random.default_rng(1).normal(scale=0.4, size=(5, TOY_NET.window_samples)).astype(np.float32)
    expected = run_layers(TOY_NET, checkpoint.weights, signals)["head"][:, 0]
    runner = OrtFloatRunner(bundle)
    np.testing.assert_allclose(np.stack([runner.run(s) for s in signals]), expected, atol=1e-4)


@settings(max_examples=200)
@given(st.floats(-50, 50, allow_subnormal=False), st.floats(1e-4, 100))
def test_ranges_hold_zero_exactly_and_their_ends_within_a_step(low: float, width: float) -> None:
    params = quant_params(Range(low=low, high=low + width))
    assert -128 <= params.zero_point <= 127
    for end in (min(low, 0.0), max(low + width, 0.0)):
        code = np.clip(round(end / params.scale) + params.zero_point, -128, 127)
        assert abs((code - params.zero_point) * params.scale - end) <= 1.01 * params.scale


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path, bundle: Bundle) -> None:
    export_bundle(toy_checkpoint(), tmp_path / "again", limits=LOOSE)
    for file in sorted(bundle.path.iterdir()):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


@pytest.mark.parametrize("hop_s", [0.2, 1.0, 7.8])
def test_any_hop_is_compared_on_two_thousand_windows(hop_s: float) -> None:
    checkpoint = Checkpoint.load(shipped_checkpoint()).with_hop(hop_s)
    runs = check_windows(checkpoint.info.signal, checkpoint.info.net)
    assert 2000 <= sum(map(len, runs)) < 2200


def test_what_ships_is_small() -> None:
    bundle = Bundle.load(shipped_bundle())
    assert bundle.info.files[TFLITE_INT8].bytes <= 150_000
    assert bundle.info.files[ONNX_INT8].bytes <= 150_000
    total = (
        sum(file.stat().st_size for file in shipped_bundle().iterdir()) + shipped_checkpoint().stat().st_size
    )
    assert total < 2_000_000


def one_bias(net: QuantisedNet) -> QuantisedNet:
    layer = net.convs[0]
    bias = layer.bias.copy()
    bias[0] += 4000
    return replace(net, convs=(replace(layer, bias=bias), *net.convs[1:]))


def one_output_bias(net: QuantisedNet) -> QuantisedNet:
    return replace(net, head=replace(net.head, bias=net.head.bias + 4000))


def one_weight(net: QuantisedNet) -> QuantisedNet:
    layer = net.convs[1]
    weight = layer.weight.copy()
    weight[2, 1, 1] = -weight[2, 1, 1] if weight[2, 1, 1] else 90
    return replace(net, convs=(net.convs[0], replace(layer, weight=weight)))


def one_scale(net: QuantisedNet) -> QuantisedNet:
    head = replace(net.head, result=replace(net.head.result, scale=net.head.result.scale * 1.1))
    return replace(net, head=head)


@pytest.mark.parametrize(("fault", "layer"), [(one_bias, "conv1"), (one_weight, "conv2")])
@pytest.mark.parametrize(("writer", "column"), [("write_tflite", 6), ("write_onnx_int8", 7)])
def test_a_fault_in_either_writer_leaves_no_bundle_and_names_its_layer(
    writer: str,
    column: int,
    fault: Callable[[QuantisedNet], QuantisedNet],
    layer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = getattr(bundle_writer, writer)
    monkeypatch.setattr(bundle_writer, writer, lambda net: right(fault(net)))
    with pytest.raises(ExportDisagreement) as caught:
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE)
    assert list(tmp_path.iterdir()) == []
    assert caught.value.table is not None
    marked = [line for line in caught.value.table.splitlines() if "first that differs" in line]
    assert len(marked) == 1
    assert marked[0].startswith(layer)


@pytest.mark.parametrize(
    "writer", ["write_tflite_front", "write_tflite_head", "write_onnx_front", "write_onnx_head"]
)
def test_a_fault_in_an_incremental_writer_leaves_no_bundle(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = one_output_bias if writer.endswith("head") else one_bias
    right = getattr(bundle_writer, writer)
    monkeypatch.setattr(bundle_writer, writer, lambda net: right(fault(net)))
    stage = "logits of front and head" if writer.endswith("head") else "mean of the front graph's frames"
    with pytest.raises(ExportDisagreement, match=stage):
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["write_tflite", "write_onnx_int8"])
def test_a_scale_that_is_not_the_bundles_leaves_no_bundle(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(bundle_writer, writer)
    monkeypatch.setattr(bundle_writer, writer, lambda net: right(one_scale(net)))
    with pytest.raises(CheckFailed):
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE)
    assert list(tmp_path.iterdir()) == []


def test_files_without_a_fault_differ_in_no_layer() -> None:
    checkpoint = Checkpoint.load(shipped_checkpoint())
    net = quantise(checkpoint)
    content = {"model.int8.tflite": write_tflite(net), "model.int8.onnx": write_onnx_int8(net)}
    few = np.concatenate(check_windows(checkpoint.info.signal, net.spec, 12.0))[::8]
    reports = report_layers(net, checkpoint.weights, content, few)
    assert [r.figures.name for r in reports] == ["conv1", "conv2", "conv3", "conv4", "conv5", "head"]
    assert [r.tflite_differ for r in reports] == [0] * 6
    assert not any(r.differs for r in reports)
    assert min(r.figures.sqnr_db or 0 for r in reports) > 15
    assert sum(r.figures.macs_window for r in reports) == net.spec.macs_window
    assert sum(r.figures.macs_hop for r in reports) == net.spec.macs_hop


def test_too_much_lost_against_float_leaves_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ExportDisagreement, match="litert/float"):
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=AgreementLimits(family_decisions=1.0))
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept_without_force(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "model.json").write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        export_bundle(toy_checkpoint(), tmp_path / "bundle")
    assert (tmp_path / "bundle" / "model.json").read_text() == "mine"
    export_bundle(toy_checkpoint(), tmp_path / "bundle", force=True, limits=LOOSE)
    assert Bundle.load(tmp_path / "bundle").info.net == TOY_NET
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
