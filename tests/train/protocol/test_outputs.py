"""Ten labels a record, and subsets of patients that are nested, whole and never without a positive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.protocol.heads import protocol_targets, ten_outputs
from edge_mi.train.protocol.outputs import Subset, output_labels
from edge_mi.train.protocol.result import OUTPUTS, TYPES
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_mi.store import WindowStore

FOLDS = tuple(range(1, 8))


@pytest.fixture(scope="module")
def store(toy_store: Path) -> WindowStore:
    return WindowStore.open(toy_store)


def test_a_type_is_its_statement(store: WindowStore) -> None:
    labels = output_labels(store)
    assert labels.shape == (108, 10)
    assert np.array_equal(labels[:, 0], store.labels)
    assert np.array_equal(labels[:, OUTPUTS.index("IMI")], store.labels)
    assert labels[:, OUTPUTS.index("PMI")].sum() == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 50), small=st.floats(0.001, 1), large=st.floats(0.001, 1))
def test_the_smaller_subset_lies_in_the_larger_and_holds_whole_patients_of_both_classes(
    store: WindowStore, seed: int, small: float, large: float
) -> None:
    small, large = sorted((small, large))
    everyone = store.rows_of(FOLDS)
    few, many = (Subset(folds=FOLDS, fraction=f, seed=seed).rows(store) for f in (small, large))
    assert set(few) <= set(many) <= set(everyone)
    assert set(store.labels[few]) == {0, 1}
    assert set(few) == {row for row in everyone if store.patients[row] in set(store.patients[few])}


def test_a_subset_is_as_large_as_it_says(store: WindowStore) -> None:
    everyone = len(set(store.patients[store.rows_of(FOLDS)]))
    half = len(set(store.patients[Subset(folds=FOLDS, fraction=0.5).rows(store)]))
    assert abs(half - everyone / 2) <= 1


def test_other_seeds_draw_other_patients(store: WindowStore) -> None:
    drawn = {tuple(Subset(folds=FOLDS, fraction=0.2, seed=seed).rows(store)) for seed in range(4)}
    assert len(drawn) == 4


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.1])
def test_no_fraction_is_no_subset(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction lies in"):
        Subset(folds=FOLDS, fraction=fraction)


def test_a_type_that_no_training_record_has_gets_no_logit(store: WindowStore) -> None:
    import torch
    from edge_mi.train.config import TaskConfig

    targets = protocol_targets(store, store.rows_of(FOLDS), TaskConfig(code_min_records=1000))
    assert targets.code_names == ("IMI",)  # one training record is enough for a type, not for SR
    outputs = {"mi": torch.arange(2.0), "codes": torch.full((2, 1), 5.0)}
    logits = ten_outputs(outputs, targets)
    assert logits[:, 0].tolist() == [0.0, 1.0]
    assert logits[:, OUTPUTS.index("IMI")].tolist() == [5.0, 5.0]
    assert np.isnan(logits[:, [OUTPUTS.index(name) for name in TYPES if name != "IMI"]]).all()
