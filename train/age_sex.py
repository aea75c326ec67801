"""The rival without an ECG: a logistic regression of age and sex, which every network has to beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.store import WindowStore

from .calibrate import fit_logistic
from .crossfit import Split, merge_folds
from .targets import make_targets

RIDGE: Final = 1.0


def person_features(store: WindowStore) -> NDArray[np.float32]:
    """Age and sex, each with whether it is known, float32 (records, 4)."""
    person = make_targets(store, np.empty(0, dtype=np.int64), 1)
    columns = (person.age, person.age_known, person.female, person.sex_known)
    return np.stack([column.numpy() for column in columns], axis=1)


def age_sex_logits(store: WindowStore, splits: Iterable[Split]) -> NDArray[np.float32]:
    """Logits float32 (records,) of the folds that each split predicts, by a regression on those it trains on."""
    features = person_features(store).astype(np.float64)
    design = np.column_stack([features, np.ones(len(store))])
    predictions = []
    for train, held_out in splits:
        rows = store.rows_of(train)
        aims = store.labels[rows].astype(np.float64)
        beta = fit_logistic(design[rows], aims, np.zeros(design.shape[1]), ridge=RIDGE)
        predictions.append((held_out, (design @ beta).astype(np.float32)))
    return merge_folds(store, predictions)
