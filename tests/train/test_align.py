"""Alignment draws a lead-I view to its own record, and hands over an encoder that fine-tuning can begin with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from edge_mi.train.align import Aligner, AlignRequest, align, standardise
from edge_mi.train.augment import SignalTable
from edge_mi.train.config import AlignConfig, AugmentConfig, FitConfig, Recipe
from edge_mi.train.fit import fit, seed_torch
from edge_mi.train.patchnet import PatchNet

from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore


def test_alignment_raises_the_similarity_of_pairs_over_others(toy_store: Path, tiny_recipe: Recipe) -> None:
    store = WindowStore.open(toy_store)
    signals, rows = SignalTable(store, ("I",)), np.arange(len(store))
    # an aim that lead I shows: where the label is, plus a second direction of noise
    aims = torch.tensor(
        np.stack([store.labels * 2.0 - 1, 1 - store.labels * 2.0], axis=1), dtype=torch.float32
    )
    seed_torch(0)
    aligner = Aligner(PatchNet(tiny_recipe.student.net), 2, AlignConfig(projection=4))
    config = FitConfig(epochs=15, batch=32)

    def contrast() -> float:
        with torch.no_grad():
            aligner.eval()
            u = F.normalize(
                aligner.pairs.from_lead(aligner.encoder.embed(signals.records_mv(torch.from_numpy(rows)))),
                dim=1,
            )
            similarity = u @ F.normalize(aligner.pairs.from_record(aims), dim=1).T
        same = torch.from_numpy(store.labels[:, None] == store.labels[None])
        return float(similarity[same].mean() - similarity[~same].mean())

    before = contrast()
    augment = replace(tiny_recipe.student.augment, noise_mv=0.0)
    fit(
        aligner,
        rows,
        lambda batch: aligner(aligner.features(signals.augmented_mv(batch, augment)), aims[batch]),
        config,
        seed=0,
    )
    assert contrast() > before + 0.2


def test_the_result_is_the_state_of_the_convolutions(
    toy_store: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    store = WindowStore.open(toy_store)
    assert tiny_recipe.align is not None
    net = tiny_recipe.student.net
    request = AlignRequest(config=tiny_recipe.align, net=net, dropout=0.3, train_folds=(1, 2, 3), seed=0)
    embedding = np.full((len(store), 5), np.nan, dtype=np.float32)
    rows = store.rows_of((1, 2, 3))
    embedding[rows] = np.random.default_rng(0).normal(size=(len(rows), 5))
    state = {
        k: torch.from_numpy(v)
        for k, v in align(store, request, {"embedding": embedding}, tmp_path / "s").items()
    }
    missing = PatchNet(net).load_state_dict(state, strict=False)
    assert missing.unexpected_keys == []
    assert missing.missing_keys == ["head.weight", "head.bias"]


def test_standardising_uses_the_training_rows_only() -> None:
    embedding = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, 7.0]], dtype=np.float32)
    result = standardise(embedding, np.array([0, 1]))
    np.testing.assert_allclose(result[:2], [[-1, 0], [1, 0]], atol=2e-3)


def test_every_lead_and_its_labels_can_be_learned_from(
    toy_store: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    store = WindowStore.open(toy_store)
    assert tiny_recipe.align is not None
    every = replace(tiny_recipe.align, leads=TWELVE_LEADS, task=None)
    lead_i = replace(every, leads=("I",))
    taught = replace(every, task=tiny_recipe.student.task)
    embedding = np.random.default_rng(0).normal(size=(len(store), 5)).astype(np.float32)
    states = []
    for config in (lead_i, every, taught):
        request = AlignRequest(
            config=config, net=tiny_recipe.student.net, dropout=0.3, train_folds=(1, 2, 3), seed=0
        )
        states.append(align(store, request, {"embedding": embedding}, tmp_path / "s"))
        (tmp_path / "s").unlink()
    assert states[0].keys() == states[1].keys() == states[2].keys()
    weights = [state["stack.0.weight"] for state in states]
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])


def test_one_lead_of_each_record_is_seen(toy_store: Path) -> None:
    store = WindowStore.open(toy_store)
    signals = SignalTable(store, TWELVE_LEADS)
    rows, lead = torch.tensor([3, 0, 7]), torch.tensor([11, 0, 5])
    plain = AugmentConfig(crop_samples=signals.samples, log_gain=0.0, noise_mv=0.0)
    found = signals.augmented_mv(rows, plain, lead)
    expected = signals.records_mv(rows)[torch.arange(3), lead][:, None]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
