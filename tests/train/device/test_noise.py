"""Noise comes from the records where they are; where not, from something that resembles them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.device.config import NOISE_KINDS
from edge_mi.train.device.noise import NoiseTracks, load_noise, noise_folder, noise_source
from edge_mi.train.device.snr import noise_power
from real_data import real_data
from scipy import signal

from edge_mi.errors import ConfigError, RecordError
from edge_mi.records import read_signals, write_wfdb


@pytest.fixture(scope="module")
def made_up() -> NoiseTracks:
    return load_noise(None)


@pytest.fixture(scope="module")
def real() -> NoiseTracks:
    return load_noise(real_data("nstdb"))


def high_share(track: np.ndarray) -> float:
    """Share of the power above 10 Hz, of what is above the chain's corner."""
    frequency, power = signal.welch(track, 100, nperseg=1024)
    kept = frequency > 0.55
    return float(power[frequency > 10].sum() / power[kept].sum())


def test_the_stand_in_is_the_same_each_time(made_up: NoiseTracks) -> None:
    again = load_noise(None)
    assert all(np.array_equal(made_up.tracks[kind], again.tracks[kind]) for kind in NOISE_KINDS)
    assert set(made_up.origin.values()) == {"stand-in"}
    assert noise_source(made_up, NOISE_KINDS) == ()


def test_the_stand_in_has_the_size_and_colour_of_the_records(made_up: NoiseTracks, real: NoiseTracks) -> None:
    for kind in ("bw", "ma", "em"):
        mine, theirs = made_up.tracks[kind][0], real.tracks[kind][0]
        # a factor of three: the two channels of NSTDB differ by as much
        assert 1 / 9 < noise_power(mine, 100) / noise_power(theirs, 100) < 9
        assert high_share(mine) == pytest.approx(high_share(theirs), abs=0.25)


def test_real_noise_is_named_with_its_licence(real: NoiseTracks) -> None:
    source = noise_source(real, NOISE_KINDS)[0]
    assert (source.name, source.licence) == ("NSTDB", "ODC-By-1.0")
    assert "bw" in source.selection


def test_electrode_motion_is_what_a_mixture_has_more_than_its_record() -> None:
    folder = real_data("nstdb")
    clean = read_signals(real_data("mitdb") / "118")
    mixture = read_signals(folder / "118e24")
    assert clean.codes is not None
    assert mixture.codes is not None
    em = load_noise(folder).tracks["em"]
    assert em.shape[1] == pytest.approx(13.1 * 6000, rel=0.01)  # the noisy minutes from 5 on
    difference = (mixture.codes[0] - clean.codes[0])[5 * 21600 : 7 * 21600] / 200
    first = signal.resample_poly(difference - difference[0], 5, 18)[500:11000]
    assert np.corrcoef(em[0][500:11000], first)[0, 1] > 0.99  # the noise may begin within a sample of 100 Hz


def test_training_and_measurement_share_no_noise(made_up: NoiseTracks) -> None:
    for kind in NOISE_KINDS:
        train, test = made_up.part("train").tracks[kind], made_up.part("test").tracks[kind]
        assert np.array_equal(np.concatenate([train, test], axis=1), made_up.tracks[kind])
        assert train.shape[1] == 2 * test.shape[1]


def test_noise_crosses_to_a_part_of_a_run_and_back(made_up: NoiseTracks) -> None:
    back = NoiseTracks.of_arrays({"soft": np.zeros(3), **made_up.arrays(("bw", "em"))})
    assert list(back.tracks) == ["bw", "em"]
    assert np.array_equal(back.tracks["em"], made_up.tracks["em"])


def test_where_noise_is_looked_for(tmp_path: Path) -> None:
    assert noise_folder(None, tmp_path) is None
    (tmp_path / "nstdb").mkdir()
    assert noise_folder(None, tmp_path) == tmp_path / "nstdb"
    assert noise_folder(Path("synthetic"), tmp_path) is None
    with pytest.raises(ConfigError, match="no folder"):
        noise_folder(tmp_path / "nowhere", tmp_path)


def test_a_folder_without_its_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="bw"):
        load_noise(tmp_path)


def test_without_a_mixture_only_electrode_motion_is_made_up(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(-200, 200, size=(2, 7200), dtype=np.int16)
    for kind in ("bw", "ma"):
        write_wfdb(tmp_path, kind, ["noise1", "noise2"], codes, 360, 200)
    found = load_noise(tmp_path)
    assert found.origin == {"bw": "NSTDB bw", "ma": "NSTDB ma", "em": "stand-in"}
    assert found.tracks["bw"].shape == (2, 2000)


def test_a_crop_longer_than_its_track_is_refused(made_up: NoiseTracks) -> None:
    with pytest.raises(ConfigError, match="the track has"):
        made_up.crop("bw", 10**6, 100, np.random.default_rng(0))
