"""The document of a reproduction: everything that its table and its plots are made of (contract C8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_mi.errors import ConfigError
from edge_mi.metrics import RESAMPLES
from edge_mi.progress import Progress
from edge_mi.store import WindowStore

from ..evaluate import ALL
from ..provenance import commit, versions
from ..resamples import Floats, Resamples
from .comparisons import FEWEST_POSITIVES, TYPE_RULE
from .curve import CurvePoint
from .entrants import TWELVE_LEADS, entrants
from .evidence import RIDGE, EvidenceFigure, gather_evidence
from .figures import Figure, Judge, pairs
from .methods import CAVEATS
from .probabilities import CHOICE_RULE, Probabilities, judge_probabilities
from .result import ProtocolResult
from .roc import RocCurve, roc_curve

SCHEMA: Final = 2
PROTOCOL: Final = (
    "every group of folds is predicted by networks that saw neither it nor its patients, and the logits of the groups "
    "are pooled; value: mean over seeds; interval: 95 % over patients, drawn with all their records, the networks "
    "fixed; interval_with_seeds: the same draws with the seeds drawn too, their part "
    "widened by the root of n / (n - 1) for n seeds; within the groups: AUROC in each group by itself, plain "
    "mean; all methods share the draws, so that "
    "differences are paired; probabilities, thresholds and regressions of a group come from the other groups; "
    f"greyed: fewer than {FEWEST_POSITIVES} positives, never ranked; plain mean of types: over those that are not "
    "greyed; weighted mean: over all, by their positives; regression of embeddings and ST levels: ridge of "
    f"{RIDGE:g} times the records on standardised columns, never tuned"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodLine:
    """A method by name, as in `MethodResult`; `description` empty where there is none."""

    name: str
    parameters: int
    description: str
    pretraining_steps: int
    finetuning_steps: int
    labels_before_probe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RanOn:
    """What a reproduction ran on; the counts are those of the held-out records."""

    data: str
    licence: str
    label_rule: str
    type_rule: str
    negatives: str
    records: int
    patients: int
    positives: int
    groups: tuple[tuple[int, ...], ...]
    store_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The document. `figures` of methods, `differences` between them, `caveats` beside both, the rest by their names."""

    schema: int
    ran_on: RanOn
    protocol: str
    seeds: tuple[int, ...]
    resamples: int
    methods: tuple[MethodLine, ...]
    caveats: tuple[str, ...]
    figures: tuple[Figure, ...]
    differences: tuple[Figure, ...]
    choice_rule: str
    probabilities: tuple[Probabilities, ...]
    evidence: tuple[EvidenceFigure, ...]
    roc: tuple[RocCurve, ...]
    curve: tuple[CurvePoint, ...]
    curve_differences: tuple[CurvePoint, ...]
    configuration: str
    command: str
    commit: str
    versions: dict[str, str]

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}, this version of edge-mi reads schema {SCHEMA}")


def make_report(
    result: ProtocolResult,
    store: WindowStore,
    config_text: str,
    command: str,
    curve: Sequence[CurvePoint] = (),
    *,
    descriptions: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    st_mv: Floats | None = None,
) -> Report:
    """Judge `result`, which was predicted for the records of `store`.

    descriptions: method -> a sentence. st_mv: as `measure_st` gives for all records, measured where it is not
    given. Raises ConfigError where the result is of another store, or has no method or record.
    """
    _check(result, store)
    rows = store.rows_of(fold for group in result.groups for fold in group)
    draws = Resamples(store.patients, len(result.seeds), resamples=resamples)
    judge = Judge(store, rows, draws, result.groups)
    everybody = entrants(result)
    compared = list(pairs(everybody))
    main = [entrant for entrant in everybody if entrant.regime in ("finetune", TWELVE_LEADS)]
    figures, probabilities, curves, differences = [], [], [], []
    with Progress(2 * len(everybody) + len(compared) + len(main) + 1, "judging") as progress:
        for entrant in everybody:
            figures += judge.figures(entrant)
            progress.advance()
        for first, second in compared:
            differences += judge.differences(first, second)
            progress.advance()
        for entrant in everybody:
            probabilities.append(judge_probabilities(entrant, store, result.groups, draws))
            progress.advance()
        everyone = next(asked for asked in judge.asked if asked.task == ALL)
        for entrant in main:
            curves.append(roc_curve(entrant, everyone, draws))
            progress.advance()
        evidence = gather_evidence(result, store, draws, st_mv=st_mv)
        progress.advance()
    told = descriptions or {}
    return Report(
        schema=SCHEMA,
        ran_on=_ran_on(result, store),
        protocol=PROTOCOL,
        seeds=result.seeds,
        resamples=resamples,
        methods=tuple(
            MethodLine(
                name=m.name,
                parameters=m.parameters,
                description=told.get(m.name, ""),
                pretraining_steps=m.pretraining_steps,
                finetuning_steps=m.finetuning_steps,
                labels_before_probe=m.labels_before_probe,
            )
            for m in result.methods
        ),
        caveats=CAVEATS,
        figures=tuple(figures),
        differences=tuple(differences),
        choice_rule=CHOICE_RULE,
        probabilities=tuple(each for each in probabilities if each is not None),
        evidence=tuple(evidence),
        roc=tuple(each for each in curves if each is not None),
        curve=tuple(point for point in curve if point.minus is None),
        curve_differences=tuple(point for point in curve if point.minus is not None),
        configuration=config_text,
        command=command,
        commit=commit(),
        versions=versions(),
    )


def _check(result: ProtocolResult, store: WindowStore) -> None:
    if not result.methods:
        raise ConfigError("the result has no method; name at least one in the configuration")
    for method in result.methods:
        for regime, seeds in method.logits.items():
            wrong = [each.shape for each in seeds if len(each) != len(store)]
            if wrong:
                raise ConfigError(
                    f"{method.name}, {regime}: logits of {wrong[0][0]} records, the store has {len(store)}: give the "
                    "store that they were predicted for"
                )
    labels = store.labels[store.rows_of(fold for group in result.groups for fold in group)]
    if not 0 < labels.sum() < len(labels):
        raise ConfigError(
            f"{int(labels.sum())} of {len(labels)} held-out records have an infarction; both kinds are needed"
        )


def _ran_on(result: ProtocolResult, store: WindowStore) -> RanOn:
    rows = store.rows_of(fold for group in result.groups for fold in group)
    mi, norm = store.labels[rows] == 1, store.norms[rows] == 1
    normal, other = int((norm & ~mi).sum()), int((~norm & ~mi).sum())
    which = "normal ECGs only" if other == 0 else f"all {normal + other} records without infarction"
    source = store.manifest.source
    return RanOn(
        data=f"{source.name} {source.version}, {source.selection}",
        licence=source.licence,
        label_rule=source.label_rule,
        type_rule=TYPE_RULE,
        negatives=f"{which} ({normal} normal, {other} otherwise abnormal)",
        records=len(rows),
        patients=len(np.unique(store.patients[rows])),
        positives=int(mi.sum()),
        groups=result.groups,
        store_sha256=store.digest,
    )
