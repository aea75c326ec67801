"""A trained checkpoint goes on in int8 arithmetic; what it learns there, ranges included, is a checkpoint again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_mi.checkpoint import Checkpoint
from edge_mi.errors import ConfigError
from edge_mi.ranges import trained_on
from edge_mi.store import WindowStore

from .config import QatConfig, Recipe
from .crossfit import inner_splits, merge_folds, soft_labels, train_students
from .encoder_start import began_with_encoder
from .finetune import folded_weights
from .finish import QuickRun, Trained, finish
from .parts import WORKERS, RunFolder
from .qat import QatRequest, learned_ranges, qat_part


def train_qat(
    checkpoint: Checkpoint,
    store_path: Path,
    run_path: Path,
    quick: QuickRun,
    recipe: Recipe,
    config: QatConfig,
    *,
    workers: int = WORKERS,
) -> Checkpoint:
    """Train the network of `checkpoint` further, quantised; goes on from the finished parts in `run_path`.

    Calibration map and thresholds are fitted as `train_quick` does it: on out-of-fold logits of students that
    went on in int8 as well. In the run folder of the checkpoint its teachers and students are found again.
    Raises ConfigError where the checkpoint has seen the test fold or began with an encoder, and what `train_quick` raises.
    """
    run = RunFolder(run_path, store_path, workers=workers)
    store, info = run.store, checkpoint.info
    quick.check_store(store, info.signal)
    check_unseen(checkpoint, store, quick.test_fold)
    if (encoder := began_with_encoder(info.provenance.data)) is not None:
        raise ConfigError(
            f"the checkpoint began with {encoder}, and the networks that its calibration comes from would not: train it "
            "without --encoder, or quantise it after training (edge-mi export)"
        )
    student = replace(recipe.student, net=info.net)
    recipe = replace(recipe, student=student)
    inner = inner_splits(quick.folds)
    splits = [*inner, (quick.folds, (quick.test_fold,))]
    soft = soft_labels(run, recipe, splits, "12-lead teachers")
    net = info.net
    (crossfitted,) = train_students(
        run, recipe, inner, soft[:-1], (quick.seed,), (net.frames,), "lead-I networks"
    )
    initial = [*(folded_weights(part, net.layer_names) for part in crossfitted), checkpoint.weights]
    parts = [
        qat_part(
            QatRequest(
                config=config, student=student, train_folds=train, predict_folds=test, seed=quick.seed
            ),
            labels,
            weights,
        )
        for (train, test), labels, weights in zip(splits, soft, initial, strict=True)
    ]
    *further, final = run.compute(parts, "quantised networks")
    ids = store.ids_of(store.rows_of(quick.folds))
    trained = Trained(
        net=net,
        weights=folded_weights(final, net.layer_names),
        ranges=learned_ranges(final, ids),
        tested=(("int8", final["logits_int8"]), ("float", final["logits_float"])),
        out_of_fold=merge_folds(
            store,
            [(held_out, part["logits_int8"]) for (_, held_out), part in zip(inner, further, strict=True)],
        ),
    )
    return finish(store, quick, info.signal, trained, info.provenance.data, info.polarity)


def check_unseen(checkpoint: Checkpoint, store: WindowStore, fold: int) -> None:
    """Raises ConfigError where records of `fold` gave the checkpoint its ranges, and so were trained on."""
    if seen := trained_on(checkpoint.info, store, store.rows_of((fold,))):
        raise ConfigError(
            f"the checkpoint was trained on fold {fold} ({len(seen)} of its records gave it ranges): choose "
            "another --test-fold"
        )
