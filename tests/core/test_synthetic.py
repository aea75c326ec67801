"""The built-in heart: the same everywhere, twelve consistent leads, infarcts where they belong."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edge_mi import synthetic
from edge_mi.errors import ConfigError


def beat(territory: str, lead: str, **options: float) -> tuple[np.ndarray, int]:
    """The median beat of one lead at 500 Hz, 0.3 s before R to 0.5 s after, and the index of R."""
    ecg = synthetic.ecg(20, territory=territory, noise_mv=0, wander_mv=0, seed=4, **options)
    rows = [
        ecg.lead(lead)[round(r * 500) - 150 : round(r * 500) + 250] for r in ecg.r_peaks_s if 0.5 < r < 19
    ]
    return np.median([row for row in rows if len(row) == 400], axis=0), 150


def st_mv(territory: str, lead: str) -> float:
    wave, r = beat(territory, lead)
    return float(wave[r + 50] - wave[r - 40 : r - 25].mean())


def test_the_same_arguments_give_the_same_bytes() -> None:
    raw = synthetic.ecg(10, territory="anterior", seed=7).samples_mv
    assert raw.tobytes() == synthetic.ecg(10, territory="anterior", seed=7).samples_mv.tobytes()
    # held so that a change of the heart is a decision; golden outputs hang on it
    digest = hashlib.sha256(np.rint(raw * 2**15).astype(np.int64).tobytes()).hexdigest()
    assert digest == "998c607366b3103bf3070dbf6f2464e520d4acdb9e2d92a06779586a3142af11"


def test_another_seed_is_another_heart() -> None:
    assert not np.array_equal(synthetic.ecg(5, seed=1).samples_mv, synthetic.ecg(5, seed=2).samples_mv)


def test_the_limb_leads_obey_einthoven_and_goldberger() -> None:
    ecg = synthetic.ecg(10, territory="inferior", seed=1)
    i, ii, iii = ecg.lead("I"), ecg.lead("ii"), ecg.lead("III")
    assert np.array_equal(ii, i + iii)
    assert np.array_equal(ecg.lead("aVR"), -(i + ii) / 2)
    assert np.array_equal(ecg.lead("avL"), (i - iii) / 2)
    assert np.array_equal(ecg.lead("aVF"), (ii + iii) / 2)


@pytest.mark.parametrize(
    ("territory", "up", "down"),
    [
        ("anterior", ("V2", "V3"), ()),
        ("inferior", ("II", "III", "aVF"), ("aVL",)),
        ("lateral", ("I", "aVL"), ("III",)),
    ],
)
def test_an_infarct_raises_st_over_its_wall(
    territory: str, up: tuple[str, ...], down: tuple[str, ...]
) -> None:
    for lead in up:
        assert st_mv(territory, lead) > st_mv("none", lead) + 0.1
    for lead in down:
        assert st_mv(territory, lead) < st_mv("none", lead)


@pytest.mark.parametrize(("territory", "lead"), [("anterior", "V2"), ("inferior", "III"), ("lateral", "aVL")])
def test_an_infarct_digs_a_q_and_turns_the_t_wave(territory: str, lead: str) -> None:
    (sick, r), (well, _) = beat(territory, lead), beat("none", lead)
    assert sick[r - 25 : r].min() < well[r - 25 : r].min() - 0.1
    assert sick[r + 115 : r + 155].mean() < well[r + 115 : r + 155].mean() - 0.1


def test_a_healthy_heart_is_level_and_upright_in_lead_i() -> None:
    assert abs(st_mv("none", "I")) < 0.02
    wave, r = beat("none", "I")
    assert wave.argmax() == pytest.approx(r, abs=2)


@pytest.mark.parametrize("bpm", [40, 70, 150])
def test_the_heart_rate_is_what_was_asked_for(bpm: int) -> None:
    peaks = synthetic.ecg(60, heart_rate_bpm=bpm, seed=3).r_peaks_s
    assert 60 / np.diff(peaks).mean() == pytest.approx(bpm, rel=0.05)


@pytest.mark.parametrize(
    "options", [{"territory": "septal"}, {"heart_rate_bpm": 5}, {"noise_mv": -1}, {"rate_hz": 0}]
)
def test_impossible_hearts_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        synthetic.ecg(5, **options)  # type: ignore[arg-type]


def test_an_unknown_lead_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match="aVF"):
        synthetic.ecg(5).lead("V9")
