"""The bundle: the one thing that crosses from the workshop to the device (contract C4, schema 3).

A folder of `model.json` and the files that it lists with their sha256. Whatever changes a decision is in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.alarm import AlarmConfig
from edge_mi.checkpoint import Calibration, Metric, OperatingPoint, Provenance, Ranges
from edge_mi.errors import BundleError, ConfigError, SignatureError
from edge_mi.files import foreign_entry
from edge_mi.firmware import Firmware
from edge_mi.netspec import NetSpec
from edge_mi.polarity import PolarityCheck
from edge_mi.quality import QualityLimits
from edge_mi.signal_design import SignalDesign
from edge_mi.signature import SIGNATURE, PublicKey, check_signature

SCHEMA: Final = 3
MODEL_JSON: Final = "model.json"
TFLITE_INT8: Final = "model.int8.tflite"
ONNX_INT8: Final = "model.int8.onnx"
ONNX_FP32: Final = "model.fp32.onnx"
FRONT_TFLITE: Final = "front.int8.tflite"
FRONT_ONNX: Final = "front.int8.onnx"
HEAD_TFLITE: Final = "head.int8.tflite"
HEAD_ONNX: Final = "head.int8.onnx"
GOLDEN: Final = "golden.npz"
C_HEADER: Final = "c/edge_mi.h"
C_SOURCE: Final = "c/edge_mi.c"
TFLM_HEADER: Final = "tflm/edge_mi_model.h"
TFLM_SOURCE: Final = "tflm/edge_mi_model.cc"
REQUIRED_FILES: Final = (
    TFLITE_INT8, ONNX_INT8, ONNX_FP32, FRONT_TFLITE, FRONT_ONNX, HEAD_TFLITE, HEAD_ONNX, GOLDEN
)  # fmt: skip
OPTIONAL_FILES: Final = (C_HEADER, C_SOURCE, TFLM_HEADER, TFLM_SOURCE)
MAX_FILE_BYTES: Final = 64 << 20
_FILE_NAME = re.compile(r"((c|tflm)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantParams:
    """real = scale * (int8 - zero_point); scale is a float32 value."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not self.scale > 0 or not -128 <= self.zero_point <= 127:
            raise ValueError(f"scale must be positive and zero_point within int8, found {self}")

    def quantise(self, real: NDArray[np.float64]) -> NDArray[np.int8]:
        """int8 of float64, any shape: half to even, held to -128..127."""
        codes: NDArray[np.int8] = np.clip(np.rint(real / self.scale) + self.zero_point, -128, 127).astype(
            np.int8
        )
        return codes

    def real(self, code: int) -> float:
        """What an int8 code stands for."""
        return self.scale * (code - self.zero_point)

    def real_array(self, codes: NDArray[np.int8]) -> NDArray[np.float64]:
        """What int8 codes stand for, float64 of their shape."""
        values: NDArray[np.float64] = self.scale * (codes.astype(np.float64) - self.zero_point)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFigures:
    """The smallest and largest real value that an int8 tensor took, and how its codes are to be read."""

    low: float
    high: float
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFigures:
    """One layer on synthetic windows, in int8 of the family `fast` and beside the float network.

    shape: (time, channels) of its output for a window. bytes: weights and biases. values: output values that the
    figures rest on. sqnr_db: power of the float output to that of the difference; None where one of them is 0.
    saturated: share of outputs that lie beyond the ends of int8 in float.
    """

    name: str
    shape: tuple[int, int]
    macs_window: int
    macs_hop: int
    bytes: int
    source: TensorFigures
    result: TensorFigures
    values: int
    sqnr_db: float | None
    saturated: float

    @property
    def windows(self) -> int:
        """Windows that the figures rest on."""
        return self.values // (self.shape[0] * self.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """Size and sha256 (hex) of a file of the bundle."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInfo:
    """The document `model.json`.

    frames: how the int8 frames between front and head are quantised. polarity: None where the checkpoint had no
    check to give. firmware: what `c/` was written for; None where there is no C code.
    """

    schema: int
    notice: str
    net: NetSpec
    signal: SignalDesign
    input: QuantParams
    frames: QuantParams
    output: QuantParams
    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    default_operating_point: str
    alarm: AlarmConfig
    quality: QualityLimits
    polarity: PolarityCheck | None
    firmware: Firmware | None
    ranges: Ranges
    layers: tuple[LayerFigures, ...]
    metrics: tuple[Metric, ...]
    provenance: Provenance
    versions: dict[str, str]
    files: dict[str, FileEntry]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, this version of edge-mi reads schema {SCHEMA}")
        if self.net.rate_hz != self.signal.rate_hz:
            raise ValueError(f"network at {self.net.rate_hz} Hz, signal chain at {self.signal.rate_hz} Hz")
        if self.polarity is not None:
            self.polarity.check_rate(self.net.rate_hz)
        if not self.notice.strip():
            raise ValueError("the notice is empty; a bundle carries it to the user")
        if self.alarm.on_count * self.net.hop_s > self.alarm.span_s:
            raise ValueError(
                f"{self.alarm.on_count} windows do not fit into an alarm span of {self.alarm.span_s:g} s"
            )
        if self.alarm.span_s < 3 * self.net.window_s:
            raise ValueError(f"alarm span of {self.alarm.span_s} s is shorter than three windows")
        layers = [(layer.name, *layer.shape) for layer in self.layers]
        steps = zip(self.net.layer_names, (*self.net.lengths, 1), strict=True)
        expected = [(name, length, self.net.weight_shape(name)[0]) for name, length in steps]
        if layers != expected:
            raise ValueError(f"layers (name, time, channels) {layers}, the network has {expected}")
        missing = [name for name in REQUIRED_FILES if name not in self.files]
        if missing:
            raise ValueError(f"files lacks {', '.join(missing)}")
        code = {C_HEADER, C_SOURCE} & set(self.files)
        if len(code) != (0 if self.firmware is None else 2):
            raise ValueError(
                f"firmware is {'null' if self.firmware is None else 'given'}, and files holds {len(code)} of 2 C files"
            )
        names = [point.name for point in self.operating_points]
        if self.default_operating_point not in names:
            raise ValueError(f"default operating point {self.default_operating_point} is not one of {names}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A validated bundle in memory; `content` holds the bytes that were hashed.

    document: the bytes of `model.json`. signature: those of `model.json.sig`, where there is one; `load` looks at
    them only where it is told whose they must be.
    """

    path: Path
    info: BundleInfo
    content: dict[str, bytes]
    model_id: str
    document: bytes
    signature: bytes | None

    @classmethod
    def load(cls, path: str | Path, *, require_signed: PublicKey | None = None) -> Bundle:
        """Read and validate a bundle before anything is computed with it.

        require_signed: accept nothing but a bundle signed by this key, whole and with nothing besides. Each file is
        read once, and what was checked is what is executed. Raises BundleError for a missing or changed file, an
        unknown key, or another schema; SignatureError.
        """
        path = Path(path)
        document = _read(path, MODEL_JSON)
        signature = _read(path, SIGNATURE) if os.path.lexists(path / SIGNATURE) else None
        if require_signed is not None:
            _check_signed(path, document, signature, require_signed)
        if (schema := strict.other_schema(document, SCHEMA)) is not None:
            raise BundleError(
                f"{path / MODEL_JSON}: schema {schema}, this version of edge-mi reads schema {SCHEMA}; export it again"
            )
        try:
            info = strict.loads(document.decode("utf-8"), BundleInfo)
        except (strict.DocumentError, UnicodeDecodeError) as exc:
            raise BundleError(f"{path / MODEL_JSON}: {exc}") from exc
        content = {}
        for name, entry in info.files.items():
            content[name] = _read(path, name)
            digest = hashlib.sha256(content[name]).hexdigest()
            if digest != entry.sha256 or len(content[name]) != entry.bytes:
                raise BundleError(
                    f"{path / name} was changed: sha256 {digest[:12]}…, model.json says {entry.sha256[:12]}…; "
                    "export the bundle again"
                )
        if require_signed is not None:
            _check_nothing_else(path, {MODEL_JSON, SIGNATURE, *content})
        model_id = f"{info.net.name}-{hashlib.sha256(document).hexdigest()[:12]}"
        return cls(path, info, content, model_id, document, signature)

    def operating_point(self, name: str | None = None) -> OperatingPoint:
        """The operating point of that name, or the default. Raises ConfigError naming those there are."""
        wanted = name or self.info.default_operating_point
        for point in self.info.operating_points:
            if point.name == wanted:
                return point
        names = ", ".join(point.name for point in self.info.operating_points)
        raise ConfigError(f"no operating point {wanted}; this bundle has {names}")

    def probability(self, logit: float) -> float:
        """Calibrated probability of a logit, rounded to 1e-6 so that every machine says the same."""
        return self.info.calibration.probability(logit)

    def logit(self, output_int8: int) -> float:
        """The logit that an int8 output of the network stands for."""
        return self.info.output.real(output_int8)


def _check_signed(path: Path, document: bytes, signature: bytes | None, key: PublicKey) -> None:
    if signature is None:
        raise SignatureError(
            f"{path} is not signed: there is no {SIGNATURE}; key {key.fingerprint} is demanded"
        )
    try:
        check_signature(document, signature, key)
    except SignatureError as exc:
        raise SignatureError(f"{path}: {exc}") from exc


def _check_nothing_else(path: Path, covered: set[str]) -> None:
    """What no signature covers may not lie among what it covers, even if nothing here would read it."""
    try:
        foreign = foreign_entry(path, covered)
    except OSError as exc:
        raise BundleError(f"cannot list {path}: {exc.strerror or exc}") from exc
    if foreign is not None:
        raise SignatureError(f"{path} holds {foreign!a}, which its signature does not cover; remove it")


def _read(folder: Path, name: str) -> bytes:
    if _FILE_NAME.fullmatch(name) is None:
        raise BundleError(f"{folder / MODEL_JSON}: file name {name!a}; expected letters, digits and ._- only")
    file = folder / name
    try:
        # a pipe would be waited for, and a device never ends
        with open(file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise BundleError(f"{file} is no file; a bundle is a folder of files")
            content = opened.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as exc:
        raise BundleError(
            f"{file} is missing; a bundle is a folder written by edge-mi export --int8"
        ) from exc
    except OSError as exc:
        raise BundleError(f"cannot read {file}: {exc.strerror}") from exc
    if len(content) > MAX_FILE_BYTES:
        raise BundleError(f"{file} is larger than {MAX_FILE_BYTES >> 20} MB; this is not an edge-mi bundle")
    return content
