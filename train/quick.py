"""One pass from a window store to a checkpoint: teachers, students, calibration, ranges, figures."""

from __future__ import annotations

from pathlib import Path

from edge_mi.checkpoint import Checkpoint
from edge_mi.ranges import calibration_ranges
from edge_mi.signal_design import SignalDesign

from .config import Recipe
from .crossfit import inner_splits, merge_folds, soft_labels, train_students
from .device.noise import load_noise, noise_source
from .encoder_start import EncoderStart
from .finetune import folded_weights
from .finish import QuickRun, Trained, finish
from .parts import WORKERS, RunFolder


def train_quick(
    store_path: Path,
    run_path: Path,
    quick: QuickRun,
    recipe: Recipe,
    design: SignalDesign,
    *,
    encoder: EncoderStart | None = None,
    workers: int = WORKERS,
) -> Checkpoint:
    """Train, calibrate and measure one network; goes on from the finished parts in `run_path`.

    encoder: what every network begins with; None for fresh weights.

    The test fold is only measured. Probabilities and thresholds come from students cross-fitted inside the
    training folds; neither they nor their teachers saw the labels of the records that they predict, unless the
    encoder that they begin with had, which the checkpoint then says.
    Raises StoreError where the store is of another design or has no record in a fold, ConfigError where the encoder
    saw the test fold.
    """
    run = RunFolder(run_path, store_path, workers=workers)
    store = run.store
    quick.check_store(store, design)
    if encoder is not None:
        encoder.check_unseen(store, (quick.test_fold,))
    inner = inner_splits(quick.folds)
    splits = [*inner, (quick.folds, (quick.test_fold,))]
    soft = soft_labels(run, recipe, splits, "12-lead teachers")
    begin = [encoder.state] * len(splits) if encoder is not None else []
    net = recipe.student.net
    ((*crossfitted, final),) = train_students(
        run, recipe, splits, soft, (quick.seed,), (net.frames,), "lead-I networks", begin
    )
    weights = folded_weights(final, net.layer_names)
    trained = Trained(
        net=net,
        weights=weights,
        ranges=calibration_ranges(store, store.rows_of(quick.folds), net, weights, recipe.ranges),
        tested=(("float", final[f"logits_{net.frames}"]),),
        out_of_fold=merge_folds(
            store,
            [
                (held_out, part[f"logits_{net.frames}"])
                for (_, held_out), part in zip(inner, crossfitted, strict=True)
            ],
        ),
    )
    device = recipe.student.augment.device
    noise = () if device is None else noise_source(load_noise(recipe.noise), device.kinds)
    earlier = noise if encoder is None else (*noise, *encoder.data)
    shared = encoder is not None and encoder.saw(store, store.rows_of(quick.folds))
    return finish(
        store, quick, design, trained, earlier, crossfitted_from=encoder.said if encoder and shared else ""
    )
