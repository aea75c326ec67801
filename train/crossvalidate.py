"""Cross-validation on folds 1 to 9 in three groups: what the recipe is worth, and what its parts are.

Every network predicts only records of folds that neither it nor its teachers saw. The logits of the three
groups are pooled; each figure is the mean over single networks, as one network is what ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge_mi.errors import ConfigError
from edge_mi.netspec import NetSpec
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

from .age_sex import age_sex_logits
from .as_shipped import OuterSplit, as_shipped
from .bootstrap import RESAMPLES
from .config import Recipe
from .crossfit import (
    INNER,
    Split,
    all_folds,
    check_groups,
    inner_splits,
    merge_folds,
    outer_splits,
    soft_labels,
    train_students,
    train_teachers,
    with_inner,
)
from .device.config import DeviceConfig
from .encoder_start import EncoderStart
from .fold_figures import Figure, Logits, Measure
from .parts import WORKERS, Arrays, RunFolder
from .provenance import commit, versions
from .splits import CROSS_VALIDATION_GROUPS, Folds, span

SCHEMA: Final = 2
FRAMES: Final = (33, 35, 37)  # window lengths tried beside the network's own
PROTOCOL: Final = (
    "groups of folds 1-3, 4-6, 7-9 held out in turn; teachers and their out-of-fold soft labels from the other six "
    "folds; logits pooled over groups; value: mean over networks that differ in their seed; interval: 95 %, 1000 "
    "bootstraps over patients with the networks fixed; probabilities and operating points: Platt map and thresholds "
    "from students cross-fitted inside the other six folds, as a checkpoint gets them, and then held to"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """The document of a cross-validation."""

    schema: int
    protocol: str
    data: str
    label_rule: str
    store_sha256: str
    records: int
    patients: int
    seeds: tuple[int, ...]
    figures: tuple[Figure, ...]
    command: str
    commit: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Seeds of the students, the held-out groups, and what to try as well: no alignment, a patch, another network.

    noise: folder of NSTDB for the patch; None for the stand-in. encoders: what the networks of each group begin with,
    one for all or one for each of `groups`; none for fresh weights.
    """

    seeds: tuple[int, ...]
    command: str
    scratch: bool = False
    against: NetSpec | None = None
    device: DeviceConfig | None = None
    noise: Path | None = None
    groups: tuple[Folds, ...] = CROSS_VALIDATION_GROUPS
    frames: tuple[int, ...] = FRAMES
    resamples: int = RESAMPLES
    encoders: tuple[EncoderStart, ...] = ()

    def __post_init__(self) -> None:
        if len(self.encoders) not in (0, 1, len(self.groups)):
            raise ConfigError(
                f"{len(self.encoders)} encoders; give one, or one for each of the {len(self.groups)} groups of folds that "
                f"are held out in turn: {' '.join(map(span, self.groups))}"
            )

    def encoder(self, group: int) -> EncoderStart | None:
        """What the networks that `group` is held out from begin with."""
        return self.encoders[group if len(self.encoders) > 1 else 0] if self.encoders else None

    def check_unseen(self, store: WindowStore) -> tuple[str, ...]:
        """Raises ConfigError where an encoder saw what it is judged on; what could not be checked."""
        doubts: list[str] = []
        for index, group in enumerate(self.groups):
            if (encoder := self.encoder(index)) is not None:
                doubts += encoder.check_unseen(store, group)
        return tuple(dict.fromkeys(doubts))


def cross_validate(
    store_path: Path,
    run_path: Path,
    plan: Plan,
    recipe: Recipe,
    design: SignalDesign,
    *,
    workers: int = WORKERS,
) -> CrossValidation:
    """Train what `plan` says and measure it; goes on from the finished parts in `run_path`.

    Raises StoreError for a store of another filter, without labels, or with too few records in a group of folds,
    ConfigError where an encoder saw what it is judged on.
    """
    run = RunFolder(run_path, store_path, workers=workers)
    store = run.store
    store.check_filter(design)
    splits = outer_splits(plan.groups)
    check_groups(store, plan.groups, inner=INNER)
    plan.check_unseen(store)
    outer = train_teachers(run, recipe, splits, "12-lead teachers")
    inner = [inner_splits(train) for train, _ in splits]
    every = with_inner(splits)
    soft = soft_labels(run, recipe, every, "inner 12-lead teachers")
    measure = Measure(store, store.rows_of(all_folds(plan.groups)), plan.groups, plan.resamples)
    begin = [encoder.state for g in range(len(splits)) if (encoder := plan.encoder(g)) is not None]

    def pooled(recipe: Recipe, frames: tuple[int, ...], label: str) -> dict[int, list[Logits]]:
        """For each window length the logits (records,) of each seed's networks."""
        seeds = train_students(run, recipe, splits, soft[: len(splits)], plan.seeds, frames, label, begin)
        return {
            count: [merge_folds(store, _asked(splits, parts, f"logits_{count}")) for parts in seeds]
            for count in frames
        }

    net = recipe.student.net
    lead_i = pooled(recipe, (*plan.frames, net.frames), "lead-I networks")
    own = lead_i[net.frames]
    figures = measure.subject("lead_i", own)
    crossfitted = train_students(
        run,
        recipe,
        every[len(splits) :],
        soft[len(splits) :],
        plan.seeds,
        (net.frames,),
        "inner lead-I networks",
        [state for state, group in zip(begin, inner, strict=True) for _ in group] if begin else [],
    )
    answers = [
        as_shipped(store, _outer(run, splits, inner, logits, parts, f"logits_{net.frames}"))
        for logits, parts in zip(own, crossfitted, strict=True)
    ]
    figures += measure.shipped("lead_i", answers)
    if plan.scratch:
        scratch = pooled(replace(recipe, align=None), (net.frames,), "lead-I networks from scratch")[
            net.frames
        ]
        figures += measure.subject("lead_i_from_scratch", scratch)
        figures += measure.difference("lead_i minus lead_i_from_scratch", own, scratch)
    if plan.device is not None:
        patch = recipe.with_device(plan.device, plan.noise)
        device = pooled(patch, (net.frames,), "lead-I networks of a patch")[net.frames]
        figures += measure.subject("lead_i_device", device)
        figures += measure.difference("lead_i_device minus lead_i", device, own)
    if plan.against is not None:
        other = plan.against
        rival = replace(recipe, student=replace(recipe.student, net=other))
        figures += measure.difference(
            f"{net.name} minus {other.name}", own, pooled(rival, (other.frames,), other.name)[other.frames]
        )
    teachers = [
        merge_folds(store, _asked(splits, [group[k] for group in outer], "logits"))
        for k in range(recipe.teacher.ensemble)
    ]
    figures += measure.rankings("teacher_12_leads", teachers)
    figures += measure.rankings("age_alone", [store.ages_years], known_age=True)
    figures += measure.rival("lead_i minus age_alone", own, store.ages_years, known_age=True)
    person = age_sex_logits(store, splits)
    figures += measure.rankings("age_and_sex", [person])
    figures += measure.rival("lead_i minus age_and_sex", own, person)
    for count in plan.frames:
        figures += measure.difference(f"lead_i with {count} frames minus {net.frames}", lead_i[count], own)
    source = store.manifest.source
    return CrossValidation(
        schema=SCHEMA,
        protocol=PROTOCOL,
        data=f"{source.name} {source.version}, {source.selection}{_began(plan)}",
        label_rule=source.label_rule,
        store_sha256=store.digest,
        records=len(measure.rows),
        patients=len(set(store.patients[measure.rows])),
        seeds=plan.seeds,
        figures=tuple(figures),
        command=plan.command,
        commit=commit(),
        versions=versions(),
    )


def _began(plan: Plan) -> str:
    """What the networks began with, and what that had seen, for the document."""
    said = [f"{each.said}, which saw {each.origin}" for each in plan.encoders]
    return f"; networks began with {'; '.join(said)}" if said else ""


def _asked(splits: Sequence[Split], parts: Sequence[Arrays], name: str) -> list[tuple[Folds, Logits]]:
    """What the network of each split said of the folds that it was asked for."""
    return [(held_out, part[name]) for (_, held_out), part in zip(splits, parts, strict=True)]


def _outer(
    run: RunFolder,
    splits: Sequence[Split],
    inner: Sequence[Sequence[Split]],
    logits: Logits,
    parts: Sequence[Arrays],
    name: str,
) -> list[OuterSplit]:
    """One network a split, with what the students inside its training folds said; `parts` are all of these."""
    rest, found = list(parts), []
    for (train, held_out), group in zip(splits, inner, strict=True):
        out_of_fold = merge_folds(run.store, _asked(group, rest[: len(group)], name))
        found.append(OuterSplit(train, held_out, logits, out_of_fold))
        rest = rest[len(group) :]
    return found
