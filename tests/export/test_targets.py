"""A model that does not fit its target is refused with a layer and bytes; one that fits is told what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from edge_mi.export import footprint, target_report
from edge_mi.export.agreement import AgreementLimits
from edge_mi.export.bundle_writer import export_bundle
from edge_mi.export.c_footprint import code_memory
from edge_mi.export.c_writer import SOURCE, write_c
from edge_mi.export.defaults import DEFAULT_QUALITY, default_alarm
from edge_mi.export.footprint import graph_memories, layer_costs
from edge_mi.export.instruction_counts import COUNTS
from edge_mi.export.quantise import quantise
from edge_mi.export.target_report import report_target
from edge_mi.export.targets import TARGETS, Target, target_named
from edge_mi.export.tflite_writer import write_tflite, write_tflite_front, write_tflite_head
from toy import TOY_NET, toy_checkpoint

from edge_mi import strict
from edge_mi.bundle import C_SOURCE, FRONT_TFLITE, HEAD_TFLITE, TFLITE_INT8
from edge_mi.checkpoint import Checkpoint
from edge_mi.cli.main import main
from edge_mi.errors import ConfigError, DoesNotFit
from edge_mi.firmware import Firmware
from edge_mi.netspec import PATCHNET_S, NetSpec, patchnet
from edge_mi.shipped import shipped_checkpoint

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("few_windows")
LOOSE = AgreementLimits(family_decisions=1.0, float_decisions=1.0)


def content(net: NetSpec = TOY_NET) -> dict[str, bytes]:
    quantised = quantise(toy_checkpoint(0, net))
    return {
        TFLITE_INT8: write_tflite(quantised),
        FRONT_TFLITE: write_tflite_front(quantised),
        HEAD_TFLITE: write_tflite_head(quantised),
    }


def test_the_table_holds_the_targets_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    names = [target.name for target in TARGETS]
    assert names == ["pi", "nrf52840", "esp32s3", "stm32l4", "rp2040", "generic"]
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "pi, nrf52840, esp32s3, stm32l4, rp2040 or generic" in text
    with pytest.raises(ConfigError, match="choose one of pi, nrf52840"):
        target_named("z80")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_figure_of_the_table_has_a_source_and_a_use(target: Target) -> None:
    assert target.source
    assert 0 < target.flash_share < 1
    assert 0 < target.ram_share < 1
    assert target.count is None or COUNTS[target.count].source
    assert (target.count is None) == (target.cycles_per_instruction is None)
    if target.power is not None:
        assert target.power.source
        assert 1e-11 < target.power.joule_per_cycle < 1e-8


def test_costs_are_those_of_the_network() -> None:
    costs = layer_costs(quantise(toy_checkpoint(0, PATCHNET_S)))
    assert sum(layer.macs_window for layer in costs) == PATCHNET_S.macs_window
    assert sum(layer.macs_hop for layer in costs) == PATCHNET_S.macs_hop
    # one byte a weight, four a bias
    assert sum(layer.bytes for layer in costs) == PATCHNET_S.parameters + 3 * (24 + 32 + 64 + 64 + 64 + 1)


def test_the_peak_is_that_of_input_and_output_of_one_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "tflm_installed", lambda: False)
    net = quantise(toy_checkpoint(0, PATCHNET_S))
    whole, front, head = graph_memories(net, content(PATCHNET_S))
    first, second = PATCHNET_S.lengths[:2]
    assert (whole.peak_layer, whole.activations_bytes) == ("conv2", first * 24 + second * 32)
    assert (front.peak_layer, head.peak_layer) == ("conv2", "pool")
    assert head.activations_bytes == 39 * 64 + 64
    assert whole.arena_bytes is None
    assert whole.ram_bytes == whole.activations_bytes


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_ships_fits_every_target(target: Target) -> None:
    report = report_target(quantise(toy_checkpoint(0, PATCHNET_S)), content(PATCHNET_S), target)
    document = strict.encode(report)
    assert json.loads(json.dumps(document)) == document
    assert document["estimates_are"] == "estimate, not measured"
    assert document["firmware"] is None


def test_the_estimate_is_its_formula() -> None:
    target = target_named("nrf52840")
    report = report_target(quantise(toy_checkpoint(0, PATCHNET_S)), content(PATCHNET_S), target)
    window, hop, code = report.estimates
    instructions = PATCHNET_S.macs_hop * 1_349_960 / 487_824
    assert hop.instructions == pytest.approx(instructions, rel=5e-3)
    assert hop.time_ms == pytest.approx(1e3 * instructions * 1.3 / 64e6, rel=5e-3)
    # 52 uA/MHz at 3 V is 156 pJ a cycle
    assert hop.energy_uj == pytest.approx(instructions * 1.3 * 156e-6, rel=5e-3)
    assert window.macs == PATCHNET_S.macs_window
    # the network that was counted: its estimate is the count, filters, quality and alarm included
    assert code.instructions == pytest.approx(1_684_271, rel=5e-3)
    assert any("52 uA/MHz" in source and "quoted" in source for source in report.sources)


def test_instructions_code_and_stack_are_what_was_measured() -> None:
    measured = json.loads((ROOT / "benchmarks" / "results" / "mcu.json").read_text())
    reference = {r["core"]: r for r in measured["rows"] if (r["rate_hz"], r["family"]) == (130, "reference")}
    for count in COUNTS.values():
        row = reference[count.core]
        assert (count.network, count.macs) == (row["instructions_network"], measured["macs_decision"])
        assert count.network + count.others == row["instructions_mean"]
    checkpoint = Checkpoint.load(shipped_checkpoint())
    net = quantise(checkpoint)
    for row in measured["rows"]:
        rounding = 0 if row["family"] == "reference" else 2
        firmware = Firmware(rate_hz=row["rate_hz"], gain="1000", baseline=0, rounding=rounding)
        source = write_c(checkpoint.info, net, firmware, default_alarm(net.spec), DEFAULT_QUALITY)[SOURCE]
        memory = code_memory(source, row["ram_bytes"], net.spec)
        assert row["flash_bytes"] <= memory.flash_bytes < row["flash_bytes"] + 1024
        assert row["stack_bytes"] <= memory.stack_bytes


def test_c_code_is_what_must_fit_where_there_is_some() -> None:
    checkpoint = Checkpoint.load(shipped_checkpoint())
    net = quantise(checkpoint)
    firmware = Firmware(rate_hz=130, gain="1000", baseline=0, rounding=0)
    files = content(net.spec)
    files[C_SOURCE] = write_c(checkpoint.info, net, firmware, default_alarm(net.spec), DEFAULT_QUALITY)[
        SOURCE
    ]
    target = replace(
        target_named("rp2040"), flash_bytes=80 << 10, ram_bytes=16 << 10, flash_share=1.0, ram_share=1.0
    )
    with pytest.raises(DoesNotFit, match=r"83,029 bytes of flash \(tables and code of c/edge_mi.c\)"):
        report_target(net, files, target, state_bytes=11_760)
    target = replace(target, flash_bytes=128 << 10)
    report = report_target(net, files, target, state_bytes=11_760)
    assert report.ram.needed_bytes == 11_760 + 2_432
    with pytest.raises(DoesNotFit, match=r"the layer that keeps most is conv4 with 320 bytes"):
        report_target(net, files, replace(target, ram_bytes=12 << 10), state_bytes=11_760)


@pytest.mark.parametrize("name", ["pi", "generic"])
def test_no_estimate_is_made_without_a_count(name: str) -> None:
    report = report_target(quantise(toy_checkpoint()), content(), target_named(name))
    assert {(e.instructions, e.time_ms, e.energy_uj) for e in report.estimates} == {(None, None, None)}
    assert any("not counted" in source for source in report.sources)


def test_too_little_flash_names_the_largest_layer_and_leaves_nothing(tmp_path: Path) -> None:
    net = patchnet(((15, 4, 320), (9, 5, 256), (5, 1, 32)), name="heavy")
    with pytest.raises(DoesNotFit) as caught:
        export_bundle(
            toy_checkpoint(0, net), tmp_path / "bundle", limits=LOOSE, target=target_named("nrf52840")
        )
    found = len(content(net)[FRONT_TFLITE]) + len(content(net)[HEAD_TFLITE])
    assert str(caught.value) == (
        f"heavy does not fit nrf52840: {found:,} bytes of flash (front.int8.tflite and head.int8.tflite, "
        "without TFLM's own code), allowed are 524,288 (50% of 1,048,576); its largest layer is conv2 with 738,304 "
        "bytes; no bundle was written"
    )
    assert list(tmp_path.iterdir()) == []


def test_too_little_ram_names_the_layer_where_activations_peak(tmp_path: Path) -> None:
    small = replace(target_named("stm32l4"), ram_bytes=24 << 10)
    with pytest.raises(DoesNotFit) as caught:
        export_bundle(toy_checkpoint(0, PATCHNET_S), tmp_path / "bundle", limits=LOOSE, target=small)
    first, second = PATCHNET_S.lengths_for(PATCHNET_S.front_samples)[:2]
    peak = first * 24 + second * 32
    assert "bytes of RAM (" in str(caught.value)
    assert "of front.int8.tflite and head.int8.tflite, ring of frames), allowed are 6,144" in str(
        caught.value
    )
    assert f"peak in conv2 with {peak:,} bytes; no bundle was written" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_budget_that_is_met_to_the_byte_fits_and_one_byte_less_does_not() -> None:
    net, files = quantise(toy_checkpoint()), content()
    report = report_target(net, files, target_named("generic"))
    exact = Target(
        name="exact", title="", core="", source="-", flash_share=1.0, ram_share=1.0,
        flash_bytes=report.flash.needed_bytes, ram_bytes=report.ram.needed_bytes,
    )  # fmt: skip
    assert report_target(net, files, exact).flash.allowed_bytes == report.flash.needed_bytes
    for memory in ("flash_bytes", "ram_bytes"):
        with pytest.raises(DoesNotFit):
            report_target(net, files, replace(exact, **{memory: getattr(exact, memory) - 1}))


def test_on_the_command_line_a_refusal_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(target_named("stm32l4"), flash_bytes=64 << 10)
    monkeypatch.setattr("edge_mi.export.targets.TARGETS", (small,))
    words = ["export", "--int8", "--target", "stm32l4", "--out", str(tmp_path / "bundle")]
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    error = printed.err.strip().splitlines()[-1]
    assert error.startswith("edge-mi: patchnet-67k does not fit stm32l4: 77,032 bytes of flash")
    assert "allowed are 32,768 (50% of 65,536); its largest layer is conv4 with 20,736 bytes" in error
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_target_is_refused_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--int8", "--target", "avr", "--out", str(tmp_path / "bundle")]) == 2
    assert "--target avr; choose one of" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_json_document_and_the_page_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "toy.safetensors"
    toy_checkpoint().save(checkpoint)
    (tmp_path / "limits.json").write_text(
        '{"family_decisions": 1, "float_decisions": 1, "auroc_difference": 1}'
    )
    words = ["export", "--int8", str(checkpoint), "--limits", str(tmp_path / "limits.json")]
    words += ["--target", "nrf52840"]
    assert main([*words, "--out", str(tmp_path / "a")]) == 0
    page = capsys.readouterr().out
    assert main([*words, "--out", str(tmp_path / "b"), "--json"]) == 0
    target = json.loads(capsys.readouterr().out.splitlines()[-1])["target"]
    for words_on_it in (
        target["title"],
        target["arena_source"],
        target["formula"],
        *target["sources"],
        f"{target['flash']['needed_bytes']:,} bytes",
        f"{target['ram']['allowed_bytes']:,} allowed",
        *(layer["name"] for layer in target["layers"]),
        target_report.ESTIMATE,
    ):
        assert words_on_it in " ".join(page.split())
