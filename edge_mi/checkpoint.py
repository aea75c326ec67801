"""A checkpoint: everything that training knows and export needs, in one safetensors file.

Tensors are `<layer>.weight` float32 (out, in, kernel) with batch norm folded in, and `<layer>.bias` float32
(out,), for each of `NetSpec.layer_names`. The document below lies in the metadata under the key `edge_mi`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.errors import CheckpointError, ConfigError
from edge_mi.files import write_file
from edge_mi.netspec import NetSpec
from edge_mi.optional import require
from edge_mi.polarity import PolarityCheck
from edge_mi.signal_design import SignalDesign

SCHEMA: Final = 2
METADATA_KEY: Final = "edge_mi"
LEARNED: Final = "qat-lsq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Smallest and largest value that a tensor takes on the calibration windows, after any clipping."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"an empty range: {self.low} to {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Activation ranges: one for `input`, for each convolution's output and for `head` (the logits)."""

    method: str
    tensors: dict[str, Range]
    window_ids: tuple[str, ...]

    @property
    def learned(self) -> bool:
        """Whether the ranges were trained together with the weights, so that others would not fit these."""
        return self.method.startswith(LEARNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Logit to probability: 1 / (1 + exp(-(slope * logit + offset))), valid at one prevalence."""

    method: Literal["platt"]
    slope: float
    offset: float
    prevalence: float
    fitted_on: str

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError(f"the calibration's slope must be positive, found {self.slope}")
        if not 0 < self.prevalence < 1:
            raise ValueError(f"a prevalence lies between 0 and 1, found {self.prevalence}")

    def probability(self, logit: float) -> float:
        """Calibrated probability of a logit, rounded to 1e-6 so that every machine says the same."""
        odds = math.exp(-abs(z := self.slope * logit + self.offset))
        return round((1.0 if z >= 0 else odds) / (1.0 + odds), 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold on the calibrated probability and what it gave on the records it was chosen on."""

    name: str
    threshold: float
    sensitivity: float
    specificity: float
    chosen_on: str

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"operating point {self.name}: threshold {self.threshold} is no probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured figure (contract C8): what, on whom, how many, how sure, and how to make it again.

    name: e.g. `auroc`. task: e.g. `mi_vs_all`, `mi_vs_norm`, `mi_vs_other_abnormal`. arithmetic: `float` or
    `int8`. interval: 95 %, bootstrap over patients. source: which records, and through which path.
    """

    name: str
    task: str
    arithmetic: Literal["float", "int8", "none"]
    value: float
    interval: tuple[float, float] | None
    n: int
    n_positive: int
    source: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """A data set that training saw."""

    name: str
    version: str
    licence: str
    records: int
    patients: int
    selection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the weights come from."""

    data: tuple[DataSource, ...]
    labels: str
    command: str
    commit: str
    seed: int
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """The document of a checkpoint; polarity is None where none could be learned, and in those of schema 1."""

    schema: int
    net: NetSpec
    signal: SignalDesign
    ranges: Ranges
    calibration: Calibration
    polarity: PolarityCheck | None
    operating_points: tuple[OperatingPoint, ...]
    default_operating_point: str
    metrics: tuple[Metric, ...]
    provenance: Provenance

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, this version of edge-mi reads schema {SCHEMA}")
        if self.net.rate_hz != self.signal.rate_hz:
            raise ValueError(f"network at {self.net.rate_hz} Hz, signal chain at {self.signal.rate_hz} Hz")
        if self.polarity is not None:
            self.polarity.check_rate(self.net.rate_hz)
        expected = {"input", *self.net.layer_names}
        if set(self.ranges.tensors) != expected:
            raise ValueError(f"ranges for {sorted(self.ranges.tensors)}, expected {sorted(expected)}")
        names = [point.name for point in self.operating_points]
        if self.default_operating_point not in names:
            raise ValueError(f"default operating point {self.default_operating_point} is not one of {names}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights with their document; `weights[layer]` is (weight (out, in, kernel), bias (out,)), float32."""

    info: CheckpointInfo
    weights: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]

    def __post_init__(self) -> None:
        for layer in self.info.net.layer_names:
            if layer not in self.weights:
                raise CheckpointError(f"no weights for layer {layer}: this checkpoint is of another network")
            weight, bias = self.weights[layer]
            shape = self.info.net.weight_shape(layer)
            if weight.shape != shape or bias.shape != shape[:1]:
                raise CheckpointError(
                    f"layer {layer}: weights of shape {weight.shape} and {bias.shape}, expected {shape} and {shape[:1]}"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise CheckpointError(
                    f"layer {layer} has weights that are not finite; the training run diverged"
                )

    def with_hop(self, hop_s: float) -> Checkpoint:
        """The same network with another time between decisions, without the figures of its int8 stream.

        Raises ConfigError for a time that does not fit.
        """
        net = self.info.net
        try:
            hop_samples = round(hop_s * net.rate_hz)
            if abs(hop_samples - hop_s * net.rate_hz) > 1e-6:
                raise ValueError(f"hop of {hop_s:g} s is no whole number of samples at {net.rate_hz} Hz")
            other = replace(net, hop_samples=hop_samples)
        except (ValueError, OverflowError) as exc:
            step_s = net.total_stride / net.rate_hz
            raise ConfigError(
                f"{exc}; choose a multiple of {step_s:g} s from {step_s:g} to {net.frames * step_s:g}"
            ) from exc
        # how often a record was answered is a part of what they measured
        metrics = self.info.metrics
        if other.hop_samples != net.hop_samples:
            metrics = tuple(metric for metric in metrics if metric.arithmetic != "int8")
        return Checkpoint(replace(self.info, net=other, metrics=metrics), self.weights)

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all. Raises OutputError where `path` cannot be written."""
        numpy_format: Any = require("safetensors.numpy", extra="export")
        tensors = {}
        for layer in self.info.net.layer_names:
            weight, bias = self.weights[layer]
            tensors[f"{layer}.weight"] = np.ascontiguousarray(weight, dtype=np.float32)
            tensors[f"{layer}.bias"] = np.ascontiguousarray(bias, dtype=np.float32)
        write_file(path, numpy_format.save(tensors, metadata={METADATA_KEY: strict.dumps(self.info)}))

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read and validate a checkpoint. Raises CheckpointError, naming the file."""
        safetensors: Any = require("safetensors", extra="export")
        try:
            if not path.is_file():
                raise CheckpointError(f"{path}: no such checkpoint")
        except OSError as exc:
            raise CheckpointError(f"cannot read {path}: {exc.strerror or exc}") from exc
        try:
            with safetensors.safe_open(str(path), framework="numpy") as handle:
                metadata = handle.metadata() or {}
                arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        except Exception as exc:  # the library raises several unrelated types for a damaged file
            raise CheckpointError(f"{path}: not a safetensors file{_pickle_hint(path)} ({exc})") from exc
        if METADATA_KEY not in metadata:
            raise CheckpointError(
                f"{path}: a safetensors file without edge_mi metadata; export needs our own checkpoint"
            )
        try:
            info = strict.decode(_of_this_schema(strict.parse(metadata[METADATA_KEY])), CheckpointInfo)
            expected = {f"{layer}.{part}" for layer in info.net.layer_names for part in ("weight", "bias")}
            if foreign := sorted(set(arrays) - expected):
                raise CheckpointError(
                    f"tensor {foreign[0]} is of no layer of {info.net.name}: this checkpoint is of another network"
                )
            weights = {
                layer: (_float32(arrays, f"{layer}.weight"), _float32(arrays, f"{layer}.bias"))
                for layer in info.net.layer_names
            }
            return cls(info, weights)
        except (strict.DocumentError, CheckpointError) as exc:
            raise CheckpointError(f"{path}: {exc}") from exc


def _of_this_schema(document: Any) -> Any:
    """A document of schema 1, which had no polarity check, as one of this schema; any other as it is."""
    if isinstance(document, dict) and document.get("schema") == 1 and "polarity" not in document:
        return {**document, "schema": SCHEMA, "polarity": None}
    return document


def _pickle_hint(path: Path) -> str:
    """What torch.save and pickle write is named, and not opened: it can run code."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        return ""
    pickled = start == b"PK\x03\x04" or start[:1] == b"\x80"
    return ", but a PyTorch or pickle file; export needs what edge-mi train writes" if pickled else ""


def _float32(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    if name not in arrays:
        raise CheckpointError(f"tensor {name} is missing: this checkpoint is of another network")
    array = arrays[name]
    if array.dtype != np.float32:
        raise CheckpointError(f"tensor {name} is {array.dtype}, expected float32")
    return array
