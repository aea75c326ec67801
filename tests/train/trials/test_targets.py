"""Targets that only trials have: groups of statements, and the median beat in all leads."""

from __future__ import annotations

import csv

import numpy as np
from edge_mi.train.trials.beats import COMPONENTS, beat_targets
from edge_mi.train.trials.statements import PLACES, SUPERCLASSES, groups_of
from label_store import infarct_store, label_store
from real_data import real_data

from edge_mi import synthetic
from edge_mi.chain.chain import filter_segment
from edge_mi.signal_design import SignalDesign
from edge_mi.store import StoredRecord, WindowStore, to_codes


def test_superclasses_are_those_of_the_collection() -> None:
    with (real_data("ptbxl") / "scp_statements.csv").open() as file:
        stated = {row[""]: row["diagnostic_class"] for row in csv.DictReader(file) if row["diagnostic_class"]}
    assert {code: name for name, codes in SUPERCLASSES.items() for code in codes} == stated


def test_places_are_of_statements_of_infarction() -> None:
    assert {code for codes in PLACES.values() for code in codes} == set(SUPERCLASSES["MI"])


def test_a_record_has_the_groups_of_its_statements() -> None:
    store = infarct_store()
    groups = groups_of(store, PLACES)
    inferior = [any(code in PLACES["inferior"] for code in record.codes) for record in store.records]
    np.testing.assert_array_equal(groups[:, list(PLACES).index("inferior")], inferior)
    assert 0 < sum(inferior) < len(inferior)


HEARTS = 40


def hearts(design: SignalDesign) -> WindowStore:
    """Hearts of three kinds, and a last record of nothing but noise."""
    records, signals = [], []
    for i in range(HEARTS + 1):
        mi = i % 3 == 0
        heart = synthetic.ecg(
            10,
            rate_hz=100,
            territory="inferior" if mi else "none",
            st_mv=0.1 * (i % 2),
            noise_mv=0.02,
            seed=i,
        )
        signal = np.stack([filter_segment(design, 100, lead) for lead in heart.samples_mv])
        signals.append(signal if i < HEARTS else np.zeros_like(signal))
        records.append(
            StoredRecord(
                record_id=str(i), patient_id=f"p{i}", fold=1 + i % 9, mi=mi, norm=not mi, codes={}, age_years=None,
                female=None,
            )
        )  # fmt: skip
    return label_store(records, to_codes(np.stack(signals))[0])


def test_beats_are_components_of_the_training_records(design: SignalDesign) -> None:
    store = hearts(design)
    rows = np.arange(36)
    aims, known = beat_targets(store, rows)
    assert aims.shape == (HEARTS + 1, COMPONENTS)
    assert list(known) == [1.0] * HEARTS + [0.0]
    assert not aims[-1].any()
    np.testing.assert_allclose(aims[rows].std(axis=0), 1, rtol=1e-3)
    # the first component is what sets infarcted hearts apart from others
    mi = store.labels[rows] == 1
    first = aims[rows, 0]
    assert abs(first[mi].mean() - first[~mi].mean()) > 1
    others = beat_targets(store, np.arange(HEARTS))[0]
    assert not np.allclose(others[:36], aims[:36])
