"""The routes from the float network to an int8 file, and how they are gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from edge_mi.float_model import Weights
from edge_mi.netspec import NetSpec

from .environments import Environments, RouteFailed, run

HERE: Final = Path(__file__).resolve().parent
TASK: Final = "task.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One script of `scripts/` in one environment, and the file that it writes."""

    environment: str
    script: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Steps to an int8 file; the last step writes it. converter: what is compared, with its version."""

    name: str
    converter: str
    format: Literal["tflite", "onnx"]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a route wrote, or the line that it failed with."""

    name: str
    converter: str
    format: Literal["tflite", "onnx"]
    content: bytes | None
    error: str | None = None


_TORCH_ONNX: Final = Step(environment="onnx", script="torch_onnx", file="network.onnx")
ROUTES: Final = (
    Route(
        name="litert-torch-pt2e",
        converter="litert-torch 0.10.0, PT2E static",
        format="tflite",
        steps=(Step(environment="litert-torch", script="litert_torch_pt2e", file="pt2e.tflite"),),
    ),
    Route(
        name="litert-torch-quantizer",
        converter="litert-torch 0.10.0, ai-edge-quantizer 0.10.0 (static_wi8_ai8)",
        format="tflite",
        steps=(Step(environment="litert-torch", script="litert_torch_quantizer", file="quantizer.tflite"),),
    ),
    Route(
        name="keras",
        converter="tf.keras rebuilt, TFLiteConverter of TensorFlow 2.21.0",
        format="tflite",
        steps=(Step(environment="tensorflow", script="keras_tflite", file="keras.tflite"),),
    ),
    Route(
        name="onnx2tf",
        converter="torch.onnx, onnx2tf 1.29.24, TFLiteConverter of TensorFlow 2.19.0",
        format="tflite",
        steps=(_TORCH_ONNX, Step(environment="onnx2tf", script="onnx2tf_tflite", file="onnx2tf.tflite")),
    ),
    Route(
        name="ort-static",
        converter="torch.onnx, static quantiser of ONNX Runtime 1.32.0 (QDQ)",
        format="onnx",
        steps=(_TORCH_ONNX, Step(environment="onnx", script="ort_static", file="ort_static.onnx")),
    ),
)


def write_task(folder: Path, spec: NetSpec, weights: Weights, windows_mv: NDArray[np.floating]) -> None:
    """What every script is given: weights, strides and calibration windows (n, samples), millivolts."""
    strides = [*(conv.stride for conv in spec.convs), 1]
    arrays: dict[str, NDArray[Any]] = {
        f"{layer}.{part}": array
        for layer in spec.layer_names
        for part, array in zip(("weight", "bias"), weights[layer], strict=True)
    }
    arrays |= {"layers": np.array(spec.layer_names), "strides": np.array(strides)}
    np.savez(folder / TASK, allow_pickle=False, windows=windows_mv.astype(np.float32), **arrays)


def run_step(step: Step, environments: Environments, folder: Path) -> None:
    """Run a script on the task in `folder`. Raises RouteFailed with its last line."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "ORT_DISABLE_TELEMETRY": "1"}
    python = environments.python(step.environment)
    # started from here by name, so that the scripts import each other and nothing of EdgeMI
    words = [str(python), "-m", f"scripts.{step.script}", str(folder / TASK), str(folder / step.file)]
    run(words, cwd=HERE, env={**os.environ, **quiet})


def convert_all(folder: Path, go: Callable[[Step], None], routes: Sequence[Route] = ROUTES) -> list[Written]:
    """What each route wrote into `folder`, or why it did not; `go` runs a step."""
    files = []
    for route in routes:
        print(f"converting by {route.converter}", flush=True)
        content, error = None, None
        try:
            content = _convert(route, folder, go)
        except RouteFailed as exc:
            error = str(exc).replace(f"{folder}/", "")
            print(f"  failed: {error}", flush=True)
        files.append(
            Written(
                name=route.name, converter=route.converter, format=route.format, content=content, error=error
            )
        )
    return files


def _convert(route: Route, folder: Path, go: Callable[[Step], None]) -> bytes:
    for step in route.steps:
        file = folder / step.file
        if not file.is_file():  # routes share a first step
            go(step)
        if not file.is_file():
            raise RouteFailed(f"{step.script} wrote no {step.file}")
    return (folder / route.steps[-1].file).read_bytes()
