"""Noise to mix in: the records of the MIT-BIH Noise Stress Test Database where they are, a stand-in where not.

`bw` and `ma` are records. Electrode motion, `em`, is found as well where its own record is missing: record 118e24 is
record 118 of the arrhythmia database with em mixed in, so their difference is em, in the minutes that were noisy.
The first two thirds of each track are for training, the rest for measurement, so that no noise is met twice.
Source: Moody, Muldrow and Mark, "A noise stress test for arrhythmia detectors", Computers in Cardiology 11:381 (1984).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edge_mi.checkpoint import DataSource
from edge_mi.errors import ConfigError, RecordError
from edge_mi.files import input_error
from edge_mi.records import read_signals
from edge_mi.records.record import Signals

from .config import NOISE_KINDS, NoiseKind
from .interpolate import interpolate
from .stand_in import stand_in

Stretch: TypeAlias = Literal["train", "test"]
TRAIN_SHARE: Final = Fraction(2, 3)
TRACK_RATE_HZ: Final = 100
SYNTHETIC: Final = "synthetic"
PREFIX: Final = "noise_"
NOISY_MIXTURE, CLEAN_RECORD = "118e24", "118"
_QUIET_S: Final = 1.0  # as long without a change, a mixture is not noisy


@dataclass(frozen=True, slots=True)
class NoiseTracks:
    """Noise of each kind, float32 (channels, samples), millivolts at 100 Hz; origin: where each comes from."""

    tracks: Mapping[NoiseKind, NDArray[np.float32]]
    origin: Mapping[NoiseKind, str]

    def part(self, part: Stretch) -> NoiseTracks:
        """The stretch of every track that is for training, or the one that is for measurement."""
        cut = {kind: int(track.shape[1] * TRAIN_SHARE) for kind, track in self.tracks.items()}
        return NoiseTracks(
            {
                kind: track[:, : cut[kind]] if part == "train" else track[:, cut[kind] :]
                for kind, track in self.tracks.items()
            },
            self.origin,
        )

    def arrays(self, kinds: tuple[NoiseKind, ...]) -> dict[str, NDArray[Any]]:
        """The tracks of `kinds` as the named inputs of a part of a run."""
        return {f"{PREFIX}{kind}": self.tracks[kind] for kind in kinds}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> NoiseTracks:
        """The tracks among the inputs of a part."""
        found = {kind: arrays[f"{PREFIX}{kind}"] for kind in NOISE_KINDS if f"{PREFIX}{kind}" in arrays}
        return cls(found, dict.fromkeys(found, "inputs"))

    def crop(
        self, kind: NoiseKind, samples: int, rate_hz: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """A random crop of a random channel at `rate_hz`, float64 (samples,), millivolts.

        Raises ConfigError for a kind that is missing, or a crop longer than its track.
        """
        if kind not in self.tracks:
            raise ConfigError(f"no noise of the kind {kind}; the simulation needs it")
        track, positions = self.tracks[kind], np.arange(samples, dtype=np.float64)
        positions *= TRACK_RATE_HZ / rate_hz
        needed = int(np.ceil(positions[-1])) + 1
        if needed > track.shape[1]:
            raise ConfigError(f"{needed} samples of {kind} noise; the track has {track.shape[1]}")
        channel = int(rng.integers(len(track)))
        start = int(rng.integers(track.shape[1] - needed + 1))
        found = track[channel, start : start + needed].astype(np.float64)
        return found if rate_hz == TRACK_RATE_HZ else interpolate(found, positions, 1.0)


def noise_folder(given: Path | None, data: Path) -> Path | None:
    """The folder of noise that is meant: `given`, or nstdb in `data` where it is; None for the stand-in.

    Raises ConfigError where `given` is neither a folder nor the word `synthetic`.
    """
    if given == Path(SYNTHETIC):
        return None
    folder = data / "nstdb" if given is None else given
    try:
        there = folder.is_dir()
    except OSError as exc:
        raise input_error(folder, exc) from exc
    if given is None:
        return folder if there else None
    if not there:
        raise ConfigError(f"no folder {given} with noise records; expected that of NSTDB, or {SYNTHETIC}")
    return given


NO_TRACKS: Final = NoiseTracks({}, {})


def load_noise(folder: Path | None) -> NoiseTracks:
    """The tracks of the NSTDB in `folder`, or the stand-in for None.

    em comes from `folder`/em where that is there, else from 118e24 and the arrhythmia database beside `folder` (mitdb),
    else it is the stand-in's. Raises RecordError where bw or ma cannot be read.
    """
    made_up = stand_in(TRACK_RATE_HZ)
    if folder is None:
        return NoiseTracks(made_up, dict.fromkeys(NOISE_KINDS, "stand-in"))
    tracks: dict[NoiseKind, NDArray[np.float32]] = {}
    origin: dict[NoiseKind, str] = {}
    for kind in NOISE_KINDS:
        if kind != "em" or (folder / "em.hea").is_file():
            tracks[kind], origin[kind] = _resampled(read_signals(folder / kind)), f"NSTDB {kind}"
    if "em" not in tracks:
        clean = folder.parent / "mitdb" / CLEAN_RECORD
        if (folder / f"{NOISY_MIXTURE}.hea").is_file() and clean.with_suffix(".hea").is_file():
            tracks["em"] = _unmixed(read_signals(folder / NOISY_MIXTURE), read_signals(clean))
            origin["em"] = f"NSTDB {NOISY_MIXTURE} minus MIT-BIH {CLEAN_RECORD}"
        else:
            tracks["em"], origin["em"] = made_up["em"], "stand-in"
    return NoiseTracks(tracks, origin)


def noise_source(noise: NoiseTracks, kinds: tuple[NoiseKind, ...]) -> tuple[DataSource, ...]:
    """What a checkpoint says of noise that it was trained with; nothing for noise that was made up."""
    found = [noise.origin[kind] for kind in kinds if noise.origin[kind] != "stand-in"]
    if not found:
        return ()
    return (
        DataSource(
            name="NSTDB",
            version="1.0.0",
            licence="ODC-By-1.0",
            records=len(found),
            patients=0,
            selection=f"noise only, first two thirds of {', '.join(found)}",
        ),
    )


def _resampled(signals: Signals) -> NDArray[np.float32]:
    ratio = Fraction(TRACK_RATE_HZ / signals.rate_hz).limit_denominator(1000)
    track = signal.resample_poly(signals.samples_mv, ratio.numerator, ratio.denominator, axis=1)
    return np.asarray(track, dtype=np.float32)


def _unmixed(mixture: Signals, clean: Signals) -> NDArray[np.float32]:
    """The noisy stretches of a mixture, each joined to the last at its level.

    The mixture was rounded to codes, an error of a third of a code on a noise of some twenty.
    """
    if mixture.codes is None or clean.codes is None or mixture.codes.shape != clean.codes.shape:
        raise RecordError(f"{mixture.name} is not {clean.name} with noise: they differ in length or leads")
    difference = (mixture.codes - clean.codes).astype(np.float64)
    quiet = round(_QUIET_S * clean.rate_hz)
    changes = np.flatnonzero(np.any(np.diff(difference, axis=1) != 0, axis=0))
    if len(changes) == 0:
        raise RecordError(f"{mixture.name} holds no noise beside {clean.name}")
    joined = []
    level = np.zeros((len(difference), 1))
    for run in np.split(changes, np.flatnonzero(np.diff(changes) > quiet) + 1):
        piece = difference[:, run[0] : run[-1] + 2]
        joined.append(piece - piece[:, :1] + level)
        level = joined[-1][:, -1:]
    codes_per_mv = np.ptp(clean.codes, axis=1) / np.ptp(clean.samples_mv, axis=1)
    return _resampled(
        Signals(
            name=mixture.name,
            leads=clean.leads,
            samples_mv=np.concatenate(joined, axis=1) / codes_per_mv[:, None],
            rate_hz=clean.rate_hz,
        )
    )
