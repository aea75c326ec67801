"""A bundle is read whole and as written, or refused before the first sample (contract C4)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_edits import edit, replace_file

from edge_mi.bundle import GOLDEN, MODEL_JSON, ONNX_INT8, REQUIRED_FILES, TFLITE_INT8, Bundle
from edge_mi.errors import BundleError, ConfigError
from edge_mi.runners.choose import open_runner
from edge_mi.shipped import shipped_bundle


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))


def test_the_shipped_bundle_loads_and_says_what_it_is() -> None:
    bundle = Bundle.load(shipped_bundle())
    assert bundle.info.notice.startswith("Research use only. Not a medical device")
    assert bundle.info.net.frames % 2 == 1
    assert bundle.info.alarm.span_s >= 3 * bundle.info.net.window_s
    assert bundle.model_id.startswith(bundle.info.net.name)
    assert set(bundle.content) == set(REQUIRED_FILES)


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_a_changed_byte_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} was changed: sha256 .*export the bundle again"):
        Bundle.load(copy)


@pytest.mark.parametrize("name", [MODEL_JSON, *REQUIRED_FILES])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        Bundle.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(colour="red"), "unknown key colour"),
        (lambda d: d["net"].update(depth=3), "unknown key net.depth"),
        (lambda d: d["input"].update(scale=0), "scale must be positive"),
        (lambda d: d["input"].update(zero_point=300), "zero_point within int8"),
        (lambda d: d.update(schema=99), "schema 99, this version of edge-mi reads schema 3"),
        (lambda d: d.pop("calibration"), "missing key calibration"),
        (lambda d: d["alarm"].update(span_s=25), "shorter than three windows"),
        (lambda d: d.update(default_operating_point="none"), "default operating point none"),
        (lambda d: d["net"].update(window_samples=984), "is not 223"),
        (lambda d: d["files"].pop(GOLDEN), "files lacks golden.npz"),
        (lambda d: d.pop("layers"), "missing key layers"),
        (lambda d: d["layers"].pop(2), "the network has"),
        (lambda d: d["layers"][0].update(colour="red"), r"unknown key layers\[0\].colour"),
        (lambda d: d["signal"]["fir"].append(1), "odd in number"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(copy, change)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"null"])
def test_garbage_in_place_of_the_document_is_refused(copy: Path, content: bytes) -> None:
    (copy / MODEL_JSON).write_bytes(content)
    with pytest.raises(BundleError, match=MODEL_JSON):
        Bundle.load(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", ".hidden"])
def test_a_file_name_that_leaves_the_folder_is_refused(copy: Path, name: str) -> None:
    edit(copy, lambda d: d["files"].update({name: {"bytes": 1, "sha256": "0"}}))
    with pytest.raises(BundleError, match="expected letters, digits"):
        Bundle.load(copy)


def test_no_folder_is_one_line() -> None:
    with pytest.raises(BundleError, match="a bundle is a folder written by edge-mi export --int8"):
        Bundle.load("nowhere")


def test_an_unknown_operating_point_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"no operating point best; this bundle has .*balanced"):
        Bundle.load(shipped_bundle()).operating_point("best")


@pytest.mark.parametrize(
    ("name", "runner"), [(TFLITE_INT8, "litert"), (TFLITE_INT8, "litert-ref"), (ONNX_INT8, "ort")]
)
def test_a_graph_that_is_garbage_is_refused(copy: Path, name: str, runner: str) -> None:
    replace_file(copy, name, b"\x00" * 64)
    with pytest.raises(BundleError, match=f"{name}.*cannot load it"):
        open_runner(Bundle.load(copy), runner)


@pytest.mark.parametrize(("name", "runner"), [(TFLITE_INT8, "litert"), (ONNX_INT8, "ort")])
def test_an_int8_file_of_another_shape_is_refused(copy: Path, name: str, runner: str) -> None:
    from edge_mi.export.onnx_writer import write_onnx_int8
    from edge_mi.export.quantise import quantise
    from edge_mi.export.tflite_writer import write_tflite
    from toy import toy_checkpoint

    other = quantise(toy_checkpoint())
    replace_file(copy, name, write_tflite(other) if name == TFLITE_INT8 else write_onnx_int8(other))
    with pytest.raises(BundleError, match=f"{name}: input is .*model.json says int8"):
        open_runner(Bundle.load(copy), runner)


def test_a_float_file_in_place_of_the_int8_one_is_refused(copy: Path) -> None:
    replace_file(copy, ONNX_INT8, (copy / "model.fp32.onnx").read_bytes())
    with pytest.raises(BundleError, match=r"tensor\(float\)"):
        open_runner(Bundle.load(copy), "ort")


def test_an_unknown_runner_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match="choose one of litert, litert-ref, ort"):
        open_runner(Bundle.load(shipped_bundle()), "tpu")
