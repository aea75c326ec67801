"""Cross-validation on folds 1 to 9 in three groups: what the recipe is worth, and what its parts are.

Every network predicts only records of folds that neither it nor its teachers saw. The logits of the three
groups are pooled; each figure is the mean over single networks, as one network is what ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError
from edge_mi.metrics import auprc, auroc, brier, expected_calibration_error
from edge_mi.netspec import NetSpec
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

from .bootstrap import RESAMPLES, bootstrap
from .calibrate import fit_platt, probabilities
from .config import Recipe
from .crossfit import StudentJob, inner_splits, soft_labels, train_students, train_teachers
from .device.config import DeviceConfig
from .encoder_start import EncoderStart
from .evaluate import ALL, Statistic, Task, at_specificity, estimate, ranked, tasks, with_age
from .parts import WORKERS, Arrays, RunFolder
from .provenance import commit, versions
from .splits import CROSS_VALIDATION_GROUPS, Folds, span, split_by_folds, without

SCHEMA: Final = 1
FRAMES: Final = (33, 35, 37)  # window lengths tried beside the network's own
LAST_FOLD: Final = 9
COMPARED_IN_PAIRS: Final = (ALL, "mi_vs_other_abnormal")
PROTOCOL: Final = (
    "groups of folds 1-3, 4-6, 7-9 held out in turn; teachers and their out-of-fold soft labels from the other six "
    "folds; logits pooled over groups; value: mean over networks that differ in their seed; interval: 95 %, 1000 "
    "bootstraps over patients with the networks fixed; probabilities: Platt map of the other two groups"
)

Logits: TypeAlias = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: `value` is the mean of `each` network, `sd` their standard deviation, None for fewer than two."""

    subject: str
    name: str
    task: str
    value: float
    sd: float | None
    each: tuple[float, ...]
    interval: tuple[float, float] | None
    n: int
    n_positive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """The document of a cross-validation."""

    schema: int
    protocol: str
    data: str
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
    """Train what `plan` says and measure it; goes on from the finished parts in `run_path`."""
    run = RunFolder(run_path, store_path, workers=workers)
    store = run.store
    store.check_filter(design)
    folds = tuple(sorted(fold for group in plan.groups for fold in group))
    splits = [(without(folds, group), group) for group in plan.groups]
    for train, test in splits:
        split_by_folds(store, train=train, test=test)
    store.labels  # noqa: B018  a store without labels is refused here, and not after an epoch
    plan.check_unseen(store)
    inner = [inner_splits(train) for train, _ in splits]
    trained = train_teachers(
        run, recipe, [*splits, *(s for group in inner for s in group)], "12-lead teachers"
    )
    outer, rest = trained[: len(splits)], trained[len(splits) :]
    soft = []
    for group in inner:
        soft.append(soft_labels(rest[: len(group)]))
        rest = rest[len(group) :]
    frames = (*plan.frames, recipe.student.net.frames)
    jobs = [
        StudentJob(
            split=split,
            seed=seed,
            soft_logits=soft[g],
            embedding=outer[g][0]["embedding"],
            initial=None if (encoder := plan.encoder(g)) is None else encoder.state,
        )
        for seed in plan.seeds
        for g, split in enumerate(splits)
    ]
    students = train_students(run, recipe, jobs, frames, "lead-I networks")
    measure = _Measure(store, store.rows_of(folds), plan.groups, plan.resamples)
    lead_i = {count: _pool(students, f"logits_{count}", len(splits)) for count in frames}
    own = lead_i[recipe.student.net.frames]
    teachers = [_merge([group[k]["logits"] for group in outer]) for k in range(recipe.teacher.ensemble)]
    figures = measure.subject("lead_i", own)
    if plan.scratch:
        parts = train_students(run, replace(recipe, align=None), jobs, frames, "lead-I networks from scratch")
        scratch = _pool(parts, f"logits_{recipe.student.net.frames}", len(splits))
        figures += measure.subject("lead_i_from_scratch", scratch)
        figures += measure.difference("lead_i minus lead_i_from_scratch", own, scratch)
    if plan.device is not None:
        patch = recipe.with_device(plan.device, plan.noise)
        parts = train_students(run, patch, jobs, frames, "lead-I networks of a patch")
        device = _pool(parts, f"logits_{recipe.student.net.frames}", len(splits))
        figures += measure.subject("lead_i_device", device)
        figures += measure.difference("lead_i_device minus lead_i", device, own)
    if plan.against is not None:
        student, other = replace(recipe.student, net=plan.against), plan.against
        parts = train_students(
            run, replace(recipe, student=student), jobs, (*plan.frames, other.frames), other.name
        )
        name = f"{recipe.student.net.name} minus {other.name}"
        figures += measure.difference(name, own, _pool(parts, f"logits_{other.frames}", len(splits)))
    figures += measure.rankings("teacher_12_leads", teachers)
    figures += measure.rankings("age_alone", [store.ages_years], known_age=True)
    for count in plan.frames:
        figures += measure.difference(
            f"lead_i with {count} frames minus {recipe.student.net.frames}", lead_i[count], own
        )
    source = store.manifest.source
    return CrossValidation(
        schema=SCHEMA,
        protocol=PROTOCOL,
        data=f"{source.name} {source.version}, {source.selection}{_began(plan)}",
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
    said = [
        f"{each.said}, which saw {', '.join(f'{data.name} {data.version}' for data in each.data)}"
        for each in plan.encoders
    ]
    return f"; networks began with {'; '.join(said)}" if said else ""


@dataclass(frozen=True, slots=True)
class _Measure:
    """Figures of pooled out-of-fold logits on `rows`."""

    store: WindowStore
    rows: NDArray[np.int64]
    groups: tuple[Folds, ...]
    resamples: int

    def subject(self, name: str, logits: Sequence[Logits]) -> list[Figure]:
        """Everything about one kind of network: its ranking, and its probabilities."""
        figures = self.rankings(name, logits)
        everyone = Task(ALL, self.rows)
        calibrated = [self._calibrated(each) for each in logits]
        for what, scores, statistic in (
            ("auprc", logits, auprc),
            ("sensitivity_at_specificity_90", logits, at_specificity),
            ("brier", calibrated, brier),
            ("expected_calibration_error", calibrated, expected_calibration_error),
        ):
            figures.append(self._figure(name, what, everyone, scores, statistic))
        return figures

    def rankings(self, name: str, scores: Sequence[Logits], *, known_age: bool = False) -> list[Figure]:
        """AUROC in every comparison and on the last fold alone; among records of known age if asked for."""
        last = Task(f"{ALL}_fold_{LAST_FOLD}", self.store.rows_of((LAST_FOLD,)))
        compared = [*tasks(self.store, self.rows), last]
        if known_age:
            compared = [with_age(self.store, task) for task in compared]
        return [
            self._figure(name, "auroc", task, scores, auroc) for task in compared if ranked(self.store, task)
        ]

    def difference(self, name: str, a: Sequence[Logits], b: Sequence[Logits]) -> list[Figure]:
        """Difference of the mean AUROC of a and of b, network by network on the same records."""
        return [
            self._difference(name, task, a, b)
            for task in tasks(self.store, self.rows)
            if task.name in COMPARED_IN_PAIRS
        ]

    def _difference(self, name: str, task: Task, a: Sequence[Logits], b: Sequence[Logits]) -> Figure:
        labels, patients = self.store.labels[task.rows], self.store.patients[task.rows]
        pairs = [(x[task.rows], y[task.rows]) for x, y in zip(a, b, strict=True)]

        def each(chosen: NDArray[np.int64]) -> list[float]:
            y = labels[chosen]
            return [auroc(y, first[chosen]) - auroc(y, second[chosen]) for first, second in pairs]

        result = bootstrap(lambda chosen: float(np.mean(each(chosen))), patients, resamples=self.resamples)
        values = each(np.arange(len(task.rows)))
        return self._document(name, "auroc_difference", task, values, result.interval)

    def _figure(
        self, subject: str, name: str, task: Task, scores: Sequence[Logits], statistic: Statistic
    ) -> Figure:
        labels = self.store.labels[task.rows]
        values = [statistic(labels, np.asarray(score, dtype=np.float64)[task.rows]) for score in scores]
        result = estimate(self.store, task.rows, scores, statistic, resamples=self.resamples)
        return self._document(subject, name, task, values, result.interval)

    def _document(
        self, subject: str, name: str, task: Task, values: list[float], interval: tuple[float, float] | None
    ) -> Figure:
        return Figure(
            subject=subject,
            name=name,
            task=task.name,
            value=float(np.mean(values)),
            sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            each=tuple(values),
            interval=interval,
            n=len(task.rows),
            n_positive=int(self.store.labels[task.rows].sum()),
        )

    def _calibrated(self, logits: Logits) -> NDArray[np.float64]:
        """Probabilities of each group under the map of the other groups."""
        p = np.full(len(self.store), np.nan)
        for group in self.groups:
            held_out = self.store.rows_of(group)
            others = np.setdiff1d(self.rows, held_out)
            calibration = fit_platt(logits[others], self.store.labels[others], "the other groups")
            p[held_out] = probabilities(calibration, logits[held_out])
        return p


def _pool(parts: Sequence[Arrays], name: str, groups: int) -> list[Logits]:
    """For each seed the logits (records,) of its networks, one a group."""
    return [_merge([part[name] for part in parts[i : i + groups]]) for i in range(0, len(parts), groups)]


def _merge(predictions: Sequence[Logits]) -> Logits:
    merged = predictions[0]
    for other in predictions[1:]:
        merged = np.where(np.isfinite(other), other, merged)
    return merged
