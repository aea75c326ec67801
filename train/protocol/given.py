"""Encoders that a configuration gives: what its networks begin with, and a teacher in place of a trained one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from edge_mi.files import file_sha256
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from ..augment import SignalTable
from ..encoder_origin import check_unseen, said_of_file
from ..net1d_file import load_weights
from ..parts import Arrays, Part
from ..pretrain_file import Input, check_input, given_origin, given_report
from ..splits import Folds
from .encoders import ENCODERS, ZSCORE, features_of, load_state, make_encoder
from .teachers import without_lead_i

if TYPE_CHECKING:
    from .config import ProtocolConfig

EMBEDDING: Final = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenEncoder:
    """A file, the network that it fills and the leads that enter it."""

    file: Path
    network: str
    leads: tuple[str, ...]

    def state(self) -> Arrays:
        """Its weights as the state of an encoder. Raises CheckpointError, naming the first tensor that does not fit."""
        encoder = ENCODERS[self.network](len(self.leads))
        load_weights(encoder.body, self.file)
        return {name: value.numpy() for name, value in encoder.state_dict().items()}

    def check(self, store: WindowStore, held_out: Folds) -> tuple[str, ...]:
        """Raises ConfigError where it saw `held_out` or its report names another input; what cannot be checked."""
        report = given_report(self.file)
        if report is not None:
            sees = Input(
                leads=self.leads,
                form="zscore" if self.network.endswith(ZSCORE) else "mv",
                rate_hz=store.manifest.rate_hz,
                filter_sha256=store.manifest.filter_sha256,
            )
            check_input(self.file, report.encoder, sees, self.network)
        return check_unseen(self.file, given_origin(self.file), store, held_out)

    @property
    def said(self) -> str:
        """Its file and hash."""
        return said_of_file(self.file, file_sha256(self.file))


def given_students(config: ProtocolConfig) -> tuple[GivenEncoder, ...]:
    """For each group what the networks begin with; empty for fresh weights."""
    return _each_group(config, config.encoder.student, config.network, ("I",))


def given_teachers(config: ProtocolConfig) -> tuple[GivenEncoder, ...]:
    """For each group the frozen 12-lead encoder; empty where teachers are trained."""
    return _each_group(config, config.encoder.teacher, config.encoder.teacher_network, TWELVE_LEADS)


def check_given(store: WindowStore, config: ProtocolConfig) -> tuple[str, ...]:
    """Raises what `GivenEncoder` does where an encoder cannot be used on `store`; what could not be checked."""
    doubts: list[str] = []
    for each in (given_students(config), given_teachers(config)):
        for given, group in zip(each, config.groups, strict=False):
            given.state()
            doubts += given.check(store, group)
    return tuple(dict.fromkeys(doubts))


def said_of(config: ProtocolConfig) -> str:
    """What was given, with hashes, in words that follow a method's description; empty for nothing."""
    students = dict.fromkeys(given.said for given in given_students(config))
    teachers = dict.fromkeys(given.said for given in given_teachers(config))
    words = [f"begins with {', '.join(students)}"] if students else []
    words += [f"12-lead teacher: {', '.join(teachers)}"] if teachers else []
    return "".join(f"; {each}" for each in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """Embed the twelve leads of every record with `network`, whose state is given."""

    network: str


def embed_part(given: GivenEncoder) -> Part:
    """The part of a run that embeds every record with a teacher that is given."""
    return Part("given-teacher", embed, EmbedRequest(network=given.network), given.state())


def embed(
    store: WindowStore, request: EmbedRequest, inputs: Mapping[str, NDArray[Any]], snapshot: Path
) -> Arrays:
    """`embedding` and `embedding_without_i`, float32 (records, dim), as `train_ceiling` gives them."""
    del snapshot
    encoder = make_encoder(request.network, len(TWELVE_LEADS), 0)
    load_state(encoder, inputs)
    signals = SignalTable(store, TWELVE_LEADS)
    return {
        EMBEDDING: features_of(encoder, signals),
        "embedding_without_i": features_of(encoder, signals, without_lead_i),
    }


def _each_group(
    config: ProtocolConfig, files: str | tuple[str, ...], network: str, leads: tuple[str, ...]
) -> tuple[GivenEncoder, ...]:
    named = (files,) if isinstance(files, str) else files
    each = named * len(config.groups) if len(named) == 1 else named
    return tuple(GivenEncoder(file=Path(name), network=network, leads=leads) for name in each)
