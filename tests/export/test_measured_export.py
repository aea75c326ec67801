"""Export with --data: ranges from the store's other folds, figures on its test fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_mi.export import measured_export
from edge_mi.export.agreement import AgreementLimits
from edge_mi.export.measured_export import export_measured
from edge_mi.export.targets import target_named
from heart_store import heart_store

from edge_mi.bundle import Bundle
from edge_mi.checkpoint import Checkpoint, Range
from edge_mi.errors import ConfigError, DoesNotFit, ExportDisagreement, StoreError
from edge_mi.metrics import auroc
from edge_mi.runners.choose import open_runner
from edge_mi.shipped import shipped_checkpoint
from edge_mi.store import WindowStore

pytestmark = pytest.mark.usefixtures("few_windows")
# ranges of synthetic hearts are none for this network
LOOSE = AgreementLimits(family_decisions=0.05, float_decisions=0.1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return heart_store(tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.load(shipped_checkpoint())


def test_figures_and_ranges_are_those_of_the_store(
    tmp_path: Path, store: Path, checkpoint: Checkpoint
) -> None:
    result = export_measured(checkpoint, tmp_path / "bundle", store, limits=LOOSE)
    info = Bundle.load(tmp_path / "bundle").info
    assert {(m.name, m.arithmetic) for m in info.metrics} == {
        ("auroc", "float"), ("auroc", "int8"), ("auroc_int8_minus_float", "int8"),
    }  # fmt: skip
    opened = WindowStore.open(store)
    test = {opened.records[row].record_id for row in opened.rows_of((4,))}
    assert test.isdisjoint(info.ranges.window_ids)
    assert set(info.ranges.window_ids) | test == {record.record_id for record in opened.records}
    int8 = next(m for m in info.metrics if m.arithmetic == "int8")
    assert (int8.n, int8.n_positive) == (24, 8)
    # scored again, window by window, from the bundle on disk
    rows, runner = opened.rows_of((4,)), open_runner(result.bundle)
    signals = opened.signals_mv(rows).astype(np.float64)[:, : info.net.window_samples]
    outputs = [runner.run(info.input.quantise(s))[0] for s in signals]
    assert int8.value == pytest.approx(auroc(opened.labels[rows], outputs))
    assert "fold 4" in int8.source


def test_ranges_are_chosen_as_asked(tmp_path: Path, store: Path, checkpoint: Checkpoint) -> None:
    info = export_measured(checkpoint, tmp_path / "bundle", store, ranges="minmax", limits=LOOSE).bundle.info
    opened = WindowStore.open(store)
    rows = opened.rows_of((1, 2, 3))
    windows = opened.signals_mv(rows)[:, : info.net.window_samples]
    assert info.ranges.method.startswith("minimum and maximum")
    assert info.metrics[0].command == "edge-mi export --int8 --data store --ranges minmax --test-fold 4"
    assert info.ranges.tensors["input"] == Range(low=float(windows.min()), high=float(windows.max()))


def test_int8_that_costs_too_much_leaves_no_bundle(
    tmp_path: Path, store: Path, checkpoint: Checkpoint
) -> None:
    with pytest.raises(ExportDisagreement, match=r"AUROC of int8 minus float is .* at most 0 may differ"):
        export_measured(
            coarse(checkpoint),
            tmp_path / "bundle",
            store,
            limits=AgreementLimits(float_decisions=1, auroc_difference=0),
        )
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_its_target_is_refused_before_it_is_measured(
    tmp_path: Path, store: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_export, "_measure", lambda *_: pytest.fail("measured"))
    small = replace(target_named("nrf52840"), flash_bytes=1 << 16)
    with pytest.raises(DoesNotFit, match="patchnet-67k does not fit nrf52840"):
        export_measured(checkpoint, tmp_path / "bundle", store, target=small)
    assert list(tmp_path.iterdir()) == []


def coarse(checkpoint: Checkpoint) -> Checkpoint:
    """Weights of which one channel spoils the scale of all the others in int8."""
    weights = {}
    for layer, (weight, bias) in checkpoint.weights.items():
        spoiled = weight.copy()
        spoiled[:, 0] *= 40
        weights[layer] = (spoiled, bias)
    return replace(checkpoint, weights=weights)


def test_another_fold_can_be_asked_for(tmp_path: Path, store: Path, checkpoint: Checkpoint) -> None:
    export_measured(checkpoint, tmp_path / "bundle", store, test_fold=2, limits=LOOSE)
    assert "fold 2" in Bundle.load(tmp_path / "bundle").info.metrics[0].source


def test_a_fold_that_is_not_there_is_refused(tmp_path: Path, store: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(ConfigError, match="the store has folds 1, 2, 3, 4"):
        export_measured(checkpoint, tmp_path / "bundle", store, test_fold=9)
    assert list(tmp_path.iterdir()) == []


def test_a_fold_that_was_trained_on_is_refused(tmp_path: Path, store: Path, checkpoint: Checkpoint) -> None:
    """Known by the records that the checkpoint's ranges were measured on."""
    manifest = WindowStore.open(store).manifest
    data = replace(checkpoint.info.provenance.data[0], name=manifest.source.name)
    opened = WindowStore.open(store)
    seen = tuple(opened.records[row].record_id for row in opened.rows_of((3,)))
    info = replace(
        checkpoint.info,
        ranges=replace(checkpoint.info.ranges, window_ids=seen),
        provenance=replace(checkpoint.info.provenance, data=(data,)),
    )
    trained = Checkpoint(info, checkpoint.weights)
    with pytest.raises(ConfigError, match=f"fold 3 holds 24 records .* such as {seen[0]}: it was trained on"):
        export_measured(trained, tmp_path / "bundle", store, test_fold=3)
    assert list(tmp_path.iterdir()) == []
    export_measured(trained, tmp_path / "bundle", store, test_fold=4, limits=LOOSE)


def test_a_store_of_another_filter_is_refused(tmp_path: Path, store: Path, checkpoint: Checkpoint) -> None:
    signal = checkpoint.info.signal
    other = replace(checkpoint.info, signal=replace(signal, band_hz=(0.5, 35.0)))
    with pytest.raises(StoreError, match="filtered with another design"):
        export_measured(Checkpoint(other, checkpoint.weights), tmp_path / "bundle", store)


def test_too_few_records_for_ranges_are_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    small = heart_store(tmp_path / "small", records=24)
    with pytest.raises(StoreError, match="ranges need at least 64"):
        export_measured(checkpoint, tmp_path / "bundle", small)
    assert not (tmp_path / "bundle").exists()
