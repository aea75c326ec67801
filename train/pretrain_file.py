"""What pre-training leaves: an encoder as safetensors, and beside it a report of where it comes from.

The report is written last and holds the hash of the encoder: where it is there and fits, the encoder is whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from torch import Tensor

from edge_mi import strict
from edge_mi.checkpoint import DataSource
from edge_mi.errors import ConfigError
from edge_mi.files import input_error, write_file

from .encoder_origin import Origin
from .pretrain_nets import Encoder, body_of
from .splits import Folds

SCHEMA: Final = 1
REPORT_SCHEMA: Final = 2
METADATA_KEY: Final = "edge_mi_encoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """What a user of an encoder must know: its network, and what enters it.

    net: a name of `make_encoder`. leads: rows of its input. input: `mv` or `zscore`. filter_sha256: of the
    signal chain behind the records that it learned from.
    """

    schema: int
    net: str
    leads: tuple[str, ...]
    rate_hz: int
    input: str
    filter_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What enters a network: leads, `mv` or `zscore`, and the signal chain before it."""

    leads: tuple[str, ...]
    form: str
    rate_hz: int
    filter_sha256: str

    def __str__(self) -> str:
        """In a few words, for messages."""
        return (
            f"{', '.join(self.leads)}, input {self.form}, {self.rate_hz} Hz, filter {self.filter_sha256[:12]}"
        )


def check_input(file: Path, info: EncoderInfo, sees: Input, network: str) -> None:
    """Raises ConfigError where something else enters the encoder in `file` than what `network` sees."""
    found = Input(leads=info.leads, form=info.input, rate_hz=info.rate_hz, filter_sha256=info.filter_sha256)
    if found != sees:
        raise ConfigError(f"{file}: an encoder of {found}; {network} sees {sees}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderReport:
    """Where an encoder comes from.

    how: `supervised`, `masked_leads`, `aligned`, `aligned from LEAD` where it began with the encoder of another lead,
    or `given`. sha256: of the file. weights_sha256: of the tensors alone, by which other reports name this encoder;
    teacher and began_from (the weights that training began with) are such hashes, None for none. data, folds: what this
    training read, nothing for an encoder that was given; store: the digest of the store that it was used on.
    origin: everything that entered it, teachers and beginnings too. key: of everything that decides the weights.
    curve: the loss of every step, over the whole batch.
    """

    schema: int
    encoder: EncoderInfo
    how: str
    sha256: str
    weights_sha256: str
    parameters: int
    parameters_in_use: int
    teacher: str | None
    began_from: str | None
    config: dict[str, Any]
    data: DataSource | None
    folds: Folds
    store: str
    origin: Origin
    command: str
    commit: str
    versions: dict[str, str]
    processes: int
    device: str
    precision: str
    compiled: bool
    key: str
    curve: tuple[float, ...]


def weights_sha256(encoder: Encoder) -> str:
    """A hash of the encoder's own weights, heads left out."""
    digest = hashlib.sha256()
    for name, value in sorted(body_of(encoder).items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\0".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_encoder(path: Path, encoder: Encoder, report: EncoderReport) -> EncoderReport:
    """Write the encoder to `path` and its report, completed by its hash, beside it, each whole or not at all.

    Raises OutputError where that cannot be done.
    """
    tensors: dict[str, Tensor] = {
        name: value.detach().cpu().contiguous() for name, value in body_of(encoder).items()
    }
    content = safetensors.torch.save(tensors, metadata={METADATA_KEY: strict.dumps(report.encoder)})
    completed = replace(report, sha256=hashlib.sha256(content).hexdigest())
    write_file(path, content)
    write_file(report_path(path), strict.dumps(completed).encode())
    return completed


def report_path(path: Path) -> Path:
    """Where the report of the encoder at `path` lies."""
    return path.with_suffix(".json")


def finished_report(path: Path, key: str) -> EncoderReport | None:
    """The report of the encoder at `path` where it was finished by a run of this key, None where there is none.

    Raises ConfigError where it is of another run, or not as it was written.
    """
    file = report_path(path)
    if not _is_there(file):
        return None
    report, found = _read(path, "choose another folder, or delete it to begin again")
    if report.key != key:
        raise ConfigError(
            f"{path} is of another run (other options, data or versions): choose another folder, or delete it and "
            f"{file.name} to begin again"
        )
    if found != report.sha256:
        raise ConfigError(
            f"{path} was changed since it was written: delete it and {file.name} to begin again"
        )
    return report


def given_report(path: Path) -> EncoderReport | None:
    """The report beside an encoder that somebody gives, None where there is none.

    Raises ConfigError where it cannot be read, or the encoder is not as it was written.
    """
    if not _is_there(report_path(path)):
        return None
    report, found = _read(path, "give an encoder with the report that train pretrain wrote")
    if found != report.sha256:
        raise ConfigError(
            f"{path} is not what {report_path(path).name} beside it is about; give the two as they were written"
        )
    return report


def given_origin(path: Path) -> Origin:
    """What the encoder at `path` saw, as far as its report says so."""
    report = given_report(path)
    return Origin(unknown=(path.name,)) if report is None else report.origin


def _is_there(file: Path) -> bool:
    """Raises ConfigError where that cannot be seen."""
    try:
        return file.is_file()
    except OSError as exc:
        raise input_error(file, exc) from exc


def _read(path: Path, advice: str) -> tuple[EncoderReport, str]:
    """The report of the encoder at `path`, and the hash that the encoder has."""
    file = report_path(path)
    try:
        document = strict.parse(file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("schema") != REPORT_SCHEMA:
            raise strict.DocumentError(
                f"schema {document.get('schema')}, expected {REPORT_SCHEMA}: earlier ones do not say which folds it saw"
            )
        report = strict.decode(document, EncoderReport)
        return report, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    except (OSError, UnicodeDecodeError, strict.DocumentError) as exc:
        raise ConfigError(f"{file}: {exc}; {advice}") from exc
