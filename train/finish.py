"""From a trained network to its checkpoint: calibration, operating points and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi import checkpoint as ck
from edge_mi.errors import ConfigError, StoreError
from edge_mi.float_model import Weights
from edge_mi.netspec import NetSpec
from edge_mi.polarity import PolarityCheck
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

from .bootstrap import RESAMPLES
from .calibrate import DEFAULT_POINT, fit_platt, operating_points, probabilities
from .evaluate import Arithmetic, evaluate
from .limits import check_seed
from .polarity import fit_polarity
from .provenance import commit, versions
from .splits import Folds, check_folds, span, split_by_folds

Logits: TypeAlias = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickRun:
    """Folds to train on, one fold to print figures for, and the seed; `command` goes into the checkpoint."""

    folds: Folds
    test_fold: int
    seed: int
    command: str
    resamples: int = RESAMPLES

    def __post_init__(self) -> None:
        check_folds((*self.folds, self.test_fold))
        if self.test_fold in self.folds:
            raise ConfigError(f"fold {self.test_fold} is trained on; a test fold must be another")
        check_seed(self.seed)

    def check_store(self, store: WindowStore, design: SignalDesign) -> None:
        """Raises StoreError where the store is of another design or without labels, or has no record in a fold.

        Also where a patient is on both sides.
        """
        store.check_filter(design)
        split_by_folds(store, train=self.folds, test=(self.test_fold,))
        store.check_labelled()
        for fold in (*self.folds, self.test_fold):
            if len(store.rows_of((fold,))) == 0:
                raise StoreError(f"the store has no record of fold {fold}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network with what is needed to judge it: logits (records,), NaN where it did not predict.

    tested: on the test fold, in each arithmetic, the device's first. out_of_fold: on the training folds, of
    networks cross-fitted in the arithmetic of the device, or in float where that is decided after training.
    """

    net: NetSpec
    weights: Weights
    ranges: ck.Ranges
    tested: tuple[tuple[Arithmetic, Logits], ...]
    out_of_fold: Logits


def finish(
    store: WindowStore,
    quick: QuickRun,
    design: SignalDesign,
    trained: Trained,
    earlier: tuple[ck.DataSource, ...] = (),
    earlier_check: PolarityCheck | None = None,
    *,
    crossfitted_from: str = "",
) -> ck.Checkpoint:
    """The checkpoint of a network; the test fold is only measured.

    earlier: data that its weights saw before. earlier_check: polarity check to keep where these records make none.
    crossfitted_from: what the cross-fitted networks began with, where it had seen the records that they predict.
    """
    rows, test = store.rows_of(quick.folds), store.rows_of((quick.test_fold,))
    name = store.manifest.source.name
    trained_on = f"{name}, folds {span(quick.folds)}, {len(rows)} records"
    crossfitted = f"{trained_on}, out-of-fold logits of cross-fitted networks"
    if crossfitted_from:
        crossfitted += f" that began with {crossfitted_from}, which had seen these records"
    labels, logits = store.labels[rows], trained.out_of_fold[rows]
    calibration = fit_platt(logits, labels, crossfitted)
    metrics: tuple[ck.Metric, ...] = ()
    for arithmetic, tested in trained.tested:
        metrics += evaluate(
            store, test, tested, calibration, arithmetic=arithmetic,
            source=f"{name} fold {quick.test_fold}, whole records from the window store",
            command=quick.command, resamples=quick.resamples,
        )  # fmt: skip
    metrics += evaluate(
        store, rows, trained.out_of_fold, None, arithmetic=trained.tested[0][0], source=crossfitted,
        command=quick.command, resamples=quick.resamples,
    )  # fmt: skip
    info = ck.CheckpointInfo(
        schema=ck.SCHEMA,
        net=trained.net,
        signal=design,
        ranges=trained.ranges,
        calibration=calibration,
        polarity=fit_polarity(store, quick.folds, trained.net) or earlier_check,
        operating_points=operating_points(probabilities(calibration, logits), labels, crossfitted),
        default_operating_point=DEFAULT_POINT,
        metrics=metrics,
        provenance=_provenance(store, rows, quick, earlier),
    )
    return ck.Checkpoint(info, trained.weights)


def _provenance(
    store: WindowStore, rows: NDArray[np.int64], quick: QuickRun, earlier: tuple[ck.DataSource, ...]
) -> ck.Provenance:
    source = store.manifest.source
    data = ck.DataSource(
        name=source.name,
        version=source.version,
        licence=source.licence,
        records=len(rows),
        patients=len(set(store.patients[rows])),
        selection=f"folds {span(quick.folds)} of: {source.selection}",
    )
    return ck.Provenance(
        data=tuple(dict.fromkeys((data, *earlier))),
        labels=source.label_rule,
        command=quick.command,
        commit=commit(),
        seed=quick.seed,
        versions=versions(),
    )
