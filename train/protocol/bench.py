"""All methods on the same splits, each as parts of one run, so that a kill costs the parts in progress only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_mi.records.leads import TWELVE_LEADS

from ..age_sex import person_features
from ..config import FitConfig, Recipe
from ..crossfit import Split, merge_folds, outer_splits, soft_labels
from ..fit import total_steps
from ..parts import Arrays, Part, RunFolder
from ..teacher_net import TeacherNet
from .config import ProtocolConfig
from .encoders import ENCODERS, count_parameters
from .finetune import FinetuneRequest, finetune_part
from .generative import GenerativeRequest, Generator, generative_part
from .given import EMBEDDING, embed_part, given_students, given_teachers
from .methods import METHODS, Method
from .outputs import Subset
from .pretrain import FEATURES, PretrainRequest, pretrain_part
from .probe import ProbeRequest, probe_part
from .result import OUTPUTS, MethodResult, ProtocolResult, Regime
from .teachers import CeilingRequest, ceiling_part

Scores = NDArray[np.float32]


class Bench:
    """The splits of a configuration on one store; a part is computed when it is first asked for, and then kept.

    `result` asks for the parts of all methods stage by stage, so that the workers are busy to the end of each.
    """

    def __init__(self, run: RunFolder, config: ProtocolConfig) -> None:
        self.run, self.config = run, config
        self.splits: tuple[Split, ...] = tuple(outer_splits(config.groups))
        self._kept: dict[str, Arrays] = {}
        self._begin: tuple[Arrays | None, ...] = tuple(given.state() for given in given_students(config))
        self._begin = self._begin or (None,) * len(self.splits)

    def result(self) -> ProtocolResult:
        """Every method of the configuration, and the teachers."""
        names, seeds = self.config.methods, self.config.seeds
        ceilings = self._ceilings(seeds)
        if any(METHODS[name].response for name in names):
            _ = self.soft  # beside the other teachers
        self._results([p for name in names for p in self._first_stage(name, seeds)], "pre-training")
        self._results([p for name in names for p in self._second_stage(name)], "probes and fine-tuning")
        return ProtocolResult(
            groups=self.config.groups,
            seeds=seeds,
            methods=tuple(self._method(name) for name in names),
            teacher=np.stack([part["embedding"] for part in ceilings[: len(self.splits)]]),
            teacher_without_i=np.stack(
                [part["embedding_without_i"] for part in ceilings[: len(self.splits)]]
            ),
            teacher_logits=self._pool([part["logits"] for part in ceilings]),
        )

    def scaled(
        self, names: Sequence[str], seeds: Sequence[int], fractions: Sequence[float]
    ) -> dict[tuple[str, float], tuple[Scores, ...]]:
        """Logits (records, OUTPUTS) after fine-tuning, one array a seed, of networks that had fewer patients.

        So had their teacher and their pre-training; the number of steps is exactly that of all patients at each
        fraction. Each seed draws its own patients.
        """
        points = [(name, fraction) for name in names for fraction in fractions]
        aligned = any(METHODS[name].listens for name in names)
        teachers = [self._aim_parts(seeds, f) for f in fractions if aligned and f < 1]
        self._results([part for each in teachers for part in each], "curve: 12-lead teachers")
        trained = [point for point in points if METHODS[point[0]].pretraining is not None]
        first = [part for name, f in trained for part in self._first_stage(name, seeds, f)]
        self._results(first, "curve: pre-training")
        second = {point: self._finetune_parts(point[0], seeds, point[1]) for point in points}
        self._results([part for each in second.values() for part in each], "curve: fine-tuning")
        return {point: self._finetuned(each) for point, each in second.items()}

    @cached_property
    def soft(self) -> list[Scores]:
        """For each split the logits (records,) of inner teachers that did not see the record."""
        recipe = Recipe(teacher=self.config.teacher)
        return soft_labels(self.run, recipe, self.splits, "inner teachers")

    def _method(self, name: str) -> MethodResult:
        config, method = self.config, METHODS[name]
        logits: dict[Regime, tuple[Scores, ...]] = {}
        if method.probed:
            probes = self._results(self._probe_parts(name), f"{name}, probes")
            logits = {
                regime: self._pool([part[regime] for part in probes]) for regime in self._probe_regimes(name)
            }
        if "finetune" in config.regimes:
            if method.kind == "network":
                logits["finetune"] = self._finetuned(self._finetune_parts(name, config.seeds))
            elif method.kind == "generative":
                parts = self._results(self._first_stage(name, config.seeds), name)
                logits["finetune"] = self._pool([part["logits"] for part in parts])
            else:
                logits["finetune"] = logits["probe_100"]
        shown = method.probed and method.kind != "age-sex"
        pretraining_steps, finetuning_steps = self._steps(method)
        return MethodResult(
            name=name,
            parameters=_parameters(config, method),
            logits={regime: logits[regime] for regime in config.regimes if regime in logits},
            features=self._by_seed(self._features(name)) if shown else (),
            pretraining_steps=pretraining_steps,
            finetuning_steps=finetuning_steps,
            labels_before_probe=method.labels_before_probe(
                student=bool(config.encoder.student), teacher=bool(config.encoder.teacher)
            ),
        )

    def _first_stage(self, name: str, seeds: Sequence[int], fraction: float = 1.0) -> list[Part]:
        """What a method trains before fine-tuning and probes, one part for each of the jobs; maybe nothing."""
        config, method = self.config, METHODS[name]
        if method.kind == "age-sex" or (method.pretraining is None and not method.probed):
            return []
        aims = self._aims(seeds, fraction if method.listens else 1.0)
        parts = []
        for (seed, g), aim in zip(self._jobs(seeds), aims, strict=True):
            test = self.splits[g][1]
            subset = self._subset(g, seed, fraction)
            section = replace(config.pretrain, fit=self._same_steps(config.pretrain.fit, g, fraction))
            if method.kind == "generative":
                parts.append(
                    generative_part(
                        GenerativeRequest(
                            network=config.network, config=section, teacher=config.teacher, train=subset,
                            predict_folds=test, seed=seed,
                        ),
                        aim,
                        self._begin[g],
                    )
                )  # fmt: skip
                continue
            request = PretrainRequest(
                network=config.network, objective=method.pretraining, config=section, train=subset, seed=seed
            )
            parts.append(pretrain_part(request, aim[EMBEDDING], self._begin[g]))
        return parts

    def _second_stage(self, name: str) -> list[Part]:
        """What a method trains after that: its probes and its fine-tuning."""
        parts = self._probe_parts(name) if METHODS[name].probed else []
        if METHODS[name].kind == "network" and "finetune" in self.config.regimes:
            parts += self._finetune_parts(name, self.config.seeds)
        return parts

    def _finetune_parts(self, name: str, seeds: Sequence[int], fraction: float = 1.0) -> list[Part]:
        config, method = self.config, METHODS[name]
        jobs = self._jobs(seeds)
        states: Sequence[Arrays | None] = [self._begin[g] for _, g in jobs]
        if method.pretraining is not None:
            trained = self._results(self._first_stage(name, seeds, fraction), f"{name}, pre-training")
            states = [{key: array for key, array in part.items() if key != FEATURES} for part in trained]
        parts = []
        for (seed, g), state in zip(jobs, states, strict=True):
            request = FinetuneRequest(
                network=config.network,
                config=replace(config.finetune, fit=self._finetune_fit(method, g, fraction)),
                train=self._subset(g, seed, fraction), predict_folds=self.splits[g][1], seed=seed,
                lead_masking=method.lead_masking,
            )  # fmt: skip
            parts.append(finetune_part(name, request, state, self.soft[g] if method.response else None))
        return parts

    def _probe_parts(self, name: str) -> list[Part]:
        regimes = self._probe_regimes(name)
        if not regimes:
            return []
        parts = []
        for (seed, g), features in zip(self._jobs(self.config.seeds), self._features(name), strict=True):
            train, test = self.splits[g]
            request = ProbeRequest(
                regimes=regimes, ridge=self.config.ridge, train_folds=train, predict_folds=test, seed=seed
            )
            parts.append(probe_part(name, request, features))
        return parts

    def _features(self, name: str) -> list[Scores]:
        """Features (records, dim) that a method's probes have, one array for each of the jobs."""
        seeds = self.config.seeds
        if METHODS[name].kind == "age-sex":
            return [person_features(self.run.store)] * len(self._jobs(seeds))
        return [part[FEATURES] for part in self._results(self._first_stage(name, seeds), name)]

    def _probe_regimes(self, name: str) -> tuple[Regime, ...]:
        regimes: tuple[Regime, ...] = tuple(r for r in self.config.regimes if r != "finetune")
        if METHODS[name].kind == "age-sex" and "probe_100" not in regimes:
            return (*regimes, "probe_100")  # which stands for its fine-tuning
        return regimes

    def _finetuned(self, parts: Sequence[Part]) -> tuple[Scores, ...]:
        return self._pool([each["logits"] for each in self._results(parts, "fine-tuning")])

    def _ceilings(self, seeds: Sequence[int]) -> list[Arrays]:
        """What the teacher of each of the jobs says of every record, for the table."""
        if self.config.encoder.teacher:
            return self._given_teachers(seeds)
        return self._results(self._ceiling_parts(seeds), "12-lead teachers")

    def _aims(self, seeds: Sequence[int], fraction: float) -> list[Arrays]:
        """What the teacher says that each of the jobs is aligned with."""
        if self.config.encoder.teacher:
            return self._given_teachers(seeds)
        return self._results(self._aim_parts(seeds, fraction), "12-lead teachers")

    def _given_teachers(self, seeds: Sequence[int]) -> list[Arrays]:
        """As a trained teacher's, except that the logits, one a record, are those of a linear probe on its embedding.

        They are the same for every seed and fraction.
        """
        embedded = self._results(
            [embed_part(each) for each in given_teachers(self.config)], "the teacher that is given"
        )
        probes = []
        for (train, test), part in zip(self.splits, embedded, strict=True):
            request = ProbeRequest(
                regimes=("probe_100",), ridge=self.config.ridge, train_folds=train, predict_folds=test, seed=0
            )
            probes.append(probe_part("given-teacher", request, part[EMBEDDING]))
        logits = [part["probe_100"] for part in self._results(probes, "the teacher that is given, probes")]
        return [{**embedded[g], "logits": logits[g]} for _, g in self._jobs(seeds)]

    def _ceiling_parts(self, seeds: Sequence[int]) -> list[Part]:
        """The teachers of the table."""
        return [self._ceiling_part(g, seed, seed, 1.0) for seed, g in self._jobs(seeds)]

    def _aim_parts(self, seeds: Sequence[int], fraction: float = 1.0) -> list[Part]:
        """For each of the jobs the teacher that it is aligned with: that of the first seed, which had its patients."""
        first = self.config.seeds[0]
        return [self._ceiling_part(g, first, seed, fraction) for seed, g in self._jobs(seeds)]

    def _ceiling_part(self, g: int, seed: int, drawn_by: int, fraction: float) -> Part:
        teacher = self.config.teacher
        request = CeilingRequest(
            config=replace(teacher, fit=self._same_steps(teacher.fit, g, fraction)),
            train=self._subset(g, drawn_by, fraction), predict_folds=self.splits[g][1], seed=seed,
        )  # fmt: skip
        return ceiling_part(request)

    def _subset(self, g: int, seed: int, fraction: float) -> Subset:
        """The patients that a network of `seed` learns from."""
        return Subset(folds=self.splits[g][0], fraction=fraction, seed=seed if fraction < 1 else 0)

    def _same_steps(self, fit: FitConfig, g: int, fraction: float) -> FitConfig:
        """As many steps on a fraction of the records as on all: a curve over records, not over steps."""
        return fit if fraction == 1 else replace(fit, steps=total_steps(self._records(g), fit))

    def _finetune_fit(self, method: Method, g: int, fraction: float = 1.0) -> FitConfig:
        """The budget of fine-tuning; lead masking, which is one training, has that of both stages."""
        fit, records = self.config.finetune.fit, self._records(g)
        if not method.lead_masking:
            return self._same_steps(fit, g, fraction)
        return replace(fit, steps=total_steps(records, fit) + total_steps(records, self.config.pretrain.fit))

    def _steps(self, method: Method) -> tuple[int, int]:
        """Steps before and in fine-tuning, mean over the splits, whose sizes differ a little."""
        splits = range(len(self.splits))
        before = [total_steps(self._records(g), self.config.pretrain.fit) for g in splits]
        after = [total_steps(self._records(g), self._finetune_fit(method, g)) for g in splits]
        pretrained = method.pretraining is not None or method.kind == "generative"
        return (
            round(float(np.mean(before))) if pretrained else 0,
            round(float(np.mean(after))) if method.kind == "network" else 0,
        )

    def _records(self, g: int) -> int:
        return len(self.run.store.rows_of(self.splits[g][0]))

    def _results(self, parts: Sequence[Part], label: str) -> list[Arrays]:
        keys = [part.key(self.run.store.digest) for part in parts]
        new = {key: part for key, part in zip(keys, parts, strict=True) if key not in self._kept}
        if new:
            found = self.run.compute(list(new.values()), label)
            self._kept.update(zip(new, found, strict=True))
        return [self._kept[key] for key in keys]

    def _jobs(self, seeds: Sequence[int]) -> list[tuple[int, int]]:
        """Seed and index of the split, in the order of every list of parts."""
        return [(seed, g) for seed in seeds for g in range(len(self.splits))]

    def _by_seed(self, arrays: Sequence[Scores]) -> tuple[Scores, ...]:
        """One array (groups, records, dim) a seed."""
        count = len(self.splits)
        return tuple(np.stack(arrays[i : i + count]) for i in range(0, len(arrays), count))

    def _pool(self, logits: Sequence[Scores]) -> tuple[Scores, ...]:
        """One array (records, OUTPUTS) a seed: each group's rows from the network that did not see them."""
        count, folds = len(self.splits), [test for _, test in self.splits]
        return tuple(
            merge_folds(self.run.store, zip(folds, logits[start : start + count], strict=True))
            for start in range(0, len(logits), count)
        )


def _parameters(config: ProtocolConfig, method: Method) -> int:
    """Weights and biases that a method needs to answer for a record."""
    if method.kind == "age-sex":
        return len(OUTPUTS) * (4 + 1)
    encoder = ENCODERS[config.network](len(TWELVE_LEADS) if method.lead_masking else 1)
    if method.kind == "network":
        return count_parameters(encoder) + len(OUTPUTS) * (encoder.features + 1)
    teacher = TeacherNet(config.teacher, len(TWELVE_LEADS), {})
    own = count_parameters(Generator(encoder), teacher.stack, teacher.hidden)
    return own + len(OUTPUTS) * (config.teacher.embedding + 1)
