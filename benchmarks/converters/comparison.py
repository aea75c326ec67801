"""Every file, ours and theirs, judged on the same windows and timed in one run: the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from edge_mi.benchmarks.machine import describe_machine
from edge_mi.export.onnx_writer import write_onnx_int8
from edge_mi.export.quantise import quantise
from edge_mi.export.tflite_writer import write_tflite
from edge_mi.export.tflm import tflm_installed

from edge_mi.bundle import TFLITE_INT8
from edge_mi.checkpoint import Checkpoint
from edge_mi.float_model import measure_ranges
from edge_mi.progress import Progress
from edge_mi.range_search import DEFAULT, RangeMethod
from edge_mi.samples import FloatArray
from edge_mi.shipped import shipped_bundle

from .judge import Judge, Judged, pair_document
from .material import Material
from .model_file import ModelFile, RuntimeFailed
from .onnx_file import DEFAULT as ORT
from .onnx_file import INT8_ALLOWED, OnnxFile
from .routes import Written
from .tflite_file import XNNPACK, TfliteFile
from .timing import PROCESSES, ROUNDS, in_fresh_processes, interleaved, ratio_document

Json = dict[str, Any]
SCHEMA: Final = 1
COMMAND: Final = "make converters"
OURS: Final = "ours"
AGAIN: Final = "ours, opened a second time"
_PACKAGES: Final = ("ai-edge-litert", "onnxruntime", "tflite-micro", "numpy")


@dataclass(frozen=True, slots=True)
class _Row:
    """A file under one runtime."""

    written: Written
    content: bytes
    runtime: str

    def open(self) -> ModelFile:
        """Raises RuntimeFailed for what is no file of its format."""
        return TfliteFile(self.content) if self.written.format == "tflite" else OnnxFile(self.content)

    @property
    def key(self) -> str:
        return f"{self.written.name}/{self.runtime}"


def own_files(checkpoint: Checkpoint, material: Material) -> list[Written]:
    """Ours, with ranges from the calibration windows: percentiles, as it ships, and minimum and maximum."""
    files = []
    methods: tuple[tuple[RangeMethod, str], ...] = ((DEFAULT, OURS), ("minmax", f"{OURS}-minmax"))
    for method, name in methods:
        info = checkpoint.info
        ranges = measure_ranges(
            info.net, checkpoint.weights, material.calibration, material.calibration_ids, method
        )
        net = quantise(Checkpoint(replace(info, ranges=ranges), checkpoint.weights))
        make = partial(Written, name=name, converter=f"edge-mi, ranges by {method}")
        files.append(make(format="tflite", content=write_tflite(net)))
        if name == OURS:
            files.append(make(format="onnx", content=write_onnx_int8(net)))
    return files


def compare_files(
    checkpoint: Checkpoint,
    material: Material,
    files: Sequence[Written],
    *,
    processes: int = PROCESSES,
    rounds: int = ROUNDS,
) -> Json:
    """The document; `files` hold ours in both formats. A file that a runtime refuses is a row with its error."""
    judge = Judge(checkpoint, material)
    failed = [_failed(file, file.error) for file in files if file.content is None]
    rows = [row for file in files for row in _rows(file)]
    judged: dict[str, Judged] = {}
    with Progress(len(rows), "judging") as progress:
        for row in rows:
            try:
                judged[row.key] = judge.judge(row.open(), row.runtime)
            except RuntimeFailed as exc:
                failed.append(_failed(row.written, f"{row.runtime}: {exc}"))
            progress.advance()
    kept = [row for row in rows if row.key in judged]
    times = in_fresh_processes(partial(_time_once, kept, material.windows[0], rounds), processes)
    documents = []
    for row in kept:
        own = f"{OURS}/{row.runtime}"
        document: Json = {
            "name": row.written.name,
            "converter": row.written.converter,
            "format": row.written.format,
        }
        document |= judged[row.key].document
        if row.written.format == "tflite":
            document |= _arena(TfliteFile(row.content))
        document["latency"] = ratio_document(times[row.key], times[own], rounds)
        document["minus_ours"] = None if row.key == own else judge.compare(judged[row.key], judged[own])
        documents.append(document)
    ours = {row.runtime: row for row in kept if row.written.name == OURS}
    _across_formats(documents, ours, material)
    return {
        "schema": SCHEMA,
        "network": checkpoint.info.net.name,
        "calibrated": f"{len(material.calibration)} windows of {material.calibrated}",
        "measured": material.measured,
        "measured_windows": len(range(*material.measured_windows.indices(len(material.windows)))),
        "windows": len(material.windows),
        "records": len(material.labels),
        "positive": int(material.labels.sum()),
        "operating_points": [point.name for point in checkpoint.info.operating_points],
        "ours_is_shipped": ours[XNNPACK].content == (shipped_bundle() / TFLITE_INT8).read_bytes(),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in _PACKAGES if name != "tflite-micro" or tflm_installed()},
        "noise": {
            runtime: ratio_document(times[f"{AGAIN}/{runtime}"], times[row.key], rounds)
            for runtime, row in ours.items()
        },
        "rows": documents,
        "failed": failed,
        "command": COMMAND,
    }


def _rows(file: Written) -> list[_Row]:
    """A .tflite file is judged by XNNPACK; an .onnx file in both ways to open it, the one that is its maker's first."""
    if file.content is None:
        return []
    if file.format == "tflite":
        return [_Row(file, file.content, XNNPACK)]
    first, second = (INT8_ALLOWED, ORT) if file.name == OURS else (ORT, INT8_ALLOWED)
    return [_Row(file, file.content, runtime) for runtime in (first, second)]


def _time_once(rows: Sequence[_Row], window_mv: FloatArray, rounds: int, seed: int) -> dict[str, float]:
    """Median of every row, and of ours twice: what differs between the two is noise. Interleaved by runtime."""
    times: dict[str, float] = {}
    for runtime in dict.fromkeys(row.runtime for row in rows):
        openers = {}
        for row in rows:
            if row.runtime == runtime:
                ready = partial(row.open().ready, runtime, window_mv)
                openers[row.key] = ready
                if row.written.name == OURS:
                    openers[f"{AGAIN}/{runtime}"] = ready
        times |= interleaved(openers, rounds=rounds, seed=seed)
    return times


def _arena(model: TfliteFile) -> Json:
    try:
        return {"arena_bytes": model.arena_bytes()}
    except RuntimeFailed as exc:
        return {"arena_bytes": None, "arena_error": str(exc)}


def _across_formats(documents: list[Json], ours: dict[str, _Row], material: Material) -> None:
    """Only ours writes both formats from the same integers, so only there can the two be compared."""
    first, second = ours[XNNPACK], ours[INT8_ALLOWED]
    sides = [row.open().answers(row.runtime, material.windows) for row in (first, second)]
    row = next(d for d in documents if (d["name"], d["runtime"]) == (OURS, XNNPACK))
    row["pairs"].append(pair_document(first.runtime, second.runtime, *sides))


def _failed(file: Written, error: str | None) -> Json:
    return {"name": file.name, "converter": file.converter, "format": file.format, "error": error}
