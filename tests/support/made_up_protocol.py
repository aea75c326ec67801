"""What a protocol gives, without any network: logits and features that are as good as they are told to be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from edge_mi.train.protocol.result import (
    OUTPUTS,
    REGIMES,
    TYPES,
    MethodResult,
    ProtocolResult,
    Regime,
)
from edge_mi.train.splits import CROSS_VALIDATION_GROUPS

from edge_mi.store import WindowStore

EMBEDDING = 12


def made_up_result(
    store: WindowStore,
    strengths: Mapping[str, float],
    *,
    seeds: int = 3,
    regimes: tuple[Regime, ...] = REGIMES,
    groups: tuple[tuple[int, ...], ...] = CROSS_VALIDATION_GROUPS,
) -> ProtocolResult:
    """Every method separates the classes by its strength in standard deviations, less with fewer labels.

    A type without positives outside a group is NaN in that group, as a network that never saw one leaves it.
    Methods called `scratch` have no features; those of others show the teacher's embedding by their strength.
    """
    rng = np.random.default_rng(0)
    truth = np.stack([store.labels, *([name in r.codes for r in store.records] for name in TYPES)], axis=1)
    unknown = np.zeros((len(store), len(OUTPUTS)), dtype=bool)
    for group in groups:
        held_out = store.rows_of(group)
        others = np.setdiff1d(np.arange(len(store)), held_out)
        unknown[held_out] = ~truth[others].any(axis=0)
    # what all networks stumble over alike: their figures are paired
    shared = rng.normal(size=(len(store), len(OUTPUTS)))
    embedding = rng.normal(size=(len(groups), len(store), EMBEDDING)).astype(np.float32)

    def logits(strength: float) -> np.ndarray:
        noise = 0.8 * shared + 0.6 * rng.normal(size=shared.shape)
        return np.where(unknown, np.nan, 1.5 * (strength * truth + noise) - 1.0).astype(np.float32)

    methods = []
    for number, (name, strength) in enumerate(strengths.items()):
        by_regime = {
            regime: tuple(logits(strength * (0.4 + 0.2 * REGIMES.index(regime))) for _ in range(seeds))
            for regime in regimes
        }
        mixed = strength * embedding + rng.normal(size=(seeds, *embedding.shape))
        methods.append(
            MethodResult(
                name=name,
                parameters=66_977 + number,
                logits=by_regime,
                features=() if name == "scratch" else tuple(mixed.astype(np.float32)),
                pretraining_steps=0 if name == "scratch" else 30,
                finetuning_steps=50,
                labels_before_probe="none" if name == "scratch" else "all, by teacher",
            )
        )
    return ProtocolResult(
        groups=groups,
        seeds=tuple(range(seeds)),
        methods=tuple(methods),
        teacher=embedding,
        teacher_without_i=embedding
        + np.random.default_rng(1).normal(size=embedding.shape).astype(np.float32),
        teacher_logits=tuple(logits(2.0)[:, 0] for _ in range(seeds)),
    )
