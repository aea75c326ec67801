"""TFLM's interpreter is one of the runtimes that must agree, where it is installed; where not, the export says so."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from edge_mi.export import agreement, footprint, tflm
from edge_mi.export.agreement import PAIRS, AgreementLimits, enforce_agreement, measure_agreement
from edge_mi.export.bundle_writer import export_bundle, write_unchecked
from edge_mi.export.check_windows import check_windows
from edge_mi.export.footprint import graph_memories
from edge_mi.export.quantise import QuantisedNet, quantise
from edge_mi.export.tflite_writer import write_tflite, write_tflite_front, write_tflite_head
from edge_mi.export.tflm import TflmRunner, smallest_arena
from toy import toy_checkpoint

from edge_mi.bundle import FRONT_TFLITE, HEAD_TFLITE, TFLITE_INT8, Bundle
from edge_mi.cli.main import main
from edge_mi.errors import BundleError, ExportDisagreement
from edge_mi.golden import verify_golden
from edge_mi.netspec import SIZES, NetSpec
from edge_mi.shipped import shipped_bundle

LOOSE = AgreementLimits(family_decisions=1.0, float_decisions=1.0)
installed = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="tflite-micro has no wheel for this platform"
)
WRITERS = {TFLITE_INT8: write_tflite, FRONT_TFLITE: write_tflite_front, HEAD_TFLITE: write_tflite_head}


def contents(net: QuantisedNet) -> dict[str, bytes]:
    return {file: write(net) for file, write in WRITERS.items()}


@pytest.fixture
def without_tflm(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (agreement, footprint):
        monkeypatch.setattr(module, "tflm_installed", lambda: False)


@installed
def test_tflm_gives_the_golden_outputs_of_the_reference_family() -> None:
    bundle = Bundle.load(shipped_bundle())
    runner = TflmRunner(bundle)
    assert runner.family == "reference"
    assert verify_golden(bundle, runner).matched == "reference"


@installed
@pytest.mark.parametrize("net", SIZES.values(), ids=list(SIZES))
def test_every_size_agrees_bit_for_bit(net: NetSpec, tmp_path: Path) -> None:
    checkpoint = toy_checkpoint(3, net)
    quantised = quantise(checkpoint)
    bundle, _, _ = write_unchecked(checkpoint, quantised, tmp_path)
    windows = check_windows(checkpoint.info.signal, net, 12.0)
    pairs = measure_agreement(bundle, quantised, windows)
    enforce_agreement(pairs, LOOSE)
    assert set(pairs) == {f"{a}/{b}" for a, b, _ in PAIRS}
    assert {pair.values for pair in pairs.values()} == {sum(map(len, windows))}


@installed
@pytest.mark.parametrize(
    ("file", "pair"),
    [
        (TFLITE_INT8, "litert-ref/tflm"),
        (FRONT_TFLITE, "litert-ref-hops/tflm-hops"),
        (HEAD_TFLITE, "litert-ref-hops/tflm-hops"),
    ],
)
def test_a_graph_that_tflm_alone_computes_otherwise_leaves_no_bundle(
    file: str, pair: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are right, and TFLM is handed another network of the same shape in place of one of them."""
    checkpoint, other = toy_checkpoint(), toy_checkpoint(1)
    other = type(other)(checkpoint.info, other.weights)
    right, wrong = contents(quantise(checkpoint))[file], contents(quantise(other))[file]
    opened = tflm._open
    monkeypatch.setattr(tflm, "_open", lambda m, arena: opened(wrong if m == right else m, arena))
    with pytest.raises(ExportDisagreement, match=rf"^{pair}: .* all must be"):
        export_bundle(checkpoint, tmp_path / "bundle", limits=LOOSE)
    assert list(tmp_path.iterdir()) == []


@installed
def test_a_graph_of_another_scale_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.load(shipped_bundle())
    opened = tflm._open

    class Rescaled:
        def __init__(self, interpreter: Any) -> None:
            self.get_output_details = interpreter.get_output_details
            self.details = interpreter.get_input_details(0)

        def get_input_details(self, index: int) -> dict[str, Any]:
            scale = self.details["quantization_parameters"]["scales"] * 2
            quantisation = {**self.details["quantization_parameters"], "scales": scale}
            return {**self.details, "quantization_parameters": quantisation}

    monkeypatch.setattr(tflm, "_open", lambda m, arena: Rescaled(opened(m, arena)))
    with pytest.raises(BundleError, match=r"model\.int8\.tflite: input is"):
        TflmRunner(bundle)


@installed
def test_a_graph_that_runs_in_no_arena_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "_ARENA_LIMIT", 1000)
    with pytest.raises(BundleError, match="cannot run the graph in 1000 bytes"):
        smallest_arena(write_tflite(quantise(toy_checkpoint())))


@installed
def test_the_arena_is_the_smallest_that_works_and_holds_the_activations() -> None:
    net = quantise(toy_checkpoint())
    for memory in graph_memories(net, contents(net)):
        model = contents(net)[memory.file]
        assert memory.arena_bytes is not None
        assert tflm._runs_in(model, memory.arena_bytes)
        with tflm.silenced_stderr():
            assert not tflm._runs_in(model, memory.arena_bytes - 1)
        assert memory.activations_bytes < memory.arena_bytes < memory.activations_bytes + 8000


def test_without_tflm_the_export_goes_on_and_says_so(
    without_tflm: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "toy.safetensors"
    toy_checkpoint().save(checkpoint)
    (tmp_path / "limits.json").write_text(
        '{"family_decisions": 1, "float_decisions": 1, "auroc_difference": 1}'
    )
    words = ["export", "--int8", str(checkpoint), "--limits", str(tmp_path / "limits.json")]
    assert main([*words, "--target", "generic", "--out", str(tmp_path / "bundle")]) == 0
    page = capsys.readouterr().out
    assert "not compared: litert-ref/tflm, litert-ref-hops/tflm-hops: tflite-micro is not installed" in page
    assert "arena: not measured" in page
    result = export_bundle(toy_checkpoint(), tmp_path / "again", limits=LOOSE)
    assert set(result.not_compared) == {"litert-ref/tflm", "litert-ref-hops/tflm-hops"}
    assert not set(result.not_compared) & set(result.agreement)
    assert "litert-ref/integers-reference" in result.agreement
