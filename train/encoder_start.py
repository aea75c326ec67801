"""A lead-I network that begins with an encoder from `edge-mi train pretrain`, and says so ever after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.checkpoint import DataSource
from edge_mi.errors import ConfigError
from edge_mi.netspec import NetSpec
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore
from edge_mi.store.manifest import filter_sha256

from .encoder_origin import Origin, check_unseen, said_of_file, saw
from .net1d_file import load_weights
from .parts import Arrays
from .patchnet import PatchNet
from .pretrain_file import Input, check_input, given_report, report_path
from .pretrain_nets import body_of
from .splits import Folds

_ENCODER: Final = "encoder"


@dataclass(frozen=True, slots=True, eq=False)
class EncoderStart:
    """What a network begins with: `state` (tensor name -> array), and what it comes from."""

    file: Path
    sha256: str
    state: Arrays
    origin: Origin

    def check_unseen(self, store: WindowStore, folds: Folds) -> tuple[str, ...]:
        """See `encoder_origin.check_unseen`."""
        return check_unseen(self.file, self.origin, store, folds)

    def saw(self, store: WindowStore, rows: NDArray[np.int64]) -> bool:
        """See `encoder_origin.saw`."""
        return saw(self.origin, store, rows)

    @property
    def said(self) -> str:
        """The encoder in a few words: its file and hash."""
        return f"{_ENCODER} {said_of_file(self.file, self.sha256)}"

    @property
    def data(self) -> tuple[DataSource, ...]:
        """What it saw, as a checkpoint lists data."""
        known = [
            replace(seen.data, selection=f"{seen.data.selection}; {self.said}") for seen in self.origin.seen
        ]
        unknown = [
            DataSource(
                name=f"unknown, behind {name}", version="unknown", licence="unknown", records=0, patients=0,
                selection=self.said,
            )
            for name in self.origin.unknown
        ]  # fmt: skip
        return (*known, *unknown)


def began_with_encoder(data: Iterable[DataSource]) -> str | None:
    """The encoder that a checkpoint of these data began with, as `EncoderStart.said` said it; None for none."""
    said = (source.selection.rpartition("; ")[2] for source in data)
    return next((words for words in said if words.startswith(f"{_ENCODER} ")), None)


def load_start(file: Path, net: NetSpec, design: SignalDesign) -> EncoderStart:
    """The encoder in `file`, for a network `net` behind the chain `design`.

    Raises CheckpointError, naming the first tensor, where it is of another network, ConfigError where its report is
    not beside it or says that another signal enters it.
    """
    network = PatchNet(net)
    load_weights(network, file)
    report = given_report(file)
    if report is None:
        raise ConfigError(
            f"{file} has no {report_path(file).name} beside it, so nobody knows what it saw; give both as train pretrain "
            "wrote them"
        )
    sees = Input(leads=("I",), form="mv", rate_hz=design.rate_hz, filter_sha256=filter_sha256(design))
    check_input(file, report.encoder, sees, net.name)
    state = {name: value.numpy().copy() for name, value in body_of(network).items()}
    return EncoderStart(file, report.sha256, state, report.origin)
