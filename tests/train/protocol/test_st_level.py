"""The ST level that was put into a synthetic heart comes out again, in every lead."""

from __future__ import annotations

import numpy as np
import pytest
from edge_mi.train.protocol.st_level import measure_st, st_levels
from label_store import label_store

from edge_mi import synthetic
from edge_mi.chain.chain import filter_segment
from edge_mi.signal_design import SignalDesign
from edge_mi.store import StoredRecord, to_codes


def filtered(design: SignalDesign, *, st_mv: float, bpm: float = 70.0, seed: int = 3) -> np.ndarray:
    heart = synthetic.ecg(10, st_mv=st_mv, heart_rate_bpm=bpm, noise_mv=0.02, seed=seed)
    return np.stack([filter_segment(design, 500, lead) for lead in heart.samples_mv])


@pytest.fixture(scope="module")
def none(design: SignalDesign) -> np.ndarray:
    return filtered(design, st_mv=0.0)


def known(st_mv: float) -> np.ndarray:
    """What the plateau adds to each lead: the heart with it minus the heart without, between beats and T."""
    with_st = synthetic.ecg(4, st_mv=st_mv, noise_mv=0.0, wander_mv=0.0, seed=3)
    without = synthetic.ecg(4, st_mv=0.0, noise_mv=0.0, wander_mv=0.0, seed=3)
    at = round((with_st.r_peaks_s[1] + 0.11) * 500)
    return np.asarray((with_st.samples_mv - without.samples_mv)[:, at])


@pytest.mark.parametrize("st_mv", [-0.2, 0.1, 0.3])
@pytest.mark.parametrize("bpm", [50.0, 70.0, 100.0])
def test_a_known_level_is_measured_in_every_lead(design: SignalDesign, st_mv: float, bpm: float) -> None:
    found = st_levels(filtered(design, st_mv=st_mv, bpm=bpm), 100)
    assert np.abs(found - known(st_mv)).max() < 0.04
    assert np.corrcoef(found, known(st_mv))[0, 1] > 0.97


def test_a_heart_without_elevation_shows_none(none: np.ndarray) -> None:
    assert np.abs(st_levels(none, 100)).max() < 0.03


def test_a_flipped_record_has_the_opposite_levels(design: SignalDesign) -> None:
    signals = filtered(design, st_mv=0.3)
    np.testing.assert_allclose(st_levels(-signals, 100), -st_levels(signals, 100), atol=1e-9)


def test_a_lead_without_a_qrs_is_measured_at_the_beats_of_the_others(none: np.ndarray) -> None:
    flat = none.copy()
    flat[0] = 0.0
    found = st_levels(flat, 100)
    assert found[0] == 0.0
    assert np.isfinite(found).all()


@pytest.mark.parametrize("what", ["flat", "short", "noise"])
def test_without_beats_there_is_no_level(none: np.ndarray, what: str) -> None:
    signals = {
        "flat": np.zeros((12, 1000)),
        "short": none[:, :120],
        "noise": np.random.default_rng(0).normal(size=(12, 1000)),
    }[what]
    found = st_levels(signals, 100)
    assert found.shape == (12,)
    assert np.isnan(found).all()


def test_a_store_gives_the_levels_of_its_rows(design: SignalDesign, none: np.ndarray) -> None:
    signals = [none, filtered(design, st_mv=0.3)]
    record = StoredRecord(
        record_id="1", patient_id="1", fold=1, mi=False, norm=True, codes={}, age_years=None, female=None
    )
    store = label_store([record, record], np.stack([to_codes(each[:, :1000])[0] for each in signals]))
    found = measure_st(store, np.array([1, 0]))
    np.testing.assert_allclose(found, [st_levels(each, 100) for each in signals[::-1]], atol=2e-3)
