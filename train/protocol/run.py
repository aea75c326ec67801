"""`edge-mi train reproduce` without its command line: from a configuration to results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_mi.errors import ConfigError, StoreError
from edge_mi.metrics import RESAMPLES
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

from ..crossfit import check_groups
from ..parts import WORKERS, RunFolder
from .bench import Bench
from .config import ProtocolConfig
from .curve import CurvePoint, learning_curve
from .given import check_given
from .methods import METHODS
from .result import ProtocolResult


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What a configuration came to on a store; `curve` is empty where the configuration names no methods for it."""

    store: WindowStore
    result: ProtocolResult
    curve: tuple[CurvePoint, ...]


def reproduce(
    config: ProtocolConfig,
    store_path: Path,
    run_path: Path,
    design: SignalDesign,
    *,
    workers: int = WORKERS,
    resamples: int = RESAMPLES,
) -> Reproduction:
    """Train and predict everything that `config` names; goes on from the finished parts in `run_path`.

    Raises StoreError for a store of another filter or without records in a fold, ConfigError where the store
    states another label rule than the configuration, or an encoder that is given saw a group, CheckpointError where
    one is of another network.
    """
    run = RunFolder(run_path, store_path, workers=workers)
    check_store(run.store, config, design)
    check_given(run.store, config)
    bench = Bench(run, config)
    result = bench.result()
    return Reproduction(run.store, result, learning_curve(bench, resamples=resamples))


def check_store(store: WindowStore, config: ProtocolConfig, design: SignalDesign) -> None:
    """Raises StoreError or ConfigError where `config` cannot be run on `store`; before hours, not after."""
    store.check_filter(design)
    rule = store.manifest.source.label_rule
    if config.data.label_rule not in ("", rule):
        raise ConfigError(
            f"data.label_rule is {config.data.label_rule!r}, the store was made with {rule!r}: build the store with "
            "that rule, or correct the configuration"
        )
    samples = store.manifest.samples_per_record
    if samples < config.samples_needed:
        raise StoreError(
            f"records of {samples} samples, the configuration's networks need {config.samples_needed}: choose smaller "
            "ones, or another store"
        )
    soft = any(METHODS[name].response for name in config.methods)
    check_groups(store, config.groups, inner=1 if soft else 0)


def store_line(store: WindowStore) -> str:
    """What a result ran on, in one line."""
    source = store.manifest.source
    return (
        f"{source.name} {source.version}, {source.selection}; {len(store)} records of "
        f"{len(set(store.patients))} patients, {int(store.labels.sum())} with infarction; {source.label_rule}"
    )
