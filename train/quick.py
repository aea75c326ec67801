"""One pass from a window store to a checkpoint: teachers, students, calibration, ranges, figures."""

from __future__ import annotations

from pathlib import Path

from edge_mi.checkpoint import Checkpoint
from edge_mi.ranges import calibration_ranges
from edge_mi.signal_design import SignalDesign

from .config import Recipe
from .crossfit import StudentJob, inner_splits, soft_labels, train_students, train_teachers
from .device.noise import load_noise, noise_source
from .encoder_start import EncoderStart
from .finetune import folded_weights
from .finish import QuickRun, Trained, finish, merge_folds
from .parts import WORKERS, Arrays, RunFolder


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
    training folds; the soft labels that these learn from were made by teachers of which some saw the held-out
    labels, an influence on two parameters that is accepted to spare a second level of teachers.
    Raises StoreError where the store is of another design or has no record in a fold, ConfigError where the encoder
    saw the test fold.
    """
    run = RunFolder(run_path, store_path, workers=workers)
    store = run.store
    quick.check_store(store, design)
    if encoder is not None:
        encoder.check_unseen(store, (quick.test_fold,))
    *inner, final = _students(run, recipe, quick, encoder)
    net = recipe.student.net
    weights = folded_weights(final, net.layer_names)
    trained = Trained(
        net=net,
        weights=weights,
        ranges=calibration_ranges(store, store.rows_of(quick.folds), net, weights, recipe.ranges),
        tested=(("float", final[f"logits_{net.frames}"]),),
        out_of_fold=merge_folds([part[f"logits_{net.frames}"] for part in inner]),
    )
    device = recipe.student.augment.device
    noise = () if device is None else noise_source(load_noise(recipe.noise), device.kinds)
    earlier = noise if encoder is None else (*noise, *encoder.data)
    shared = encoder is not None and encoder.saw(store, store.rows_of(quick.folds))
    return finish(
        store, quick, design, trained, earlier, crossfitted_from=encoder.said if encoder and shared else ""
    )


def _students(run: RunFolder, recipe: Recipe, quick: QuickRun, encoder: EncoderStart | None) -> list[Arrays]:
    """Results of one student for each inner split, and of the final one last."""
    inner = inner_splits(quick.folds)
    final = (quick.folds, (quick.test_fold,))
    aligned = recipe.align is not None
    # only alignment needs a teacher that saw all training folds
    teachers = train_teachers(run, recipe, [*inner, final] if aligned else inner, "12-lead teachers")
    soft = soft_labels(teachers[: len(inner)])
    jobs = [
        StudentJob(
            split=split,
            seed=quick.seed,
            soft_logits=soft,
            embedding=teachers[i][0]["embedding"] if aligned else None,
            initial=None if encoder is None else encoder.state,
        )
        for i, split in enumerate([*inner, final])
    ]
    return train_students(run, recipe, jobs, (recipe.student.net.frames,), "lead-I networks")
