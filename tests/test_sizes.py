"""The table and the plot of sizes: what they say of bytes, arena and MACs is what this code writes."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from edge_mi.benchmarks.pareto import pareto_svg
from edge_mi.export.quantise import quantise
from edge_mi.export.tflite_writer import write_tflite, write_tflite_front, write_tflite_head
from edge_mi.export.tflm import smallest_arena
from toy import toy_checkpoint

from edge_mi.netspec import SHIPPED_SIZE, SIZES

SVG = "{http://www.w3.org/2000/svg}"
DOCUMENT = json.loads(
    (Path(__file__).parents[1] / "benchmarks" / "results" / "sizes.json").read_text(encoding="utf-8")
)


def row(size: str, cost: int, value: float) -> dict[str, Any]:
    auroc = {
        "value": value,
        "interval": [value - 0.03, value + 0.03],
        "networks": 3,
        "n": 99,
        "n_positive": 9,
    }
    return {
        "size": size, "auroc": auroc, "tflite_bytes": cost, "arena_bytes": {"whole": cost}, "macs_hop": 100 * cost,
    }  # fmt: skip


@pytest.mark.parametrize("found", DOCUMENT["sizes"], ids=lambda found: found["size"])
def test_the_costs_are_those_of_the_written_files(found: dict[str, Any]) -> None:
    net = SIZES[found["size"]]
    quantised = quantise(toy_checkpoint(0, net))
    assert (found["parameters"], found["macs_window"], found["macs_hop"]) == (
        net.parameters, net.macs_window, net.macs_hop,
    )  # fmt: skip
    assert found["tflite_bytes"] == len(write_tflite(quantised))
    assert found["auroc"]["interval"][0] < found["auroc"]["value"] < found["auroc"]["interval"][1]
    assert (found["minus_shipped"] is None) == (found["size"] == SHIPPED_SIZE)
    if find_spec("tflite_micro") is None:
        pytest.skip("tflite-micro has no wheel for this platform")
    graphs = {"whole": write_tflite, "front": write_tflite_front, "head": write_tflite_head}
    assert found["arena_bytes"] == {name: smallest_arena(write(quantised)) for name, write in graphs.items()}


def test_every_size_is_in_the_table() -> None:
    assert [found["size"] for found in DOCUMENT["sizes"]] == list(SIZES)


def test_a_size_that_a_cheaper_one_reaches_is_hollow_and_off_the_line() -> None:
    document = {
        "sizes": [
            row("a", 10_000, 0.78),
            row("b", 20_000, 0.77),
            row("c", 30_000, 0.79),
            row("d", 40_000, 0.79),
        ]
    }
    root = ElementTree.fromstring(pareto_svg(document))
    dots = [each.get("class") for each in root.iter(f"{SVG}circle")]
    assert dots == ["dot", "dot beaten", "dot", "dot beaten"] * 3
    assert [len((line.get("points") or "").split()) for line in root.iter(f"{SVG}polyline")] == [2, 2, 2]


def test_everything_is_drawn_inside_the_picture() -> None:
    root = ElementTree.fromstring(pareto_svg(DOCUMENT))
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    for element in root.iter():
        for name, limit in (
            ("x", width),
            ("cx", width),
            ("x1", width),
            ("x2", width),
            ("y", height),
            ("cy", height),
        ):
            assert 0 <= float(element.get(name, 0)) <= limit
    labels = [element.text for element in root.iter(f"{SVG}text")]
    assert {"AUROC", "model.int8.tflite, kB", "million MACs for a hop of 1 s", *SIZES} <= set(labels)
