"""The page about a bundle: one file, well-formed, about the files themselves, and nothing of theirs is markup."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from bundle_edits import edit, replace_file
from edge_mi.export.bundle_reader import read_float, read_quantised
from edge_mi.export.bundle_writer import write_unchecked
from edge_mi.export.look_inside import look_inside
from edge_mi.export.onnx_writer import write_onnx_int8
from edge_mi.export.quantise import quantise
from toy import toy_checkpoint, with_weights

from edge_mi.bundle import ONNX_FP32, ONNX_INT8, Bundle
from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import BundleError
from edge_mi.shipped import shipped_bundle, shipped_checkpoint

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Demands that every element is closed in its turn; keeps tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@cache
def shipped_page() -> str:
    return look_inside(Bundle.load(shipped_bundle()))


def test_the_page_is_well_formed_and_needs_nothing_from_outside() -> None:
    text = shipped_page()
    page = Page(text)
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"https?:|//|@import|url\(", text)
    assert not [a for a in page.attributes if a[1] in {"href", "src", "srcset"} or a[1].startswith("on")]
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert len(text) < 250_000


def test_the_page_has_the_notice_first_and_everything_it_promises() -> None:
    info = Bundle.load(shipped_bundle()).info
    text = " ".join(Page(shipped_page().partition("<body>")[2].partition("</body>")[0]).text)
    assert text.strip().startswith(info.notice)
    for name, entry in info.files.items():
        assert name in text
        assert entry.sha256 in text
    for metric in info.metrics:
        assert metric.interval is None or f"{metric.interval[0]:.3f} to {metric.interval[1]:.3f}" in text
    for layer in info.layers:
        for words in (layer.name, f"{layer.shape[0]} × {layer.shape[1]}", f"{layer.sqnr_db:.1f}"):
            assert words in text
    assert "figures in model.json are others" not in text


def test_every_layer_has_its_charts_with_axes() -> None:
    page = shipped_page()
    for name in Bundle.load(shipped_bundle()).info.net.layer_names:
        for chart in ("weights", "outputs", "error against float"):
            drawn = re.search(rf'<svg class="chart"[^>]*aria-label="{name}: {chart}">.*?</svg>', page)
            assert drawn is not None, (name, chart)
            assert "% of values" in drawn.group()
            assert drawn.group().count('class="tick"') >= 6
    assert page.count(": SQNR by channel</title>") == 5  # the head has one channel


def test_both_colour_schemes_name_every_colour() -> None:
    light, dark = re.findall(r":root \{([^}]*)\}", shipped_page())
    colours = {*re.findall(r"(--\w+):", light)}
    assert {*re.findall(r"(--\w+):", dark)} == colours
    assert {*re.findall(r"var\((--\w+)\)", shipped_page())} <= colours


def test_the_files_give_back_what_was_written() -> None:
    bundle, checkpoint = Bundle.load(shipped_bundle()), Checkpoint.load(shipped_checkpoint())
    found, expected = read_quantised(bundle), quantise(checkpoint)
    assert (found.input, found.frames, found.output) == (expected.input, expected.frames, expected.output)
    for a, b in zip((*found.convs, found.head), (*expected.convs, expected.head), strict=True):
        assert (a.name, a.stride, a.relu, a.source, a.result) == (
            b.name,
            b.stride,
            b.relu,
            b.source,
            b.result,
        )
        for part in ("weight", "weight_scale", "bias", "bias_scale"):
            assert np.array_equal(getattr(a, part), getattr(b, part))
    for layer, (weight, bias) in read_float(bundle).items():
        assert np.array_equal(weight, checkpoint.weights[layer][0])
        assert np.array_equal(bias, checkpoint.weights[layer][1])


def test_the_page_tells_of_the_files_and_says_where_the_document_differs(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shipped_bundle(), tmp_path / "b"))
    net = quantise(Checkpoint.load(shipped_checkpoint()))
    weight = net.convs[2].weight.copy()
    weight[:8] = 0
    planted = replace(net, convs=(*net.convs[:2], replace(net.convs[2], weight=weight), *net.convs[3:]))
    replace_file(folder, ONNX_INT8, write_onnx_int8(planted))
    page = look_inside(Bundle.load(folder))
    assert "figures in model.json are others" in page
    sqnr = re.search(r"<tr><td>conv3</td>.*?</tr>", page)
    assert sqnr is not None
    assert "100.00%" not in sqnr.group()
    assert re.search(r'<td class="number">\d+\.\d\d%</td><td class="number">0\.\d\d%</td></tr>', sqnr.group())


def test_what_a_bundle_says_is_never_markup(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shipped_bundle(), tmp_path / "b"))
    evil = "\"><script>alert('x')</script><b a='"

    def plant(document: dict[str, object]) -> None:
        document["notice"] = evil
        document["versions"] = {"edge-mi": evil}
        document["net"]["name"] = evil  # type: ignore[index]
        document["provenance"]["command"] = evil  # type: ignore[index]
        document["metrics"][0].update(name=evil, task=evil, source=evil)  # type: ignore[index]

    edit(folder, plant)
    bundle = Bundle.load(folder)
    page = Page(look_inside(bundle))
    assert "script" not in page.tags
    assert "b" not in Counter(tag for tag, name, _ in page.attributes if name == "a")
    assert any(evil in text for text in page.text)


def test_a_network_with_a_dead_channel_is_shown(tmp_path: Path) -> None:
    checkpoint = toy_checkpoint()
    weight, bias = (array.copy() for array in checkpoint.weights["conv1"])
    weight[0], bias[0] = 0.0, -1.0
    dead = with_weights(checkpoint, "conv1", weight)
    dead.weights["conv1"] = (weight, bias)
    bundle, _, _ = write_unchecked(dead, quantise(dead), tmp_path)
    assert "Always 0: 1 of 6 channels." in " ".join(Page(look_inside(bundle)).text)


@pytest.mark.parametrize("name", [ONNX_INT8, ONNX_FP32])
def test_a_file_that_is_none_or_another_networks_is_refused(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shipped_bundle(), tmp_path / "b"))
    replace_file(folder, name, b"\x00" * 40)
    with pytest.raises(BundleError, match=f"{name}: "):
        look_inside(Bundle.load(folder))
    from edge_mi.export.onnx_writer import write_onnx_float

    other = toy_checkpoint()
    replace_file(
        folder, name, write_onnx_int8(quantise(other)) if name == ONNX_INT8 else write_onnx_float(other)
    )
    with pytest.raises(BundleError, match=f"{name}: conv1.weight is .*export the bundle again"):
        look_inside(Bundle.load(folder))
